package chaos

import (
	"slices"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load"
)

// Progress is what a watcher is told while a run goes on: at every change of
// phase, at every event, and once a second.
type Progress struct {
	Name     string          // the experiment
	Phase    string          // starting, steady state, chaos, healed, judging
	At       time.Duration   // since the start of the load; negative before it
	Total    time.Duration   // how long the load lasts
	Event    string          // what just happened, in a line; "" for the tick of a second
	Offered  float64         // arrivals per second, over the last second
	Achieved float64         // requests that ended per second, over the last second
	Success  float64         // share of ok among what ended in the last second, 0 to 1
	P50, P99 time.Duration   // response time over the last second
	P999     time.Duration   // the same, where it is known
	LagP99   time.Duration   // send lag over the last second
	Faults   []string        // in force now
	Verdicts []judge.Verdict // so far, provisional; nil if not judged now
}

// A tracker keeps the progress of a run and passes every change on. Its methods
// may be called from different goroutines at once.
type tracker struct {
	watch func(Progress)      // must not block; nil is not told
	mask  func(string) string // of events; nil leaves them as they are

	mu    sync.Mutex // held while watch is called, so that changes arrive in order
	state Progress   // what holds until the next change
	names map[int]string
}

// newTracker is that of a run whose load lasts for length.
func newTracker(x *experiment.Experiment, length time.Duration, watch func(Progress)) *tracker {
	return &tracker{watch: watch, names: map[int]string{}, state: Progress{Name: x.Name, Phase: "starting", Total: length, At: -1}}
}

// tell changes the state and passes it on with an event, or with "" for a tick.
func (t *tracker) tell(event string, change func(p *Progress)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.state)
	if !t.watched() {
		return
	}
	p := t.state
	p.Event = event
	if t.mask != nil {
		p.Event = t.mask(event)
	}
	p.Faults = t.inForce()
	t.watch(p)
}

func (t *tracker) inForce() []string {
	var indexes []int
	for i := range t.names {
		indexes = append(indexes, i)
	}
	slices.Sort(indexes)
	var names []string
	for _, i := range indexes {
		names = append(names, t.names[i])
	}
	return names
}

func (t *tracker) event(text string) { t.tell(text, func(*Progress) {}) }

func (t *tracker) phase(name, event string) { t.tell(event, func(p *Progress) { p.Phase = name }) }

func (t *tracker) injected(i int, name string, err error) {
	if err != nil {
		t.event(err.Error())
		return
	}
	t.tell("injected "+name, func(*Progress) { t.names[i] = name })
}

func (t *tracker) healed(i int, name string, err error) {
	if err != nil {
		t.event(err.Error())
		return
	}
	t.tell("healed "+name, func(*Progress) { delete(t.names, i) })
}

// watched reports whether progress is asked for.
// watched reports whether anybody is told.
func (t *tracker) watched() bool { return t.watch != nil }

func (t *tracker) verdicts(v []judge.Verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.Verdicts = v
}

func (t *tracker) tick(at time.Duration, tick evidence.Tick) {
	var ok, ended uint64
	for _, outcomes := range tick.Routes {
		ok += outcomes[load.OK]
		for _, n := range outcomes {
			ended += n
		}
	}
	t.tell("", func(p *Progress) {
		p.At = at
		p.Offered, p.Achieved = float64(tick.Offered), float64(tick.Ended-tick.Steps)
		p.Success = 0
		if ended > 0 {
			p.Success = float64(ok) / float64(ended)
		}
		p.P50, p.P99, p.LagP99 = tick.P50.Duration(), tick.P99.Duration(), tick.LagP99.Duration()
	})
}
