package judge

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Power is whether a plan can decide a claim at all, asked before anything
// runs. A claim names the parts of it that would come out inconclusive however
// the system behaves, and those that a system that breaks them could not be
// refuted on, with the key to turn. What is not known before a run (how long the
// system waits for an answer, which requests call where) is taken to be as it
// suits the claim: a weakness is one in any case.

// Plan is what a run is going to do, as far as its claims depend on it.
type Plan struct {
	End    time.Duration                        // how long arrivals come
	Due    func(from, to time.Duration) float64 // how many arrivals are due in [from, to) on average, over all routes
	Routes []PlannedRoute                       // with the steps that follow them
	Links  map[string]PlannedLink
	Faults []PlannedFault
	Claims []Claim // all of the run: what one says of the system another may rely on

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

// Weakness is a part of a claim that a plan cannot decide.
type Weakness struct {
	Part string // the key of the claim; "" is all of it
	Why  string // a clause: what the plan lacks
	Turn string // a clause in the imperative: what would settle it
	Key  string // path in the experiment of the key to turn, like chaos[0].for; "" is a new entry
}

// Planned is a claim that knows what a plan must have in it to decide it.
type Planned interface {
	Claim
	Power(Plan) []Weakness
}

// What the claims need to be ruled on.
const (
	needSteady     = 30  // requests before the first fault, to speak of a steady state
	needBaseline   = 50  // requests of a route before the faults and during them, to compare the two
	needTell       = 20  // requests that an open breaker rejects, to tell it from chance
	needFailing    = 10  // calls that fail, to say that a breaker should have opened, or a retry should come
	needIgnored    = 5   // answers with each status that must not open a breaker, or not be retried
	needTurned     = 4   // requests rejected while probes are on their way
	needFirst      = 50  // waits before a first retry
	needWaits      = 20  // waits before a later one
	needSpent      = 5   // calls that use up their attempts, and retries after a Retry-After
	needHerd       = 30  // calls that fail at one instant
	needDue        = 20  // requests during a fault, to speak of calls per request
	needWithin     = 2   // requests within the tolerance of a wait, for the first after it to be the probe
	needPercentile = 300 // requests rejected by a breaker, to bound a 99th percentile from above
	needTurnAway   = 20  // calls turned away, to speak of a 99th percentile
	needHung       = 10  // calls that hang for longer than a bound, or that a fault hits
	needHits       = 3.0 // calls that a fault is expected to hit: none of 3 is a chance of 5%
)

// atOnce is what a call takes that fails at once.
const atOnce = time.Millisecond

// quick is what a call takes that nothing holds up, where nothing else is known.
const quick = 5 * time.Millisecond

// weighing gathers what a plan cannot decide of one claim.
type weighing struct {
	Plan
	found []Weakness
}

// weak adds a weakness. Of each part the first counts.
func (w *weighing) weak(part, key, turn, why string, args ...any) {
	if !slices.ContainsFunc(w.found, func(x Weakness) bool { return x.Part == part }) {
		w.found = append(w.found, Weakness{Part: part, Why: fmt.Sprintf(why, args...), Turn: turn, Key: key})
	}
}

// Power says what is weak whatever is claimed: a fault that hits nothing leaves
// every claim of a run open. The Part of such a weakness is the path of the link
// or the fault in the experiment.
func (p Plan) Power() []Weakness {
	w := weighing{Plan: p}
	for _, name := range slices.Sorted(maps.Keys(p.Links)) {
		if wire := p.Links[name].Wire; wire != "" {
			w.weak("links."+name, "", wire, "nothing refers to it, so that no call goes over it and no fault on it hits anything")
		}
	}
	for _, f := range p.Faults {
		if link, ok := p.Links[f.On]; ok && link.Wire == "" && !f.OnTarget() && f.Kind != "exec" {
			p.weighHits(&w, f)
		}
	}
	return w.found
}

// weighHits asks whether a fault of a link is sure to hit some call: those that
// come while it is in force, and of a reset those in flight.
func (p Plan) weighHits(w *weighing, f PlannedFault) {
	links := Links{f.On}
	calls := p.calls(links, "", f.Injected, f.Healed)
	if f.Kind == "reset" {
		calls += p.rate(links, "", f.Injected, f.Healed) * p.flies(links, f).Seconds()
	}
	hits := p.hits(f, calls)
	if hits >= needHits {
		return
	}
	key, turn := p.at(f, "for"), p.longer(f, hits, needHits)
	if f.Share < 1 {
		key, turn = p.at(f, "share"), "raise its share, let it last longer, or offer more"
	}
	w.weak(p.at(f, ""), key, turn,
		"it is expected to hit %s, and a fault that hits none leaves every claim open", expected(hits, "call", "calls"))
}

// wired reports whether calls can come over the links of a claim; that they
// cannot is told once, at the link.
func (p Plan) wired(links Links) bool {
	return !slices.ContainsFunc(links, func(name string) bool { return p.Links[name].Wire != "" })
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
		if r.Name == route {
			return []PlannedRoute{r}
		}
		if route == "" && slices.ContainsFunc(links, func(name string) bool { return p.Links[name].From == r.To }) {
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
	if longest == 0 {
		return quick
	}
	return longest
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
func (p Plan) holds(links Links, f PlannedFault) (held time.Duration, fails bool) {
	patience := p.patience(links)
	switch f.Kind {
	case "errors", "reset", "truncate", "restart", "kill":
		return 0, true
	case "corrupt", "duplicate":
		return 0, false
	case "latency":
		held = f.Delay.Duration()
		if patience > 0 && held >= patience {
			return patience, true
		}
		return held, patience == 0 // callers may wait less
	case "drop_response":
		if f.Ends {
			return 0, true
		}
	}
	held = f.Healed - f.Injected
	if patience > 0 {
		return min(held, patience), held >= patience
	}
	return held, true
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
		if beside.Kind == "latency" && f.Kind == "errors" && beside.Share >= 0.5 && beside.Injected <= f.Injected && beside.Healed > f.Injected {
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
		held, _ := p.holds(links, f)
		most = max(most, min(held, f.Healed-at))
		if patience > 0 || f.Kind == "latency" {
			least = max(least, held)
		}
	}
	if patience > 0 {
		least, most = min(least, patience), min(most, patience)
	}
	return least, most
}

// flies is how long calls had been on their way that a fault strikes at once
// when it comes.
func (p Plan) flies(links Links, f PlannedFault) time.Duration {
	_, most := p.delay(links, f)
	return max(p.service(links), most)
}

// at is the path of a key of a fault; of its entry for "".
func (p Plan) at(f PlannedFault, key string) string {
	path := fmt.Sprintf("chaos[%d]", f.Index)
	switch key {
	case "":
		return path
	case "at", "for", "on":
		return path + "." + key
	}
	return path + "." + f.Kind + "." + key
}

// longer says how long a fault must last to have so many calls at the rate that
// it has.
func (p Plan) longer(f PlannedFault, calls, need float64) string {
	length := f.Healed - f.Injected
	if calls <= 0 {
		return "offer load while it is in force"
	}
	return fmt.Sprintf("let %s last %s or longer, or offer more", p.at(f, ""), roundUp(time.Duration(float64(length)*need/calls)))
}

// last is the fault that is in force the longest.
func last(faults []PlannedFault) PlannedFault {
	return slices.MaxFunc(faults, func(a, b PlannedFault) int { return cmp.Compare(a.Healed-a.Injected, b.Healed-b.Injected) })
}

// roundUp is a duration to write into an experiment: two digits, and never less.
func roundUp(d time.Duration) string {
	if d <= 0 {
		return "1ms"
	}
	unit := time.Duration(math.Pow(10, max(0, math.Floor(math.Log10(float64(d)))-1)))
	unit = max(unit, time.Millisecond)
	return ((d + unit - 1) / unit * unit).String()
}

// rateUp is a rate to write into an experiment: two digits, and never less.
func rateUp(r float64) string {
	if r <= 1 {
		return "1/s"
	}
	unit := math.Pow(10, max(0, math.Floor(math.Log10(r))-1))
	return fmt.Sprintf("%.0f/s", math.Ceil(r/unit-1e-9)*unit)
}

// dueText prints how many requests are due.
func dueText(n float64) string { return expected(n, "request is", "requests are") }

// expected prints an expected count: about 12 requests, less than one call.
func expected(n float64, one, many string) string {
	switch {
	case n <= 0:
		return "no " + one
	case n < 1:
		return "less than one " + one
	case math.Round(n) == 1:
		return "about 1 " + one
	}
	return fmt.Sprintf("about %.0f %s", math.Floor(n), many)
}
