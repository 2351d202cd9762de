package chaos

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

const (
	// judgedAtOnce is how many records a watcher is told of together: at 500/s, each
	// with a call, half a minute. They take some 4 MB.
	judgedAtOnce = 1 << 15

	// A look that took a while is the last one for so many times as long: it takes
	// no more than 2% of a core from the load.
	lookShare = 50
)

// provisional judges a run that is still going on, for whoever watches it. The
// rulings are provisional: what is not over counts as not seen.
//
// It judges what fits in its memory, one stretch of the run after the other (see
// evidence.Follower), in bounded memory and time to the end of the run, at any
// rate. A run of which all fits is judged as it will be on disk. Otherwise a
// claim is shown with what the present stretch says of it, or an earlier one if
// that says more: a contradiction stands until the run is over, and what was seen
// to hold stands until it is contradicted. That is all that is shown, and is less
// than a ruling: what shows only in all of the run together, like a leak from
// one episode to the next, does not show yet.
type provisional struct {
	x    *experiment.Experiment
	dir  string               // of the run
	now  func() time.Duration // since the start of the load
	tell func([]judge.Verdict)

	busy atomic.Bool
	wg   sync.WaitGroup

	// Of the look that is under way.
	follower *evidence.Follower
	stretch  int             // the one that last is of
	last     []judge.Verdict // as it was ruled on last
	before   []judge.Verdict // what the stretches before it came to
	rest     time.Time       // no look before then
}

// look judges in the background, unless it still does or is to rest.
func (p *provisional) look() {
	if !p.busy.CompareAndSwap(false, true) {
		return
	}
	began := time.Now()
	if began.Before(p.rest) {
		p.busy.Store(false)
		return
	}
	p.wg.Go(func() {
		defer p.busy.Store(false)
		if told := p.judge(); told != nil {
			p.tell(told)
		}
		p.rest = time.Now().Add(lookShare * time.Since(began))
	})
}

// judge is how the claims stand; nil if that has not changed.
func (p *provisional) judge() []judge.Verdict {
	if p.follower == nil {
		p.follower = evidence.Follow(p.dir, judgedAtOnce, p.now)
	}
	stretch, err := p.follower.Read()
	if err != nil || stretch == nil {
		return nil
	}
	if stretch.Number != p.stretch {
		p.stretch, p.before, p.last = stretch.Number, standing(p.before, p.last), nil
	}
	stretch.Brief = true
	p.last = result.Verdicts(p.x, stretch.Run)
	if stretch.From > 0 || stretch.Ended {
		for i := range p.last {
			p.last[i].Reason += fmt.Sprintf(" (so far; of the run from %s to %s)",
				stretch.From.Round(time.Millisecond), stretch.To.Round(time.Millisecond))
		}
	}
	return standing(p.before, p.last)
}

// standing is how claims stand after what was before and what is now: what was
// decided stands beside what was not, and a contradiction beside anything.
func standing(before, now []judge.Verdict) []judge.Verdict {
	if before == nil || now == nil {
		return append(before, now...)
	}
	all := make([]judge.Verdict, len(now))
	for i, v := range now {
		if b := before[i].Ruling; v.Ruling != judge.Refuted && (b == judge.Refuted || b == judge.Held && v.Ruling == judge.Inconclusive) {
			v = before[i]
		}
		all[i] = v
	}
	return all
}

// wait returns when no look is under way.
func (p *provisional) wait() { p.wg.Wait() }
