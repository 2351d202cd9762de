package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/reports"
)

func newWatchCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "watch DIR",
		Short: "Follows a run from another terminal",
		Long: `Follows a run by what it records in its directory: from another terminal, as
another user who may read it, or where the run itself shows nothing. It shows what
run shows, and the course of rate, failures and p99 from the beginning. What was
before is summed up; the last of its events are told.

When the run ends, its summary goes to stdout and the exit code is the run's. Of a
run that has ended it is told at once. Of one that was killed it is said that it is
gone, and what it recorded is ruled on, as judge does: exit code 4.

Ctrl-C ends watch and not the run: exit code 4. Nothing is written.`,
		Example: `  stormctl run examples/breaker.yaml --out out &
  stormctl watch out`,
		Args: exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, release := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer release()
			w := watching{dir: args[0], json: asJSON, stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr(), getenv: os.Getenv}
			return w.follow(ctx).err()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON instead of the summary")
	return cmd
}

const (
	// pastEvents is how many of the events before watch came are told.
	pastEvents = 20

	// ruledWithin is how long a run that has ended may take to rule before watch does:
	// it was killed meanwhile, or is slow, and both rule alike.
	ruledWithin = time.Minute
)

// watching follows one run.
type watching struct {
	dir            string
	json           bool
	stdout, stderr io.Writer
	getenv         func(string) string

	shown  *progressQueue
	trend  trend
	past   []chaos.Progress // events before, the last of them
	before int              // how many more there were
	second *chaos.Progress  // the last one before; nil once it is shown
}

func (w *watching) follow(ctx context.Context) exitCode {
	view := newProgress(w.stderr, false, w.getenv)
	if l, ok := view.(*live); ok {
		for _, r := range trendRows {
			l.below = append(l.below, func(_ chaos.Progress, width int) string { return w.trend.row(r, width) })
		}
	}
	w.shown = newProgressQueue(view)
	defer w.shown.close()
	w.shown.begin(filepath.Base(filepath.Clean(w.dir)))
	err := chaos.Watch(ctx, w.dir, w.show)
	w.caughtUp()
	if err == nil {
		err = w.awaitResult(ctx)
	}
	w.shown.end()
	gone := errors.As(err, new(chaos.Gone))
	switch {
	case ctx.Err() != nil && err != nil:
		w.shown.say("no longer watched: the run goes on, and stormctl halt ends it")
		return exitStopped
	case gone:
		w.shown.say(errorText(err))
	case err != nil:
		w.shown.say(errorText(err))
		return exitFailed
	}
	w.course()
	r, err := readOrJudge(w.stderr, w.dir)
	if err != nil {
		w.shown.say(errorText(err))
		return exitFailed
	}
	return w.print(r)
}

// show passes on progress. What was before is kept, to be told in short.
func (w *watching) show(p chaos.Progress, past bool) {
	w.trend.add(p)
	switch {
	case !past:
		w.caughtUp()
		w.shown.watch(p)
	case p.Event == "":
		w.second = &p
	default:
		if len(w.past) == pastEvents {
			w.past, w.before = w.past[1:], w.before+1
		}
		w.past = append(w.past, p)
	}
}

// caughtUp tells, once, what was before.
func (w *watching) caughtUp() {
	if w.before > 0 {
		w.shown.say(fmt.Sprintf("%d events before these", w.before))
	}
	for _, p := range w.past {
		w.shown.watch(p)
	}
	if w.second != nil {
		w.shown.watch(*w.second)
	}
	w.past, w.before, w.second = nil, 0, nil
}

// course says how the run went, where the rows are not on the screen any more.
func (w *watching) course() {
	width, ok := terminal(w.stderr)
	if !ok || width == 0 {
		width = 100
	}
	for _, r := range trendRows {
		if row := w.trend.row(r, width); row != "" {
			w.shown.say(row)
		}
	}
}

// awaitResult returns when the run that has ended has ruled, or has had its time.
func (w *watching) awaitResult(ctx context.Context) error {
	left := ruledWithin
	if info, err := input.StatBelow(w.dir, evidence.TimelineFile); err == nil {
		left -= max(0, time.Since(info.ModTime())) // by the clock on the wall, which may have been set back since
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for until := time.Now().Add(left); time.Now().Before(until); {
		_, err := reports.Read(w.dir)
		if !errors.Is(err, reports.ErrNoResult) && !errors.Is(err, reports.ErrDamaged) {
			return nil // what is wrong with it is told when it is read
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-again.C:
		}
	}
	return nil
}

func (w *watching) print(r *result.Result) exitCode {
	if err := printResult(w.stdout, r, w.json, textOptions(w.stdout, w.getenv)); err != nil && !readerGone(err) {
		w.shown.say(errorText(fmt.Errorf("print result: %w", err)))
		return exitFailed
	}
	return exitOf(r)
}
