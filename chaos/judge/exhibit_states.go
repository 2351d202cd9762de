package judge

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// lane is the states of a breaker up to a moment.
type lane struct {
	t      *traffic
	at     time.Duration
	last   string // the state up to at; "" is none yet
	states States
}

// until goes on to a moment in a state. What lies behind the lane already, or behind the
// end of the evidence, changes nothing.
func (l *lane) until(to time.Duration, state string) {
	to = min(to, l.t.end)
	if to <= l.at {
		return
	}
	n, calls := len(l.states.Spans), l.t.begun(l.at, to).len()
	switch same := state == l.last; {
	case same && l.states.More == 0:
		s := &l.states.Spans[n-1]
		s.To, s.Calls = evidence.Seconds(to), s.Calls+calls
	case same:
	case n == MaxSpans:
		l.states.More++
	default:
		l.states.Spans = append(l.states.Spans, Span{evidence.Seconds(l.at), evidence.Seconds(to), state, calls})
	}
	l.at, l.last = to, state
}

// statesOf makes them of what was seen of each episode. What looks like open before the
// first episode is open, too: it may be why the breaker was not seen to open in it.
func (b Breaker) statesOf(t *traffic, o *observed, traces []episodeTrace, all []stayed) Exhibit {
	l := lane{t: t, states: States{Link: b.Link, Spans: []Span{}}}
	first := t.end
	if len(traces) > 0 {
		first = traces[0].from
	}
	for _, s := range o.openPeriods {
		if s.to <= first {
			l.until(s.from, StateClosed)
			l.until(s.to, StateOpen)
		}
	}
	for _, c := range all {
		l.follow(c)
	}
	l.until(t.end, StateClosed)
	opened, halves, calls, total := 0, 0, 0, evidence.Seconds(0)
	for _, s := range l.states.Spans {
		switch s.State {
		case StateOpen:
			opened, calls, total = opened+1, calls+s.Calls, total+s.To-s.From
		case StateHalfOpen:
			halves++
		}
	}
	title := fmt.Sprintf("never seen open in %s", short(t.end))
	if opened > 0 {
		title = fmt.Sprintf("open %s, %s of %s, and half-open %s", often(opened), short(total.Duration()), short(t.end), often(halves))
	}
	if calls > 0 {
		title += fmt.Sprintf("; %s while it was open", were(calls, "call was let through", "calls were let through"))
	}
	return Exhibit{Kind: KindStates, Title: title, States: &l.states}
}

// follow goes through one episode.
func (l *lane) follow(c stayed) {
	if len(c.openPeriods) == 0 {
		l.leaky(c)
		return
	}
	for i, s := range c.openPeriods {
		switch {
		case i == 0 && c.seen():
			l.until(c.opening.surely, StateClosed)
		case i == 0:
			l.until(s.from, StateClosed)
		default:
			l.between(c, i-1, s)
		}
		l.until(s.to, StateOpen)
	}
	if last := len(c.openPeriods) - 1; c.openPeriods[last].ended {
		l.until(c.backAfter(last), StateHalfOpen)
	}
}

// between is what it was in between an open period and the next one.
func (l *lane) between(c stayed, before int, next openPeriod) {
	if before >= len(c.stays) || !c.stays[before].probed { // it had closed, or how its probe ended is not known
		l.until(next.from, StateClosed)
		return
	}
	p := c.stays[before].probe
	if p.bad {
		l.until(min(max(p.result, next.from), next.to), StateHalfOpen)
		return
	}
	l.until(min(p.result, next.from), StateHalfOpen)
	l.until(next.from, StateClosed)
}

// leaky is an episode in which it opened and let calls through all along: that is no half-open,
// which waits first.
func (l *lane) leaky(c stayed) {
	l.until(c.opening.surely, StateClosed)
	l.until(c.backAfter(-1), StateOpen)
}

// backAfter is when it was closed again after the open period that was the last: once calls
// flowed, though not before the result of its probe; the end of what is seen of the episode
// if they did not.
func (c stayed) backAfter(last int) time.Duration {
	result, well := time.Duration(0), false
	if last >= 0 && last < len(c.stays) && c.stays[last].probed {
		result, well = c.stays[last].probe.result, !c.stays[last].probe.bad
	}
	switch {
	case well && result <= c.to:
		return result // whether calls flow while a fault is in force is not asked
	case c.closed >= 0:
		return max(c.closed, result)
	}
	return max(c.limit, result)
}
