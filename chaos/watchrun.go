package chaos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load/input"
)

const (
	// lookAgain is how often the timeline of a run that is watched is looked at.
	lookAgain = 200 * time.Millisecond

	// A run that recorded nothing for so long is looked for. It records something every
	// second, once its warm-up is over.
	quietFor = 2 * time.Second

	// A run that is not found among those of this user may be another user's. It is
	// taken for gone when it recorded nothing for so long.
	lostFor = 10 * time.Second
)

// Gone says of a run that was watched that it is there no more, and that its end is
// not recorded. What it saw can be judged.
type Gone struct {
	Dir string
	At  time.Duration // on its clock, when it recorded something last
}

func (g Gone) Error() string {
	return fmt.Sprintf("the run of %s is gone: its timeline ends at %s without an end, because it was killed, could not write, or the "+
		"machine went down; its guardian undoes what it had in force, and stormctl heal what that could not", g.Dir,
		g.At.Round(100*time.Millisecond))
}

// Watch tells show how the run in dir goes on, by what it records, and returns when
// its end is recorded. past is for what was recorded before it was looked at first:
// seconds, as Progress without an Event, and events. show must not block for long.
//
// An error is a Gone where the run is there no more, or says why there is nothing to
// watch, or is the cause of ctx.
func Watch(ctx context.Context, dir string, show func(p Progress, past bool)) error {
	w := &watcher{dir: dir, show: show, events: evidence.TailEvents(dir), heard: time.Now()}
	w.tracker = &tracker{watch: w.tell, names: map[int]string{},
		state: Progress{Name: filepath.Base(dir), Phase: "starting", At: -1}}
	defer w.claims.wait()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for w.past = true; ; w.past = false {
		if err := w.look(); err != nil || w.ended {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-again.C:
		}
	}
}

// watcher is one run that is watched. All but claims is used by one goroutine.
type watcher struct {
	dir     string
	show    func(p Progress, past bool)
	events  *evidence.EventTail
	tracker *tracker
	claims  provisional

	past  bool // what is read now was recorded before anybody looked
	begun bool // it has a timeline
	ended bool // and its end is in it
	found bool // it was among the runs of this user that are alive
	names []string
	last  time.Duration // when it recorded something last, on its clock
	heard time.Time     // when that was read
	asked time.Time     // when it was looked for last
	lost  time.Time     // since when it was not found; zero while it is
}

func (w *watcher) tell(p Progress) { w.show(p, w.past) }

// look takes in what is new. The error says that nothing more will be.
func (w *watcher) look() error {
	now := time.Now()
	quiet := w.past || now.Sub(w.heard) >= quietFor && now.Sub(w.asked) >= quietFor
	alive := true
	if quiet { // looked at before the timeline: a run that ends meanwhile has its end in it
		w.asked = now
		alive = goesOn(w.dir)
		if w.found = w.found || alive; alive {
			w.lost = time.Time{}
		} else if w.lost.IsZero() {
			w.lost = now
		}
	}
	news := false
	err := w.events.Read(func(e evidence.Event) {
		news = true
		w.take(e)
	})
	switch {
	case errors.Is(err, fs.ErrNotExist) && !w.past:
		return fmt.Errorf("run directory %s is gone: it was removed", w.dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read the timeline of %s: %w", w.dir, err)
	}
	if news {
		w.heard = now
	}
	if w.ended || alive || news && !w.past {
		return nil
	}
	return w.missing()
}

// missing says of a run that is not alive, as far as can be seen, that it is gone; nil
// if that cannot be said yet.
func (w *watcher) missing() error {
	if !w.begun {
		info, err := input.StatBelow(w.dir, ExperimentFile)
		if err == nil && time.Since(info.ModTime()) < lostFor && time.Since(w.heard) < lostFor { // the clock on the wall may be set back
			if _, err := os.Lstat(filepath.Join(w.dir, notStartedFile)); errors.Is(err, fs.ErrNotExist) {
				return nil // it has only just come
			}
		}
		return begun(w.dir, false)
	}
	quiet := time.Since(w.heard)
	if w.past {
		quiet = w.events.Since()
	}
	if w.found && time.Since(w.lost) >= quietFor || quiet >= lostFor {
		return Gone{Dir: w.dir, At: w.last}
	}
	return nil
}

// take passes on one event.
func (w *watcher) take(e evidence.Event) {
	at := e.At.Duration()
	w.last = max(w.last, at)
	say := func(text string) { w.tracker.tell(text, func(p *Progress) { p.At = at }) }
	switch e.Kind {
	case evidence.KindStart:
		w.begin(e.Start)
	case evidence.KindPhase:
		w.tracker.tell("begins", func(p *Progress) { p.At, p.Phase = at, e.Text })
	case evidence.KindInject, evidence.KindHeal:
		w.fault(e)
	case evidence.KindTick:
		w.tick(at, e.Tick)
	case evidence.KindGate:
		say("nothing is injected: " + e.Text)
	case evidence.KindStop:
		say("the run is cut short: " + e.Text)
	case evidence.KindEnd:
		w.ended = true
		w.tracker.tell("the load has ended", func(p *Progress) { p.At, p.Phase = w.last, "judging" }) // the last arrival was due before
	default:
		if e.Text != "" {
			say(e.Text)
		}
	}
}

// begin takes in what was going to happen.
func (w *watcher) begin(h *evidence.Header) {
	w.begun = true
	if h == nil {
		return
	}
	for _, f := range h.Faults {
		w.names = append(w.names, f.Name)
	}
	w.tracker.mu.Lock()
	w.tracker.state.Name, w.tracker.state.Total = h.Name, h.Load.Duration()
	w.tracker.mu.Unlock()

	w.claims.dir, w.claims.tell = w.dir, w.tracker.verdicts
	w.claims.now = func() time.Duration { return max(0, time.Since(h.Started)) }
	path := filepath.Join(w.dir, ExperimentFile)
	text, err := input.ReadBelow(w.dir, ExperimentFile, experiment.File)
	if err == nil {
		w.claims.x, _ = experiment.Parse(path, text, experiment.Options{}) // without it claims are not judged before the end
	}
}

func (w *watcher) fault(e evidence.Event) {
	i, at := e.Fault-1, e.At.Duration()
	if i < 0 || i >= len(w.names) {
		return
	}
	switch {
	case e.Error != "":
		w.tracker.tell(e.Error, func(p *Progress) { p.At = at })
	case e.Kind == evidence.KindInject:
		w.tracker.injected(i, w.names[i], at, nil)
	default:
		w.tracker.healed(i, w.names[i], at, nil)
	}
}

func (w *watcher) tick(at time.Duration, t *evidence.Tick) {
	if t == nil {
		return
	}
	w.tracker.tick(at, *t)
	if !w.past && w.claims.x != nil && int(at.Seconds())%2 == 0 {
		w.claims.look()
	}
}
