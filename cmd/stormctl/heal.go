//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/reports"
)

func newHealCommand() *cobra.Command {
	var force, asJSON bool
	cmd := &cobra.Command{
		Use:   "heal",
		Short: "Undoes what a killed run left behind",
		Long: `Undoes what runs of this user left behind: processes that stand still, limits,
firewall rules, filled disks, commands that were to be healed. A run has a
guardian that does it within seconds of the run's death; heal is for when that
was killed too. It can be run at any time and again.

Runs that are alive are left alone: end them by stormctl halt. With --force what
they have in force is undone, though they go on.

What cannot be undone is listed with the command that does it by hand, and stays
to be healed.

Exit codes: 0 nothing is left, 2 something is.`,
		Example: `  stormctl heal
  stormctl heal --json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runHeal(cmd.Context(), cmd.OutOrStdout(), force, asJSON)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "undo also what runs have in force that are alive")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was found as JSON")
	return cmd
}

func runHeal(ctx context.Context, w io.Writer, force, asJSON bool) error {
	dirs, err := lease.StateDirs()
	if err != nil {
		return err
	}
	all := []lease.Found{}
	var errs []error
	for _, dir := range dirs {
		found, err := lease.Heal(ctx, dir, force)
		all = append(all, found...)
		errs = append(errs, err)
	}
	left := 0
	for _, f := range all {
		left += len(f.Left)
	}
	text := reports.CleanLines(healText(all) + othersText(lease.Others(), "healed"))
	if asJSON {
		encoded, err := json.MarshalIndent(all, "", "  ")
		if err != nil {
			return err
		}
		text = string(reports.CleanJSON(encoded)) + "\n"
	}
	if _, err := io.WriteString(w, text); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	if left > 0 {
		return exitFailed
	}
	return nil
}

// healText tells what was found, run by run.
func healText(all []lease.Found) string {
	var out bytes.Buffer
	for _, f := range all {
		header := reports.Clean(f.String())
		if f.Alive && f.Undone == nil && f.Left == nil {
			fmt.Fprintf(&out, "%s is alive and was left alone: stormctl halt ends it\n", header)
			continue
		}
		if f.Undone == nil && f.Left == nil {
			fmt.Fprintf(&out, "%s left nothing behind\n", header)
			continue
		}
		fmt.Fprintf(&out, "%s:\n", header)
		for _, u := range f.Undone {
			fmt.Fprintf(&out, "  undone      %s\n", reports.Clean(u))
		}
		for _, l := range f.Left {
			fmt.Fprintf(&out, "  NOT UNDONE  %s: %s\n", reports.Clean(l.Fault), reports.Clean(l.Why))
			fmt.Fprintf(&out, "              by hand: %s\n", reports.Clean(l.ByHand))
		}
	}
	if len(all) == 0 {
		fmt.Fprintln(&out, "nothing to heal")
	}
	return out.String()
}

// othersText tells of folders that may hold runs of other users, of which
// nothing was done.
func othersText(dirs []string, done string) string {
	const shown = 5
	var out strings.Builder
	for i, dir := range dirs {
		if i == shown {
			fmt.Fprintf(&out, "and %d more like it\n", len(dirs)-shown)
			break
		}
		fmt.Fprintf(&out, "%s is another user's: what runs it names were not %s, their user does that\n", strconv.Quote(dir), done)
	}
	return out.String()
}

func newHaltCommand() *cobra.Command {
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "halt",
		Short: "Ends every run of this user, healed",
		Long: `Tells every run of this user to end as Ctrl-C would: it heals what it has in
force, rules on what it saw, and exits with 4. So does a stormctl load, which sums
up what it saw. halt returns when they have. Runs of other users are told of, and
not touched, by root neither: sudo -u USER stormctl halt ends them.

Exit codes: 0 no run is left, 2 some could not be ended.`,
		Example: `  stormctl halt
  stormctl halt --within 2m`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runHalt(cmd.Context(), cmd.OutOrStdout(), within)
		},
	}
	cmd.Flags().DurationVar(&within, "within", time.Minute, "how `long` to wait for them")
	return cmd
}

func runHalt(ctx context.Context, w io.Writer, within time.Duration) error {
	ended, left, err := lease.Halt(ctx, within)
	var out bytes.Buffer
	if len(ended)+len(left) == 0 && err == nil {
		fmt.Fprintln(&out, "no run is alive")
	}
	for _, r := range ended {
		fmt.Fprintf(&out, "ended, and nothing of it is in force: %s\n", reports.Clean(r.String()))
	}
	for _, r := range left {
		fmt.Fprintf(&out, "NOT ENDED within %v: %s\n", within, reports.Clean(r.String()))
		fmt.Fprintf(&out, "  by hand: kill -KILL %d  # its guardian then undoes what it has in force; then: stormctl heal\n", r.Process.Pid)
	}
	out.WriteString(othersText(lease.Others(), "ended"))
	if _, e := w.Write(out.Bytes()); e != nil && !readerGone(e) {
		err = errors.Join(err, e)
	}
	if err != nil {
		return fmt.Errorf("halt: %w", err)
	}
	if len(left) > 0 {
		return exitFailed
	}
	return nil
}
