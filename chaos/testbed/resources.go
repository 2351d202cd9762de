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
	// measureEvery is how often the resources of targets are measured.
	measureEvery = time.Second

	// measuredWithin is how old a measurement may be: the kernel may take long to tell.
	measuredWithin = 3 * time.Second
)

// Resources are what the processes of targets take, as it was measured last.
type Resources struct {
	last atomic.Pointer[measured]
	done sync.WaitGroup
}

type measured struct {
	at  time.Time
	all map[string]evidence.TargetTick
}

// MeasureResources measures the processes of all targets that were started, every second,
// until ctx is done. It may go on beside Watch and the faults of the Timeline.
func (b *Testbed) MeasureResources(ctx context.Context) *Resources {
	r := &Resources{}
	if len(b.running) == 0 {
		return r
	}
	r.done.Go(func() {
		var monitor proc.Monitor
		again := time.NewTicker(measureEvery)
		defer again.Stop()
		for ctx.Err() == nil {
			r.last.Store(&measured{time.Now(), b.measure(&monitor)})
			select {
			case <-again.C:
			case <-ctx.Done():
			}
		}
	})
	return r
}

func (b *Testbed) measure(monitor *proc.Monitor) map[string]evidence.TargetTick {
	pids := map[string]int{}
	var roots []int
	for name, r := range b.running {
		pids[name] = r.Pid()
		roots = append(roots, pids[name])
	}
	slices.Sort(roots)
	of := monitor.Measure(roots)
	all := map[string]evidence.TargetTick{}
	for name, pid := range pids {
		if t, alive := of[pid]; alive {
			all[name] = evidence.TargetTick{Pid: pid, RSS: t.RSS, Files: t.Files, Threads: t.Threads}
		}
	}
	return all
}

// Last is what was measured last, by target; nil if that was too long ago. It is not
// changed any more.
func (r *Resources) Last() map[string]evidence.TargetTick {
	if last := r.last.Load(); last != nil && time.Since(last.at) < measuredWithin {
		return last.all
	}
	return nil
}

// Wait returns when nothing is measured any more, after the end of the ctx of
// MeasureResources.
func (r *Resources) Wait() { r.done.Wait() }
