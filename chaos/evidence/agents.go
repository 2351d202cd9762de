package evidence

import "time"

// LostAgent is an agent that was lost while it sent a part of the load.
type LostAgent struct {
	At    time.Duration
	Agent string
	Text  string // why
}

// Where agents send the load, the harness is on several machines, and well where all of
// them are: what one knew of itself is put into the ticks of the same time. Their ticks
// come when they come, before ours or after it.

// agentTick puts a tick of an agent into those of its time, also into one that is yet to
// come.
func (r *Run) agentTick(at time.Duration, t Tick) {
	t.At = at
	for i := len(r.Ticks) - 1; i >= 0 && r.Ticks[i].At >= t.begin(); i-- {
		r.Ticks[i].with(&t, r.TickFrom(i))
	}
	if n := len(r.Ticks); n == 0 || r.Ticks[n-1].At < at {
		r.agents = append(r.agents, t)
	}
}

// fold puts the ticks of agents that wait into the newest of ours.
func (r *Run) fold() {
	i := len(r.Ticks) - 1
	kept := r.agents[:0]
	for _, t := range r.agents {
		if t.begin() <= r.Ticks[i].At {
			r.Ticks[i].with(&t, r.TickFrom(i))
		}
		if t.At > r.Ticks[i].At {
			kept = append(kept, t)
		}
	}
	r.agents = kept
}

// begin is when the second of a tick began, at the latest where it stood still.
func (t *Tick) begin() time.Duration { return t.At - max(time.Second, t.HiccupMax.Duration()) }

// with takes the harness of an agent into account: the worst of each figure. What adds up
// does so in the tick that the agent's ended in.
func (t *Tick) with(agent *Tick, from time.Duration) {
	if agent.At <= from {
		return
	}
	t.LateP99 = max(t.LateP99, agent.LateP99)
	t.HiccupP99, t.HiccupMax = max(t.HiccupP99, agent.HiccupP99), max(t.HiccupMax, agent.HiccupMax)
	t.Pause, t.Busy = max(t.Pause, agent.Pause), max(t.Busy, agent.Busy)
	t.Pressure, t.Steal = max(t.Pressure, agent.Pressure), max(t.Steal, agent.Steal)
	t.Clock = max(t.Clock, agent.Clock)
	if agent.At <= t.At {
		t.CPU, t.Cores, t.Runnable = t.CPU+agent.CPU, t.Cores+agent.Cores, t.Runnable+agent.Runnable
		t.Starved, t.DialLimited = t.Starved+agent.Starved, t.DialLimited+agent.DialLimited
	}
}
