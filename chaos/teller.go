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

// A teller tells the watcher of progress. It never makes the run wait: what a
// watcher is too slow for it misses, and stop gives up on one that hangs.
type teller struct {
	watch func(Progress)
	queue chan Progress
	done  chan struct{}

	mu     sync.Mutex
	state  Progress // what holds until the next change
	names  map[int]string
	closed bool
}

// newTeller begins to tell of a run whose load lasts for length.
func newTeller(x *experiment.Experiment, length time.Duration, watch func(Progress)) *teller {
	t := &teller{watch: watch, queue: make(chan Progress, 256), done: make(chan struct{}), names: map[int]string{},
		state: Progress{Name: x.Name, Phase: "starting", Total: length, At: -1}}
	go func() {
		defer close(t.done)
		for p := range t.queue {
			if t.watch != nil {
				t.watch(p)
			}
		}
	}()
	return t
}

func (t *teller) stop() {
	t.mu.Lock()
	t.closed = true
	close(t.queue)
	t.mu.Unlock()
	select {
	case <-t.done:
	case <-time.After(time.Second): // its stderr is full and nobody reads it: results must come out all the same
	}
}

// tell changes the state and passes it on with an event, or with "" for a tick.
func (t *teller) tell(event string, change func(p *Progress)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	change(&t.state)
	p := t.state
	p.Event = event
	p.Faults = t.inForce()
	select {
	case t.queue <- p:
	default:
	}
}

func (t *teller) inForce() []string {
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

func (t *teller) event(text string) { t.tell(text, func(*Progress) {}) }

func (t *teller) phase(name, event string) { t.tell(event, func(p *Progress) { p.Phase = name }) }

func (t *teller) injected(i int, name string, err error) {
	if err != nil {
		t.event(err.Error())
		return
	}
	t.tell("injected "+name, func(*Progress) { t.names[i] = name })
}

func (t *teller) healed(i int, name string, err error) {
	if err != nil {
		t.event(err.Error())
		return
	}
	t.tell("healed "+name, func(*Progress) { delete(t.names, i) })
}

// watched tells whether anybody is told.
func (t *teller) watched() bool { return t.watch != nil }

func (t *teller) verdicts(v []judge.Verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.Verdicts = v
}

func (t *teller) tick(at time.Duration, tick evidence.Tick) {
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
