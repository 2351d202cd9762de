package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/compare"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/result"
)

// Of two sides in turn neither is first more often, and neither comes later on
// average over an even number of rounds.
func TestTurns(t *testing.T) {
	if got, want := turns(3), []string{"old", "new", "new", "old", "old", "new"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	sum := map[string]int{}
	for i, side := range turns(4) {
		sum[side] += i
	}
	if sum["old"] != sum["new"] {
		t.Errorf("places %v", sum)
	}
}

// newGate gates an experiment whose runs are made up by run, in an empty folder.
func newGate(t *testing.T, o gateOptions,
	run func(ctx context.Context, n int, x *experiment.Experiment, o chaos.Options) error) (*gate, *harness) {
	h := newHarness(t, nil)
	if err := os.WriteFile("x.yaml", []byte(strings.ReplaceAll(experimentFile, "NAME", "x")), 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // two run at once in a duet
	made := 0
	h.run = func(ctx context.Context, x *experiment.Experiment, o chaos.Options) (*result.Result, error) {
		mu.Lock()
		made++
		n := made
		h.ran, h.seeds = append(h.ran, o), append(h.seeds, x.Seed)
		mu.Unlock()
		if err := os.MkdirAll(o.Out, 0o700); err != nil {
			return nil, err
		}
		return &result.Result{Dir: o.Out}, run(ctx, n, x, o)
	}
	o.quiet, o.out = true, "gate"
	return &gate{options: o, tolerances: compare.Defaults(), file: "x.yaml", runner: h.runner}, h
}

// Runs alternate, each in a directory of its own, under one seed.
func TestGateMakesRuns(t *testing.T) {
	g, h := newGate(t, gateOptions{rounds: 2, new: []string{"targets.web.url=http://127.0.0.1:8"}},
		func(_ context.Context, n int, x *experiment.Experiment, _ chaos.Options) error {
			if is := x.Targets["web"].URL == "http://127.0.0.1:8"; is != (n == 2 || n == 3) {
				return errors.New("not the turn of " + x.Targets["web"].URL)
			}
			return nil
		})
	code := g.all(t.Context()) // the runs left no evidence to be compared
	if code != exitFailed || !strings.Contains(h.stderr.String(), "is not a run directory") {
		t.Errorf("exit code %d: %s", code, h.stderr.String())
	}
	var dirs []string
	for _, o := range h.ran {
		dirs = append(dirs, o.Out)
	}
	if want := []string{"gate/old-1", "gate/new-1", "gate/new-2", "gate/old-2"}; !slices.Equal(dirs, want) {
		t.Errorf("got %q, want %q", dirs, want)
	}
	if h.seeds[0] == 0 || len(slices.Compact(h.seeds)) != 1 {
		t.Errorf("seeds %v", h.seeds)
	}
}

// What cannot run ends a gate as 2, what is stopped as 4, and no further run begins.
func TestGateEnds(t *testing.T) {
	for _, duet := range []bool{false, true} {
		g, h := newGate(t, gateOptions{rounds: 2, duet: duet, old: []string{"seed=1"}, new: []string{"seed=1"}},
			func(ctx context.Context, n int, x *experiment.Experiment, o chaos.Options) error {
				if filepath.Base(o.Out) == "new-1" {
					return errors.New("no port")
				}
				if duet { // as a run that waits for the other
					<-ctx.Done()
					return context.Cause(ctx)
				}
				return nil
			})
		if code := g.all(t.Context()); code != exitFailed || len(h.ran) != 2 ||
			!strings.Contains(h.stderr.String(), "run new-1 of x.yaml: no port") {
			t.Errorf("duet %v: exit code %d, %d runs: %s", duet, code, len(h.ran), h.stderr.String())
		}

		ctx, stop := context.WithCancelCause(t.Context())
		g, h = newGate(t, gateOptions{rounds: 2, duet: duet, old: []string{"seed=1"}},
			func(ctx context.Context, n int, x *experiment.Experiment, o chaos.Options) error {
				stop(chaos.Stopped{Why: "stopped by a signal"})
				<-ctx.Done()
				return context.Cause(ctx)
			})
		if code := g.all(ctx); code != exitStopped || !strings.Contains(h.stderr.String(), "nothing is decided") {
			t.Errorf("duet %v: exit code %d: %s", duet, code, h.stderr.String())
		}
		if !duet && len(h.ran) != 1 {
			t.Errorf("stopped in the first of %d runs", len(h.ran))
		}
	}
}

// Those who meet get one time, soon after the last has come; who is stopped while
// it waits does not wait.
func TestRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		meet := newRendezvous(2)
		first := make(chan time.Time)
		go func() {
			at, _ := meet.wait(t.Context())
			first <- at
		}()
		time.Sleep(time.Minute)
		second, err := meet.wait(t.Context())
		if at := <-first; err != nil || !at.Equal(second) || !second.Equal(began.Add(time.Minute+beginSoon)) {
			t.Errorf("%v and %v, %v", at, second, err)
		}

		ctx, stop := context.WithCancelCause(t.Context())
		stop(chaos.Stopped{Why: "enough"})
		if _, err := newRendezvous(2).wait(ctx); !errors.As(err, new(chaos.Stopped)) {
			t.Errorf("got %v", err)
		}
	})
}

func TestExitOfComparison(t *testing.T) {
	for ruling, want := range map[compare.Ruling]exitCode{compare.NotWorse: 0, compare.Worse: 1, compare.Undecided: 3} {
		if got := exitOfComparison(&compare.Comparison{Ruling: ruling}); got != want {
			t.Errorf("%s: got %d, want %d", ruling, got, want)
		}
	}
}
