package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/chaos/testbed"
	"github.com/stormctl/stormctl/reports"
)

// hostile is a text of others that tries everything.
const hostile = "x\x1b[2J\u009b31m\u202e\x7f\n::error::boom\n##[error]boom ::warning file=a::b\ry\n\u00a0::error::boom\n##VSO[task.complete]"

// harmless checks an output that has words of others in it.
func harmless(t *testing.T, what, out string) {
	t.Helper()
	for _, r := range out {
		if r != '\n' && r != ' ' && r != '\u00a0' && !unicode.IsPrint(r) {
			t.Errorf("%s has %q in it", what, r)
		}
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(strings.TrimSpace(line), "::") || regexp.MustCompile(`(?i)##(vso|teamcity)?\[`).MatchString(line) {
			t.Errorf("%s has a command: %q", what, line)
		}
	}
	if !strings.Contains(out, "boom") {
		t.Errorf("%s does not say it at all: %q", what, out)
	}
}

func TestWordsOfOthersDoNothing(t *testing.T) {
	x := &experiment.Experiment{Name: hostile, About: hostile, Targets: map[string]*experiment.Target{hostile: {URL: hostile}},
		Links: map[string]*experiment.Link{hostile: {From: hostile, To: hostile}}, Limits: experiment.Limits{Allow: []string{hostile}}}
	var plan, log, found bytes.Buffer
	look := testbed.Preflight{Refusals: []error{errors.New(hostile)}}
	weak := experiment.Weakness{Path: hostile, File: hostile, Line: 1, Column: 1, Why: hostile, Turn: hostile, Key: hostile}
	if err := writePlan(&plan, hostile, x, look, []experiment.Weakness{weak}); err != nil {
		t.Fatal(err)
	}
	progress := &lines{out: &log}
	progress.begin(hostile)
	progress.say(hostile)
	progress.watch(chaos.Progress{Event: hostile})
	progress.watch(chaos.Progress{Faults: []string{hostile}})
	found.WriteString(reports.CleanLines(healText([]lease.Found{{Header: lease.Header{Name: hostile}, Left: []lease.Left{{Why: hostile, ByHand: hostile}}}})))
	for what, out := range map[string]string{
		"a plan":                plan.String(),
		"a log":                 log.String(),
		"the title of a bar":    title(chaos.Progress{Name: hostile, Phase: "chaos"}, 1000),
		"a row of faults":       faultsRow(chaos.Progress{Faults: []string{hostile}}, 1000),
		"heal":                  found.String(),
		"an error":              errorText(errors.New(hostile)),
		"what is wrong, placed": errorText(strict.Errors{{File: hostile, Line: 1, Column: 1, Problem: hostile, Hint: hostile}}),
	} {
		harmless(t, what, out)
	}
}

// A file may have any name that the system takes.
func TestNamesOfFilesDoNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	name := strings.ReplaceAll(hostile, "/", "") + ".yaml"
	for _, content := range []string{strings.Replace(experimentFile, "NAME", "fine", 1), "name: [", "", "name: x\nchaos: 7\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, command := range [][]string{{"validate", name}, {"run", "--dry-run", name}, {"validate", "none" + name}, {"report", name},
			{"load", "--har", name}, {"load", "--targets", name}, {"proxy", "--config", name, "--api", "127.0.0.1:0"}} {
			var out bytes.Buffer
			execute(command, &out, &out)
			harmless(t, strings.Join(command[:len(command)-1], " ")+" of "+content, out.String())
		}
	}
	if err := os.Rename(name, filepath.Base("::error::boom")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	execute([]string{"validate", "::error::boom"}, &out, &out)
	harmless(t, "a name without a line's end", out.String())
}
