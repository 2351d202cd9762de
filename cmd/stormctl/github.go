package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/reports"
)

// leastSummary is how much room in the summary of a step makes it worth while to
// append to it.
const leastSummary = 8 << 10

// tellGitHub tells a runner of GitHub's what a run came to: annotations by lines of
// the log, and Markdown in the summary of the step. Each is left out where the
// variable that stands for it is not set. The commands are the only lines of ours
// that are printed without reports.Clean, which keeps text of others from being one.
func tellGitHub(shown *progressQueue, stderr io.Writer, r *result.Result, getenv func(string) string) error {
	if getenv("GITHUB_ACTIONS") == "true" {
		var commands bytes.Buffer
		if err := reports.GitHub(&commands, r); err != nil {
			return err
		}
		shown.put(func() { _, _ = stderr.Write(commands.Bytes()) }) // if nobody reads it, the run is none the worse
	}
	return appendSummary(shown.say, r, getenv)
}

// appendSummary appends the Markdown of a run to the summary of the step.
func appendSummary(say func(line string), r *result.Result, getenv func(string) string) error {
	file := getenv("GITHUB_STEP_SUMMARY")
	if file == "" {
		return nil
	}
	// What others have written there counts: of too much, the host drops all.
	room := reports.SummaryLimit
	switch info, err := os.Stat(file); {
	case err == nil:
		room -= int(min(info.Size(), reports.SummaryLimit))
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("append to GITHUB_STEP_SUMMARY: %w", err)
	}
	if room < leastSummary {
		say(fmt.Sprintf("the summary of the step has no room for that of %s: it is in %s of %s",
			reports.Clean(r.Name), reports.File("markdown"), reports.Clean(r.Dir)))
		return reports.Write(r.Dir, []string{"markdown"}, r)
	}
	var text bytes.Buffer
	if err := reports.Markdown(&text, r, room-1); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("append to GITHUB_STEP_SUMMARY: %w", err)
	}
	_, err = f.Write(append([]byte("\n"), text.Bytes()...))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("append to GITHUB_STEP_SUMMARY: %w", err)
	}
	return nil
}
