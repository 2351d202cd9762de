package judge

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// Timeout claims that callers of Route are answered within a bound while the
// dependency behind Link hangs.
//
// Every request of the route sent while a fault was in force counts, and every
// one whose call a fault hit: those that queued in the system behind hanging
// calls waited too. A request that the load itself gave up on would have waited
// for longer, by an unknown time. A bound that was never tested has not
// held: it takes calls that a system without a timeout would have seen hang for
// longer. A breaker that opens and spares the later callers is fine: ten will do.
type Timeout struct {
	Link   string        `yaml:"link"`   // The link whose calls hang.
	Route  string        `yaml:"route"`  // The route that causes them.
	Within time.Duration `yaml:"within"` // At most so long waits any caller while a fault is in force, from sending to its answer.
}

// leastHung is how many calls must have hung.
const leastHung = 10

func (c Timeout) String() string {
	return fmt.Sprintf("timeout of %s over %s: callers are answered within %s while it hangs", orAll(c.Route), c.Link, c.Within)
}

// Judge implements Claim.
func (c Timeout) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "timeout")
	f.over(c.Link)
	t, why := trafficOf(run, c.Link, c.Route)
	if why != "" {
		f.open("within", "%s", why)
		return f.verdict()
	}
	here := func(i evidence.Injection) bool { return onPath(t.link, i) }
	spans := episodes(run, 0, here)
	if len(spans) == 0 {
		f.open("within", "%s: nothing hung: add a partition, or latency above the bound",
			noEpisode(run, " on "+strconv.Quote(c.Link), here))
		return f.verdict()
	}
	f.rests(spans[0].from-time.Second, min(spans[len(spans)-1].to, t.end), onTimes)
	tried := c.tried(t, spans)
	longest := time.Duration(tried.longest.High)
	longestWait(f, tried.waited)
	f.show(func() Exhibit { return c.waitsOver(t, spans, longest) })
	f.numbers.Add("hung", float64(tried.hung))
	f.numbers.Add("requests", float64(tried.waited.len()))
	f.numbers.Add("answered", float64(tried.answered))
	f.numbers.Add("too_late", float64(len(tried.late)))
	f.numbers.AddTime("max", longest)
	f.numbers.AddTime("p99", percentile(serviceTimes(tried.waited), 0.99))

	m := measure{name: "within", unit: timed, seen: tried.longest, allowed: atMost(c.Within), sample: tried.waited.len(), ids: tried.late,
		says: fmt.Sprintf("%d calls hung; all %d callers were answered, the last after %s", tried.hung, tried.answered, short(longest)),
		refutes: fmt.Sprintf("%d of %d callers waited longer than %s while %q hung, the longest %s",
			len(tried.late), tried.waited.len(), short(c.Within), c.Link, short(longest)),
		hidden: noiseText(longest - time.Duration(tried.longest.Low)), settle: quieter}
	if tried.gaveUp > 0 {
		m.seen.High, m.hidden = math.Inf(1), ""
		m.says = fmt.Sprintf("the load gave up on %s after %s", were(tried.gaveUp, "request", "requests"), short(longest))
		m.settle = "give the route a longer timeout"
	}
	// What is refuted was tested well enough.
	if tried.hung >= leastHung || m.seen.against(m.allowed) != Held {
		f.rule(m)
	} else {
		f.open("within", "%q hardly ever hung for longer than %s: %s; at least %d are needed. Use a partition, or latency above the bound",
			c.Link, short(c.Within), were(tried.hung, "call would have", "calls would have"), leastHung)
	}
	if !t.matched {
		f.remark("", "request ids do not reach %q: calls are told from requests by their time only", c.Link)
	}
	return f.verdict()
}

// exposure is what the callers went through while the dependency hung.
type exposure struct {
	hung     int      // calls that without a timeout would have lasted longer than the bound
	waited   arrivals // requests that may have had to wait for it
	answered int      // of them, those that got a whole response
	gaveUp   int      // of them, those the load itself gave up on
	longest  Interval // wait of any of them, if the load gave up on none
	late     []uint64 // of them, those that waited longer than the bound
}

func (c Timeout) tried(t *traffic, spans []span) exposure {
	var tr exposure
	for i, x := range t.calls.all() {
		for _, s := range spans {
			if s.hit(x) && c.hangs(t, s, x) && !c.hungBefore(t, spans, i) {
				tr.hung++
				if x.ID != 0 {
					break
				}
			}
		}
	}
	tr.waited = t.waitedIn(spans)
	for _, s := range tr.waited.all() {
		switch {
		case answered(s):
			tr.answered++
		case s.Outcome == load.TimedOut:
			tr.gaveUp++
		}
		tr.longest.High = max(tr.longest.High, float64(s.ServiceTime()))
		if float64(s.ServiceTime()) > tr.longest.Low {
			tr.longest.Low = max(tr.longest.Low, float64(s.ServiceTime()-blur(t.run, s.Sent, s.Done)))
		}
		if s.ServiceTime() > c.Within {
			tr.late = append(tr.late, s.ID)
		}
	}
	return tr
}

// waitedIn are the requests that may have had to wait for faults on the link, all
// of which the spans are. Claims share it.
func (t *traffic) waitedIn(spans []span) arrivals {
	type key struct{ waited, route string }
	type of struct {
		traffic *traffic
		spans   string
	}
	return evidence.Memoized(t.run, key{t.link.Name, t.name}, of{t, fmt.Sprint(spans)}, func() arrivals {
		return t.requests.where(func(s *load.Sample) bool {
			return slices.ContainsFunc(spans, func(e span) bool { return s.Sent >= e.from && s.Sent < e.to }) || hitAny(t, spans, s)
		})
	})
}

// hitAny reports whether a fault hit a call of the request.
func hitAny(t *traffic, spans []span, s *load.Sample) bool {
	return slices.ContainsFunc(t.made(s.ID), func(at int32) bool {
		return slices.ContainsFunc(spans, func(e span) bool { return e.hit(&t.link.Exchanges[at]) })
	})
}

// hungBefore reports whether a call before the i-th, of the same request, hung.
func (c Timeout) hungBefore(t *traffic, spans []span, i int) bool {
	for _, at := range t.made(t.calls.get(i).ID) {
		if at >= t.calls.place(i) {
			break
		}
		x := &t.link.Exchanges[at]
		if slices.ContainsFunc(spans, func(s span) bool { return s.hit(x) && c.hangs(t, s, x) }) {
			return true
		}
	}
	return false
}

// hangs reports whether a system without a timeout would have had to wait for
// the call for longer than the bound: it did last that long, or a fault that
// hit it would have held it that long had its caller not left.
func (c Timeout) hangs(t *traffic, s span, x *evidence.Exchange) bool {
	if x.Duration() >= c.Within {
		return true
	}
	return slices.ContainsFunc(s.faults, func(f evidence.Injection) bool {
		switch does := f.Does(); {
		case does.Delays:
			if f.Ramp > 0 && x.Begin-f.Injected < f.Ramp.Duration() || f.Delay.Duration() < c.Within {
				return false // it is not that long, or had not grown so far
			}
		case !does.Holds:
			return false
		}
		if f.Cycle {
			return false // how long it would have hung is not known
		}
		healed := f.Healed
		if healed < 0 {
			healed = t.end
		}
		return f.Touched(x) && x.Ending == evidence.CallerGone && healed-max(x.Begin, f.Injected) >= c.Within
	})
}
