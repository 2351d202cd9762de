package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/gameday"
	"github.com/stormctl/stormctl/chaos/result"
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
names the line or file. The game day may have been killed: then its journal ends
somewhere, and there is no chain over the other files; both are said.`,
		Example: `  stormctl gameday verify runs/gameday-20261129-140000`,
		Args:    exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			entries, ending, err := gameday.ReadJournal(args[0])
			if err != nil {
				return fmt.Errorf("verify: %w", err)
			}
			err = chaos.Verify(args[0])
			killed := errors.Is(err, chaos.ErrNotSealed) && ending != gameday.Whole
			if err != nil && !killed {
				return err
			}
			s, err := gameday.Summarize(args[0])
			if err != nil {
				return fmt.Errorf("verify: %w", err)
			}
			var head strings.Builder
			fmt.Fprintf(&head, "%s: the chain holds over %d lines", gameday.JournalFile, len(entries))
			if ending != gameday.Whole {
				fmt.Fprintf(&head, "; %s", ending)
			}
			if killed {
				fmt.Fprintf(&head, "\nthere is no %s: the game day was killed, and its other files cannot be verified", result.File)
			}
			return writeSummary(cmd.OutOrStdout(), args[0], head.String(), s)
		},
	}
}

// writeSummary prints what a journal comes to, after what was verified.
func writeSummary(w io.Writer, dir, verified string, s gameday.Summary) error {
	r, err := chaos.Judge(dir)
	if err != nil {
		return err
	}
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
		for _, v := range r.Verdicts {
			if v.Claim == p.Claim {
				rows = append(rows, []string{reports.Clean(p.Who), "said " + reports.Clean(p.Ruling), "it is " + v.Ruling.String(),
					reports.Clean(p.Claim)})
			}
		}
	}
	if len(rows) > 0 {
		planSection(&out, "Predictions", rows)
	}
	_, err = io.WriteString(w, toWidth(w, reports.CleanLines(out.String())))
	return err
}
