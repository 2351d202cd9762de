package judge

import (
	"fmt"
	"math"
	"sort"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// burden is what came over a link while a fault was in force.
type burden struct {
	requests int // sent meanwhile, of routes that call over the link
	attempts int // theirs, whenever they came: so nothing is lost at the edges
	calls    int // begun meanwhile
	retries  int // likewise, of whatever calls
	later    int // retries of the calls begun meanwhile, whenever they came
	hidden   int // exchanges that the HTTP library may have made besides
	ids      []uint64
}

// perRequest is how many exchanges there are for one request.
func (b burden) perRequest() Interval {
	return interval(float64(b.attempts), float64(b.attempts+b.hidden)).each(1 / float64(b.requests))
}

// perCall is how many retries there are for one call: of those that came
// meanwhile, or of the calls that did, whose retries came somewhat later.
func (b burden) perCall() Interval {
	all := interval(b.retries, b.later)
	all.High += float64(b.hidden)
	return all.each(1 / float64(b.calls))
}

// burdens counts for each episode. A request counts where it was sent, not where
// it was due: what a busy harness sent late met another dependency.
func burdens(run *evidence.Run, all *calls, spans []span) []burden {
	uses := make(map[int]bool) // routes whose requests call over the link
	each := make([]burden, len(spans))
	at := func(t time.Duration) *burden {
		k := sort.Search(len(spans), func(k int) bool { return spans[k].to > t })
		if k == len(spans) || t < spans[k].from {
			return new(burden) // of no interest
		}
		return &each[k]
	}
	for c := range all.all() {
		if s, ok := run.Sample(c.id()); ok {
			uses[s.Route] = true
			if s.Outcome != load.Unsent {
				b := at(s.Sent)
				b.attempts += len(c.attempts)
				b.hidden += int(c.hidden)
			}
		}
		first := at(c.at(0).Begin)
		first.calls++
		first.later += len(c.attempts) - 1
		for i := 1; i < len(c.attempts); i++ {
			b := at(c.at(i).Begin)
			b.retries++
			if len(b.ids) < MaxIDs {
				b.ids = append(b.ids, c.id())
			}
		}
	}
	for i := range run.Samples {
		if s := &run.Samples[i]; uses[s.Route] && s.Outcome != load.Unsent {
			at(s.Sent).requests++
		}
	}
	return each
}

// amplify rules on calls per request, and on the budget of retries, in the worst
// of the episodes.
func (c Retry) amplify(f *finding, t tally, run *evidence.Run, all *calls, spans []span) {
	if c.Amplification <= 0 && c.Budget <= 0 {
		return
	}
	var most, retries Interval
	var worst, greedy burden
	for _, b := range burdens(run, all, spans) {
		if b.requests < leastArrivals || b.calls == 0 {
			continue
		}
		one, retried := b.perRequest(), b.perCall()
		if worst.requests == 0 || one.Low > most.Low {
			most.Low, worst = one.Low, b
		}
		if greedy.requests == 0 || retried.Low > retries.Low {
			retries.Low, greedy = retried.Low, b
		}
		most.High, retries.High = max(most.High, one.High), max(retries.High, retried.High)
	}
	few := fmt.Sprintf("fewer than %d requests came while a fault was in force on %q", leastArrivals, c.Link)
	if c.Amplification > 0 && worst.requests == 0 {
		f.open("amplification", "%s: calls per request cannot be told: let a fault last for longer, or offer more", few)
	} else if c.Amplification > 0 {
		f.numbers.Add("amplification", most.Low)
		f.rule(measure{
			name: "amplification", unit: times, seen: most, allowed: atMost(c.Amplification), sample: worst.requests, ids: worst.ids,
			says:   fmt.Sprintf("%.2f calls per request while a fault was in force", most.Low),
			settle: "repeats of the HTTP library on connections that broke may be calls too: faults that answer would tell",
		})
	}
	if c.Budget > 0 && greedy.requests == 0 {
		f.open("budget", "%s: the budget of retries cannot be told: let a fault last for longer, or offer more", few)
	} else if c.Budget > 0 {
		c.judgeBudget(f, t, retries, greedy)
	}
}

// judgeBudget rules on the share of retries, from the injection to the healing.
// Tokens that were saved before it are within the tolerance or are not, and tell.
// Only where many calls were refused theirs is it a bound.
func (c Retry) judgeBudget(f *finding, t tally, retries Interval, b burden) {
	f.numbers.Add("retries_pct", 100*retries.Low)
	m := measure{
		name: "budget", unit: shared, seen: retries, allowed: atMost((1 + tolerance) * float64(c.Budget)), sample: b.calls, ids: b.ids,
		says: fmt.Sprintf("retries were %s of %d calls while a fault was in force, and %s refused theirs",
			shared.print(retries.Low), b.calls, were(t.denied, "call was", "calls were")),
		settle: "repeats of the HTTP library on connections that broke may be retries too: faults that answer would tell",
	}
	if t.denied < max(leastFailures, t.retried/2) {
		m.seen.High, m.settle = math.Inf(1), "let more calls fail than the budget has retries for"
	}
	f.rule(m)
}

// amplifyByRate rules on calls per request without ids, by rates. Retries of
// earlier requests at one edge stand for those that are missing at the other,
// which is only roughly right: a tenth to either side stays open.
func (c Retry) amplifyByRate(f *finding, run *evidence.Run, link *evidence.Link, spans []span) {
	if c.Amplification <= 0 || c.Route != "" && len(run.Routes) > 1 {
		return
	}
	worst, sample := 0.0, 0
	for _, s := range spans {
		n := due(every(run.Samples), s.from, s.to).len()
		if ratio := float64(len(link.Window(s.from, s.to))) / float64(max(1, n)); n >= 10*leastArrivals && ratio > worst {
			worst, sample = ratio, n
		}
	}
	if worst == 0 {
		return
	}
	f.numbers.Add("amplification", worst)
	f.rule(measure{
		name: "amplification", unit: times, seen: Interval{worst / 1.1, worst * 1.1}, allowed: atMost(c.Amplification), sample: sample,
		says:   fmt.Sprintf("about %.2f calls per request while the fault was in force", worst),
		settle: "requests whose ids are passed on would tell",
	})
}

// judgeLeaving counts the attempts that began although the caller of the request
// had left. The system learns of it later than it happened: within what a hop
// takes it could not know, and what began then is not counted. Nor may it have
// known of what began within two noises of the host: one until it learns, one
// until the relay sees the attempt.
func (c Retry) judgeLeaving(f *finding, run *evidence.Run, all *calls, hops transit) {
	var late []uint64
	left, unsure, longest := 0, 0, time.Duration(0)
	for call := range all.all() {
		s, ok := run.Sample(call.id())
		if !ok || s.Outcome != load.TimedOut {
			continue
		}
		waited, began := false, time.Duration(-1)
		for i := range call.attempts {
			x := call.at(i)
			if x.Begin > s.Done {
				began = x.Begin - s.Done
			} else if i+1 == len(call.attempts) || call.at(i+1).Begin > s.Done {
				waited = x.End > s.Done || c.retryable(x) // something was going on, or to come
			}
		}
		if !waited {
			continue
		}
		left++
		noise := run.Noise(s.Done, s.Done+max(began, 0))
		switch {
		case began < 0 || hops.known && noise <= evidence.LeastNoise && began <= hops.tail:
		case began <= max(2*noise, hops.tail):
			unsure++
		default:
			late, longest = append(late, call.id()), max(longest, began)
		}
	}
	f.numbers.Add("callers_left", float64(left))
	f.numbers.Add("attempts_after_leaving", float64(len(late)))
	if left < leastFailures && len(late) == 0 {
		f.open("deadline", "%s left while a call was failing: at least %d are needed;"+
			" give the load's route a shorter timeout than the retries take",
			were(left, "caller", "callers"), leastFailures)
		return
	}
	f.rule(measure{
		name: "deadline", seen: interval(len(late), len(late)+unsure), allowed: atMost(0), sample: left, ids: late,
		says:    fmt.Sprintf("%s on after the callers of %d had left", were(len(late)+unsure, "call went", "calls went"), left),
		refutes: fmt.Sprintf("%d of %d calls went on after their callers had left, up to %s later", len(late), left, short(longest)),
		settle:  "these began so soon that the system may not have known: a quieter host would tell",
	})
}
