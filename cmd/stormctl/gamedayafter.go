//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/gameday"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/reports"
)

func newGamedayExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export DIR",
		Short: "Prints the experiment that does again what people did by hand",
		Long: `Prints an experiment whose faults come and go at the times at which people injected
and healed them in the game day of a run directory. stormctl run does it again,
without anybody in a room. Paths in it are absolute.`,
		Example: `  stormctl gameday export runs/gameday-20261129-140000 > again.yaml
  stormctl run again.yaml`,
		Args: exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			x, notes, err := gameday.Export(args[0])
			if err != nil {
				return fmt.Errorf("export: %w", err)
			}
			text, err := gameday.Text(x, args[0], notes)
			if err != nil {
				return fmt.Errorf("export: %w", err)
			}
			for _, n := range notes {
				tell(cmd.ErrOrStderr(), "stormctl: "+reports.Clean(n))
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}

func newGamedayVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify DIR",
		Short: "Checks that the journal of a game day is what was written, and sums it up",
		Long: `Checks that each line of journal.jsonl is the one that was written, by the hash that
the next line has of it, and that the files of the run directory are those that the
run left, by the chain of hashes in result.json. Then it prints what the journal
comes to: who was there, how long it took to detect and to mitigate each fault, and
what was predicted. Exit code 2 says that something is not what was written, and
names the line or file. A game day that was killed has a journal that ends somewhere,
and no chain over its other files; both are said.`,
		Example: `  stormctl gameday verify runs/gameday-20261129-140000`,
		Args:    exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return verifyGameday(cmd.OutOrStdout(), args[0])
		},
	}
}

// verifyGameday verifies the directory of a game day as far as that goes: of one that was
// killed, or whose load was never begun, there is the journal and no chain over the rest.
func verifyGameday(w io.Writer, dir string) error {
	entries, ending, err := gameday.ReadJournal(dir)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	err = chaos.Verify(dir)
	alone := errors.Is(err, chaos.ErrNotSealed) && (ending != gameday.Whole || !gameday.Begun(entries))
	if err != nil && !alone {
		return err
	}
	verified := fmt.Sprintf("%s: the chain holds over %d lines", gameday.JournalFile, len(entries))
	if ending != gameday.Whole {
		verified += "; " + ending.String()
	}
	if alone {
		if _, err := input.StatBelow(dir, evidence.TimelineFile); errors.Is(err, fs.ErrNotExist) {
			verified += "\nthe load had not begun: there is nothing else to verify"
			return writeSummary(w, verified, gameday.Summarize(entries, nil), nil)
		}
		verified += fmt.Sprintf("\nthere is no %s: the game day was killed, and its other files cannot be verified", result.File)
	}
	run, err := evidence.ReadTimeline(dir)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	r, err := chaos.Judge(dir)
	if err != nil {
		return err
	}
	return writeSummary(w, verified, gameday.Summarize(entries, run.Faults), r.Verdicts)
}

// writeSummary prints what a journal comes to, after what was verified.
func writeSummary(w io.Writer, verified string, s gameday.Summary, verdicts []judge.Verdict) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n", verified)
	fmt.Fprintf(&out, "%d things were done, %d were refused\n", s.Done, s.Refused)
	fmt.Fprintf(&out, "in the room: %s\n", reports.Clean(strings.Join(s.People, ", ")))
	var rows [][]string
	for _, f := range s.Faults {
		row := []string{reports.Clean(f.Fault), fmt.Sprintf("%.1fs", f.Injected.Seconds()), "–", "–", reports.Clean(f.By)}
		if f.Detected != nil {
			row[2] = f.Detected.After.String()
		}
		if f.Mitigated != nil {
			row[3] = f.Mitigated.After.String()
		}
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		planSection(&out, "Faults", append([][]string{{"fault", "injected at", "detected after", "mitigated after", "by"}}, rows...))
	}
	rows = nil
	for _, p := range s.Predictions {
		for _, v := range verdicts {
			if v.Claim == p.Claim {
				rows = append(rows, []string{reports.Clean(p.Who), "said " + reports.Clean(p.Ruling), "it is " + v.Ruling.String(),
					reports.Clean(p.Claim)})
			}
		}
	}
	if len(rows) > 0 {
		planSection(&out, "Predictions", rows)
	}
	_, err := io.WriteString(w, toWidth(w, reports.CleanLines(out.String())))
	return err
}
