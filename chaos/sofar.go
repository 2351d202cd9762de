package chaos

import (
	"sync"
	"sync/atomic"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
)

// judgeUpTo is the number of records up to which a watcher is told how the
// claims stand. Reading back more would take the machine from the load.
const judgeUpTo = 100_000

// soFar judges a run that is still going on, for whoever watches it. The
// rulings are provisional: what is not over counts as not seen.
type soFar struct {
	x    *experiment.Experiment
	rec  *recorder
	tell func([]judge.Verdict)

	busy atomic.Bool
	wg   sync.WaitGroup
}

// look judges in the background, unless it still does or there is too much to
// read.
func (s *soFar) look() {
	if s.rec.written.Load() > judgeUpTo {
		s.tell(nil) // rather none than old ones
		return
	}
	if !s.busy.CompareAndSwap(false, true) {
		return
	}
	s.wg.Go(func() {
		defer s.busy.Store(false)
		if run, err := evidence.Read(s.rec.dir); err == nil {
			s.tell(verdicts(s.x, run))
		}
	})
}

// wait returns when no look is under way.
func (s *soFar) wait() { s.wg.Wait() }
