package evidence

import (
	"cmp"
	"maps"
	"time"
)

// Seconds that are merged into one: what was counted is summed, the use of the CPU is
// the mean, and of everything else the worst second counts, so that what was wrong in
// one of them is not evened out.

// Spans is how many seconds are merged in it.
func (t *Tick) Spans() int { return max(1, t.Span) }

// Merge adds the tick that follows; longest is how long the longest second in that was.
func (t *Tick) Merge(next *Tick, longest time.Duration) {
	a, b := float64(t.Spans()), float64(next.Spans())
	mean := func(x, y float64) float64 { return (x*a + y*b) / (a + b) }
	t.CPU = mean(t.CPU, next.CPU)
	if t.Steal < 0 || next.Steal < 0 {
		t.Steal = -1
	} else {
		t.Steal = mean(t.Steal, next.Steal)
	}
	t.At, t.Span, t.Longest = next.At, t.Spans()+next.Spans(), max(t.Longest, Seconds(longest))
	t.Offered += next.Offered
	t.Ended += next.Ended
	t.Unsent += next.Unsent
	t.Steps += next.Steps
	t.DialLimited += next.DialLimited
	t.Starved += next.Starved
	t.Lost = max(t.Lost, next.Lost)
	for _, worst := range [][2]*Seconds{
		{&t.P50, &next.P50}, {&t.P99, &next.P99}, {&t.LagP50, &next.LagP50}, {&t.LagP99, &next.LagP99}, {&t.LagMax, &next.LagMax},
		{&t.LateP99, &next.LateP99}, {&t.HiccupP99, &next.HiccupP99}, {&t.HiccupMax, &next.HiccupMax}, {&t.Pause, &next.Pause},
	} {
		*worst[0] = max(*worst[0], *worst[1])
	}
	t.Busy, t.Pressure, t.Cores = max(t.Busy, next.Busy), max(t.Pressure, next.Pressure), max(t.Cores, next.Cores)
	t.Runnable = max(t.Runnable, next.Runnable)
	t.Extent = Extent{}
	t.Routes = maps.Clone(t.Routes)
	for name, more := range next.Routes {
		sum := t.Routes[name]
		for i, n := range more {
			sum[i] += n
		}
		if t.Routes == nil {
			t.Routes = map[string][len(sum)]uint64{}
		}
		t.Routes[name] = sum
	}
	t.Links = maps.Clone(t.Links)
	for name, more := range next.Links {
		l := t.Links[name]
		l.Ended += more.Ended
		l.Errors += more.Errors
		l.P99, l.InFlight, l.Extent = max(l.P99, more.P99), max(l.InFlight, more.InFlight), Extent{}
		l.Peak = max(l.Peak, more.Peak)
		l.Unread = max(l.Unread, more.Unread)
		l.FirstUnread = cmp.Or(l.FirstUnread, more.FirstUnread)
		if t.Links == nil {
			t.Links = map[string]LinkTick{}
		}
		t.Links[name] = l
	}
}
