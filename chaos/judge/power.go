package judge

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Power is whether a plan can decide a claim at all, asked before anything
// runs. A claim names the parts of it that would come out inconclusive however
// the system behaves, and those that a system that breaks them could not be
// refuted on, with the key to turn. What is not known before a run (how long the
// system waits for an answer, which requests call where) is taken to be as it
// suits the claim: a weakness is one in any case.

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
	needEven       = 150 // first waits that are spread, to tell how evenly
	needSpread     = 200 // waits of any rank that are spread, to tell over how much time
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
		if link, ok := p.Links[f.On]; ok && link.Wire == "" && f.Does().Marks {
			p.weighHits(&w, f)
		}
	}
	return w.found
}

// weighHits asks whether a fault of a link is sure to hit some call: those that
// come while it is in force, and if it strikes at once those in flight.
func (p Plan) weighHits(w *weighing, f PlannedFault) {
	links := Links{f.On}
	calls := p.calls(links, "", f.Injected, f.Healed)
	if f.Does().Strikes {
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
