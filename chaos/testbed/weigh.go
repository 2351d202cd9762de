package testbed

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/targets/proc"
)

const (
	// weighEvery is how often the processes of targets are weighed.
	weighEvery = time.Second

	// weighedWithin is how old a weight may be: the kernel may take long to tell.
	weighedWithin = 3 * time.Second
)

// Weights are what the processes of targets take, as they were weighed last.
type Weights struct {
	last atomic.Pointer[weighed]
	done sync.WaitGroup
}

type weighed struct {
	at  time.Time
	all map[string]evidence.TargetTick
}

// Weigh weighs the processes of all targets that were started, every second, until ctx
// is done. It may go on beside Watch and the faults of the Timeline.
func (b *Testbed) Weigh(ctx context.Context) *Weights {
	w := &Weights{}
	if len(b.running) == 0 {
		return w
	}
	w.done.Go(func() {
		var scale proc.Scale
		again := time.NewTicker(weighEvery)
		defer again.Stop()
		for ctx.Err() == nil {
			w.last.Store(&weighed{time.Now(), b.weigh(&scale)})
			select {
			case <-again.C:
			case <-ctx.Done():
			}
		}
	})
	return w
}

func (b *Testbed) weigh(scale *proc.Scale) map[string]evidence.TargetTick {
	pids := map[string]int{}
	var roots []int
	for name, r := range b.running {
		pids[name] = r.Pid()
		roots = append(roots, pids[name])
	}
	slices.Sort(roots)
	of := scale.Weigh(roots)
	all := map[string]evidence.TargetTick{}
	for name, pid := range pids {
		if t, alive := of[pid]; alive {
			all[name] = evidence.TargetTick{Pid: pid, RSS: t.RSS, Files: t.Files, Threads: t.Threads}
		}
	}
	return all
}

// Last is what was weighed last, by target; nil if that was too long ago. It is not
// changed any more.
func (w *Weights) Last() map[string]evidence.TargetTick {
	if last := w.last.Load(); last != nil && time.Since(last.at) < weighedWithin {
		return last.all
	}
	return nil
}

// Wait returns when nothing is weighed any more, after the end of Weigh's ctx.
func (w *Weights) Wait() { w.done.Wait() }
