package judge

import (
	"cmp"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Plan is what a run is going to do, as far as its claims depend on it.
type Plan struct {
	End    time.Duration                        // how long arrivals come
	Due    func(from, to time.Duration) float64 // how many arrivals are due in [from, to) on average, over all routes
	Routes []PlannedRoute                       // with the steps that follow them
	Links  map[string]PlannedLink
	Faults []PlannedFault
	Claims []Claim // all of the run: what one says of the system another may rely on

	Keys int // of the data; 0 is a single one

	RateKey   string // the key that says how much load there is: load.rate, load.stages ...
	LengthKey string // the key that says for how long: load.duration, load.stages ...
}

// PlannedRoute is one kind of request.
type PlannedRoute struct {
	Name, To, Method string
	Keyed            bool          // it carries an Idempotency-Key
	Timeout          time.Duration // when its callers give up
	Share            float64       // of the arrivals
	Path             string        // of the route in the experiment, like load.routes[0]
	Writes, Reads    string        // the data that it has to do with; "" is none
}

// PlannedLink is a link as far as it is known before a run.
type PlannedLink struct {
	From, To string
	Wire     string        // what would tell its caller the link's address, in the imperative; "" if something does
	Patience time.Duration // how long its caller waits for an answer; 0 is not known
	Service  time.Duration // how long its callee takes when nothing is wrong; 0 is not known
}

// PlannedFault is a fault as the evidence will name it; Injected and Healed are
// the times planned.
type PlannedFault struct {
	evidence.Injection
	RetryAfter time.Duration // sent with its errors; 0 is none
	First      int           // it takes no more calls than this; 0 is no bound
	ForGood    bool          // it is not healed
}

// onPath lists the faults that concern calls over any of the links.
func (p Plan) onPath(links Links) (all []PlannedFault) {
	for _, f := range p.Faults {
		if slices.ContainsFunc(links, func(name string) bool {
			l, ok := p.Links[name]
			return ok && onPath(&evidence.Link{Name: name, From: l.From, To: l.To}, f.Injection)
		}) {
			all = append(all, f)
		}
	}
	return all
}

// first is when the first fault of all is injected, and its index; the end and
// -1 if there is none.
func (p Plan) first() (at time.Duration, index int) {
	at, index = p.End, -1
	for _, f := range p.Faults {
		if f.Injected < at {
			at, index = f.Injected, f.Index
		}
	}
	return at, index
}

// routes are those whose requests may call over the links: the one named, or
// those that lead to the links' caller; all of them if none does, for then others
// lie between.
func (p Plan) routes(links Links, route string) (own []PlannedRoute) {
	for _, r := range p.Routes {
		calls := func(link string) bool { return p.Links[link].From == r.To }
		if evidence.Selects(route, r.Name) || route == "" && slices.ContainsFunc(links, calls) {
			own = append(own, r)
		}
	}
	if len(own) == 0 {
		return p.Routes
	}
	return own
}

// calls are how many requests that may call over the links are due in [from,
// to). No links are all.
func (p Plan) calls(links Links, route string, from, to time.Duration) float64 {
	if to <= from {
		return 0
	}
	return p.Due(from, to) * share(p.routes(links, route))
}

func share(routes []PlannedRoute) (sum float64) {
	for _, r := range routes {
		sum += r.Share
	}
	return sum
}

// rate is calls per second in [from, to).
func (p Plan) rate(links Links, route string, from, to time.Duration) float64 {
	if to <= from {
		return 0
	}
	return p.calls(links, route, from, to) / (to - from).Seconds()
}

// hits is how many of so many calls a fault takes at most.
func (p Plan) hits(f PlannedFault, calls float64) float64 {
	n := calls * f.Share
	if f.First > 0 {
		n = min(n, float64(f.First))
	}
	return n
}

// patience is how long the callers of a link wait for an answer; 0 is not known.
func (p Plan) patience(links Links) (longest time.Duration) {
	for _, name := range links {
		if p.Links[name].Patience == 0 {
			return 0
		}
		longest = max(longest, p.Links[name].Patience)
	}
	return longest
}

// service is how long calls over the links take when nothing is wrong.
func (p Plan) service(links Links) time.Duration {
	longest := time.Duration(0)
	for _, name := range links {
		longest = max(longest, p.Links[name].Service)
	}
	return cmp.Or(longest, quick)
}

// gives is when callers of the routes give up at the latest.
func gives(routes []PlannedRoute) (longest time.Duration) {
	for _, r := range routes {
		longest = max(longest, r.Timeout)
	}
	return longest
}

// holds is how long a fault holds up a call; fails reports whether the call
// fails by that, as far as is known.
func (p Plan) holds(links Links, f PlannedFault) (stall time.Duration, fails bool) {
	patience := p.patience(links)
	switch does := f.Does(); {
	case does.Ends && !does.Holds:
		return 0, true
	case does.Delays:
		stall = f.Delay.Duration()
		if patience > 0 && stall >= patience {
			return patience, true
		}
		return stall, patience == 0 // callers may wait less
	case !does.Slows && !does.Holds:
		return 0, false
	}
	stall = f.Healed - f.Injected
	if patience > 0 {
		return min(stall, patience), stall >= patience
	}
	return stall, true
}

// delay is how long a call takes at least that a fault makes fail, and at most:
// what the fault itself holds it up, and the latency beside it. How long callers
// wait for what hangs may not be known.
func (p Plan) delay(links Links, f PlannedFault) (least, most time.Duration) {
	patience := p.patience(links)
	if most, _ = p.holds(links, f); patience > 0 {
		least = most
	}
	for _, beside := range p.onPath(links) {
		if beside.Does().Delays && f.Does().Answers && beside.Share >= 0.5 && beside.Injected <= f.Injected && beside.Healed > f.Injected {
			least, most = max(least, beside.Delay.Duration()), max(most, beside.Delay.Duration())
		}
	}
	if patience > 0 {
		least, most = min(least, patience), min(most, patience)
	}
	return least, most
}

// slow is how long a call takes at least, and at most, that begins at a time: by
// all that is in force on the links then.
func (p Plan) slow(links Links, at time.Duration) (least, most time.Duration) {
	patience := p.patience(links)
	for _, f := range p.onPath(links) {
		if f.Injected > at || f.Healed <= at || f.Share < 0.5 {
			continue
		}
		stall, _ := p.holds(links, f)
		most = max(most, min(stall, f.Healed-at))
		if patience > 0 || f.Does().Delays {
			least = max(least, stall)
		}
	}
	if patience > 0 {
		least, most = min(least, patience), min(most, patience)
	}
	return least, most
}

// flies is for how long calls are in progress at most: a fault that ends calls in progress
// hits those that began so long before its injection.
func (p Plan) flies(links Links, f PlannedFault) time.Duration {
	_, most := p.delay(links, f)
	return max(p.service(links), most)
}
