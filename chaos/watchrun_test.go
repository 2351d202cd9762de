package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/input/inputtest"
)

// a watched run is a directory whose timeline is written by the test.
func watchedRun(t *testing.T) (dir string, timeline *evidence.TimelineWriter) {
	t.Helper()
	state := t.TempDir()
	if err := os.Chmod(state, 0o700); err != nil { // or others could have journals there
		t.Fatal(err)
	}
	t.Setenv(lease.StateEnv, state)
	dir = t.TempDir()
	timeline = evidence.TimelineIn(inputtest.File(t, filepath.Join(dir, evidence.TimelineFile)))
	t.Cleanup(func() { timeline.Close() })
	timeline.Add(evidence.Event{Kind: evidence.KindStart, Start: &evidence.Header{Name: "x", Started: time.Now(),
		Load: evidence.Seconds(10 * time.Second), Routes: []string{"pay"}, Faults: []evidence.Injection{{Name: "errors 503 on bank"}}}})
	return dir, timeline
}

func second(at time.Duration, ok, failed uint64) evidence.Event {
	return evidence.Event{At: evidence.Seconds(at), Kind: evidence.KindTick, Tick: &evidence.Tick{Offered: ok + failed, Ended: ok + failed,
		Routes: map[string][load.Outcomes]uint64{"pay": {load.OK: ok, load.ServerError: failed}}}}
}

// toldOf is a piece of progress in short.
func toldOf(p Progress, past bool) string {
	text := fmt.Sprintf("%v %s %v/s %v %v", p.At, p.Phase, p.Achieved, p.Success, p.Faults)
	if p.Event != "" {
		text = fmt.Sprintf("%v %s: %s", p.At, p.Phase, p.Event)
	}
	if past {
		text = "past " + text
	}
	return text
}

func TestWatchTellsWhatIsRecorded(t *testing.T) {
	dir, timeline := watchedRun(t)
	s := time.Second
	timeline.Add(evidence.Event{Kind: evidence.KindPhase, Text: "steady state"})
	timeline.Add(second(s, 100, 0))
	timeline.Add(evidence.Event{At: evidence.Seconds(1500 * time.Millisecond), Kind: evidence.KindInject, Fault: 1})
	var told []string
	synctest.Test(t, func(t *testing.T) {
		go func() {
			time.Sleep(lookAgain + 1)
			timeline.Add(second(2*s, 50, 50))
			timeline.Add(evidence.Event{At: evidence.Seconds(3 * s), Kind: evidence.KindHeal, Fault: 1, Error: "heal it: it cannot be"})
			timeline.Add(evidence.Event{At: evidence.Seconds(3 * s), Kind: evidence.KindDeath, Target: "bank", Text: "bank ended by itself"})
			timeline.Add(evidence.Event{At: evidence.Seconds(3 * s), Kind: "chapter", Text: "something of a later version"})
			timeline.Add(evidence.Event{At: evidence.Seconds(4 * s), Kind: evidence.KindEnd})
		}()
		if err := Watch(t.Context(), dir, func(p Progress, past bool) { told = append(told, toldOf(p, past)) }); err != nil {
			t.Error(err)
		}
	})
	want := []string{
		"past 0s steady state: begins",
		"past 1s steady state 100/s 1 []",
		"past 1.5s steady state: injected errors 503 on bank",
		"2s steady state 100/s 0.5 [errors 503 on bank]",
		"3s steady state: heal it: it cannot be",
		"3s steady state: bank ended by itself",
		"3s steady state: something of a later version",
		"4s judging: the load has ended",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}

// A timeline that is written anew, as one is that is rolled up, is gone on with where it
// was left, and nothing of it is told twice.
func TestWatchGoesOnWithATimelineWrittenAnew(t *testing.T) {
	dir, timeline := watchedRun(t)
	for i := range 5 {
		timeline.Add(second(time.Duration(i+1)*time.Second, 100, 0))
	}
	var at []time.Duration
	synctest.Test(t, func(t *testing.T) {
		go func() {
			time.Sleep(lookAgain + 1)
			beside := filepath.Join(dir, "beside")
			f, err := os.OpenFile(beside, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				t.Error(err)
				return
			}
			anew := evidence.TimelineIn(f)
			anew.Add(evidence.Event{Kind: evidence.KindStart, Start: &evidence.Header{Name: "x"}})
			for i := 3; i < 7; i++ {
				anew.Add(second(time.Duration(i+1)*time.Second, 100, 0))
			}
			anew.Add(evidence.Event{At: evidence.Seconds(8 * time.Second), Kind: evidence.KindEnd})
			if err := errors.Join(anew.Close(), os.Rename(beside, filepath.Join(dir, evidence.TimelineFile))); err != nil {
				t.Error(err)
			}
		}()
		if err := Watch(t.Context(), dir, func(p Progress, _ bool) { at = append(at, p.At/time.Second) }); err != nil {
			t.Error(err)
		}
	})
	if want := []time.Duration{1, 2, 3, 4, 5, 6, 7, 8}; !slices.Equal(at, want) {
		t.Errorf("seconds %v, want %v", at, want)
	}
}

// A run is gone when it is not among those alive and records nothing; one that is alive
// may be quiet for as long as it likes.
func TestWatchTellsGoneFromQuiet(t *testing.T) {
	dir, timeline := watchedRun(t)
	timeline.Add(second(time.Second, 100, 0))
	held, err := lease.Open(lease.Options{Name: "x", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	watch := func(t *testing.T, length time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		return Watch(ctx, dir, func(Progress, bool) {})
	}
	synctest.Test(t, func(t *testing.T) {
		if err := watch(t, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("of a run that is alive: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		go func() {
			time.Sleep(5 * time.Second)
			if err := held.Close(); err != nil {
				t.Error(err)
			}
		}()
		began := time.Now()
		var gone Gone
		if err := watch(t, time.Hour); !errors.As(err, &gone) || gone.At != time.Second {
			t.Errorf("of one whose process has ended: %v", err)
		}
		if took := time.Since(began); took < 5*time.Second+quietFor || took > 5*time.Second+4*quietFor {
			t.Errorf("it was told to be gone after %v", took)
		}
	})
	old := time.Now().Add(-lostFor)
	if err := os.Chtimes(filepath.Join(dir, evidence.TimelineFile), old, old); err != nil {
		t.Fatal(err)
	}
	if err := watch(t, time.Minute); !errors.As(err, new(Gone)) {
		t.Errorf("of one that was killed long ago: %v", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := watch(t, time.Minute); err == nil || !strings.Contains(err.Error(), "there is nothing of that name") {
		t.Errorf("of a directory that is removed: %v", err)
	}
}

// A clock on the wall that was set back after a run recorded something keeps nobody
// waiting for what is gone: times of files lie ahead then, as they do here.
func TestWatchBesideAClockSetBack(t *testing.T) {
	dir, timeline := watchedRun(t)
	timeline.Add(second(time.Second, 100, 0))
	notBegun := t.TempDir()
	if err := os.WriteFile(filepath.Join(notBegun, ExperimentFile), []byte("name: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, where := range map[string]string{"of one that recorded something": dir, "of one that had not begun": notBegun} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			began := time.Now()
			err := Watch(ctx, where, func(Progress, bool) {})
			if took := time.Since(began); err == nil || ctx.Err() != nil || took > 2*lostFor {
				t.Errorf("%s: %v after %v", name, err, took)
			}
		})
	}
}
