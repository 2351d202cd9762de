package testbed

import (
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

// Usage is what the processes of one target have used of the CPU since it was
// started, which names it by its pid: after a restart it begins anew.
type Usage struct {
	Pid int
	CPU time.Duration
}

// Usage is that of every target that was started, by name. It may be called beside
// Watch and the faults of the Timeline.
func (b *Testbed) Usage() map[string]Usage {
	all := map[string]Usage{}
	for name, r := range b.running {
		pid := r.Pid()
		all[name] = Usage{pid, proc.TreeCPU(pid)}
	}
	return all
}

// Used is what was used between two looks, by target. One that was started again
// meanwhile is left out, and so is one of which it is not known.
func Used(before, after map[string]Usage) map[string]time.Duration {
	used := map[string]time.Duration{}
	for name, a := range after {
		if b, there := before[name]; there && a.Pid == b.Pid && a.CPU > b.CPU {
			used[name] = a.CPU - b.CPU
		}
	}
	return used
}
