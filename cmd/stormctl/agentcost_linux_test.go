package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/agents"
	"github.com/stormctl/stormctl/targets/proc"
)

var agentCost = flag.Duration("agent-cost", 0, "for how long to measure what a coordinator and its broker cost; 0 does not")

// spent is what a field has used and done until a moment.
type spent struct {
	at               time.Time
	leads, sends     time.Duration // CPU of the run, and of its agents
	requests, handed int64         // that the service has seen, and bytes that agents have handed over
}

func (f *field) spent() spent {
	s := spent{at: time.Now(), leads: proc.CPU(f.run.Process.Pid), requests: f.seen[0].Load() + f.seen[1].Load()}
	for _, a := range f.agents {
		s.sends += proc.CPU(a.Process.Pid)
	}
	feeds, _ := filepath.Glob(f.file("tmp/feed-*"))
	for _, feed := range feeds {
		if info, err := os.Stat(feed); err == nil {
			s.handed += info.Size()
		}
	}
	return s
}

// A coordinator and its broker take no more than 2% of a core for each agent, whatever
// these send. It is measured while the load goes on; recording what is left and judging
// come after it.
func TestAgentCost(t *testing.T) {
	if *agentCost == 0 {
		t.Skip("it measures: -agent-cost 20s, on a quiet machine")
	}
	for _, c := range []struct{ agents, rate int }{{1, 1}, {3, 3}, {1, 2000}, {3, 3000}, {1, 8000}, {2, 10000}} {
		f := newField(t)
		token, addr := agents.NewToken(), freeAddr(t)
		f.lead(f.experiment(c.rate, *agentCost+4*time.Second, false), addr, addr, token, c.agents, "--agents-listen", addr)
		time.Sleep(time.Second)
		a := f.spent()
		time.Sleep(*agentCost)
		b := f.spent()
		took, requests := b.at.Sub(a.at).Seconds(), b.requests-a.requests
		share := (b.leads - a.leads).Seconds() / took / float64(c.agents)
		if err := f.run.Wait(); err != nil && !strings.Contains(err.Error(), "exit status") {
			t.Error(err)
		}
		after := f.run.ProcessState.UserTime() + f.run.ProcessState.SystemTime() - b.leads
		t.Logf("%d agents, %.0f requests a second: %.2f%% of a core for each agent at the coordinator; %.1f µs of CPU a request at agents; "+
			"%.0f bytes a second from each, %.1f a request; afterwards %v of CPU, which is %.1f µs a request", c.agents, float64(requests)/took,
			100*share, (b.sends-a.sends).Seconds()*1e6/float64(requests), float64(b.handed-a.handed)/took/float64(c.agents),
			float64(b.handed-a.handed)/float64(requests), after.Round(time.Millisecond), after.Seconds()*1e6/float64(b.requests))
		if share > 0.02 {
			t.Errorf("%d agents at %d/s: %.2f%% of a core for each", c.agents, c.rate, 100*share)
		}
	}
}
