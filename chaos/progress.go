package chaos

import (
	"slices"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/watch"
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
	start time.Time  // of the load's clock; zero while it is not known
	names map[int]string

	ticked            time.Duration // when the last tick was, on the load's clock
	ticks             bool          // there was one
	offered, achieved watch.Rate
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

// begin sets the start of the load's clock, on which events are told from here on.
func (t *tracker) begin(start time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.start = start
}

// now moves the progress to the present: an event does not happen at the tick
// before it.
func (t *tracker) now(p *Progress) {
	if at := time.Since(t.start); !t.start.IsZero() && at >= 0 {
		p.At = at
	}
}

func (t *tracker) event(text string) { t.tell(text, t.now) }

func (t *tracker) phase(name, event string) {
	t.tell(event, func(p *Progress) { t.now(p); p.Phase = name })
}

// injected tells of a fault that came into force at a time on the load's clock,
// the one that the evidence has.
func (t *tracker) injected(i int, name string, at time.Duration, err error) {
	if err != nil {
		t.event(err.Error())
		return
	}
	t.tell("injected "+name, func(p *Progress) { p.At = at; t.names[i] = name })
}

func (t *tracker) healed(i int, name string, at time.Duration, err error) {
	if err != nil {
		t.event(err.Error())
		return
	}
	t.tell("healed "+name, func(p *Progress) { p.At = at; delete(t.names, i) })
}

// watched reports whether anybody is told.
func (t *tracker) watched() bool { return t.watch != nil }

func (t *tracker) verdicts(v []judge.Verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.Verdicts = v
}

// chapter tells what a chapter of a soak came to, and the claims with it.
func (t *tracker) chapter(text string, sofar []judge.Verdict) {
	t.verdicts(sofar)
	t.event(text)
}

// resumed says that ticks go on at a time on the load's clock.
func (t *tracker) resumed(at time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ticks, t.ticked = true, at
}

// since is how long a tick has taken: the first one begins where the load's clock does, or
// a second before in a warm-up.
func (t *tracker) since(at time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ticks && at <= 0 {
		t.ticked = at - time.Second
	}
	span := at - t.ticked
	t.ticks, t.ticked = true, at
	return span
}

func (t *tracker) tick(at time.Duration, tick evidence.Tick) {
	var ok, ended uint64
	for _, outcomes := range tick.Routes {
		ok += outcomes[load.OK]
		for _, n := range outcomes {
			ended += n
		}
	}
	span := t.since(at)
	if at > span && watch.Tail(ended, span) {
		return
	}
	t.tell("", func(p *Progress) {
		p.At = at
		p.Offered, p.Achieved = t.offered.Next(float64(tick.Offered), span), t.achieved.Next(float64(tick.Ended-tick.Steps), span)
		p.Success = 0
		if ended > 0 {
			p.Success = float64(ok) / float64(ended)
		}
		p.P50, p.P99, p.LagP99 = tick.P50.Duration(), tick.P99.Duration(), tick.LagP99.Duration()
	})
}

// Stopped is the cause of a run that ended before its time.
type Stopped struct{ Why string }

func (s Stopped) Error() string { return s.Why }
