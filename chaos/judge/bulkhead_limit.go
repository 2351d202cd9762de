package judge

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// The limit is a census of the calls in progress. A call counts from the begin
// to the end of its exchange. Where it was not answered, the relay may have seen
// its end late by the host's noise: that is taken off, and what is left of such
// calls must last.
//
// What the system did at most is known only of a bulkhead that was full: as
// many calls in progress as places, and others turned away.

// judgeLimit looks at the whole run, for the limit holds at all times.
func (c Bulkhead) judgeLimit(f *finding, link *evidence.Link, fills []saturation, noise time.Duration) {
	sure := profileOver(f.run, link, late(noise))
	replies := profileOf(link.Exchanges, trimming{late: true, replies: true, noise: noise}.of)
	most, at := sure.most(0, link.Exchanges[len(link.Exchanges)-1].Begin)
	f.numbers.Add("in_progress_max", float64(most))
	for i, e := range slowest(fills) {
		f.numbers.Add(fmt.Sprintf("episode_%d_in_progress_max", i+1), float64(e.peak))
		f.numbers.Add(fmt.Sprintf("episode_%d_turned_away", i+1), float64(e.rejected.len()))
	}
	proven := max(replies.level(0), sure.level(noise))
	if c.Limit <= 0 {
		f.remark("limit", "up to %d calls were in progress on %q at one time", proven, c.Link)
		return
	}
	m := measure{name: "limit", allowed: atMost(c.Limit), sample: len(link.Exchanges),
		says:    fmt.Sprintf("up to %d calls were in progress on %q at one time", proven, c.Link),
		refutes: fmt.Sprintf("%d calls were in progress on %q at %s", most, c.Link, short(at)), ids: during(link.Exchanges, at)}
	places, seen := full(fills)
	switch {
	case !seen:
		m.seen = Interval{float64(proven), math.Inf(1)}
		if rejected := rejectedIn(fills); rejected > 0 {
			m.says += fmt.Sprintf(", and %s turned away, but it was not seen that it was full then", were(rejected, "was", "were"))
			m.hidden = noiseText(noise)
			m.settle = "longer calls, or a host that has its cores to itself, would show it"
		} else {
			m.says = "the bulkhead was never full: " + m.says + ", and none was turned away"
			m.settle = "offer more load or longer latency, and let the system pass on X-Request-Id or traceparent, which tells the calls " +
				"that are turned away"
		}
	default:
		places = max(places, most, profileOver(f.run, link, asSeen).lasting(noise))
		m.seen = interval(proven, max(proven, places))
		m.says = fmt.Sprintf("it was full at %d calls and took no more", places)
		m.hidden = fmt.Sprintf("the host's noise of %s, within which the ends of calls that nobody answered are known", short(noise))
		m.settle = "longer calls would show it"
		if places < c.Limit {
			m.says += fmt.Sprintf(", so that the real limit is smaller than %d", c.Limit)
		}
	}
	f.rule(m)
}

func rejectedIn(fills []saturation) int {
	n := 0
	for _, e := range fills {
		n += e.rejected.len()
	}
	return n
}

// slowest are the episodes whose faults keep calls in progress, all if there is
// none.
func slowest(fills []saturation) []saturation {
	patient := slices.ContainsFunc(fills, saturation.slows)
	return slices.DeleteFunc(slices.Clone(fills), func(e saturation) bool { return patient && !e.slows() })
}
