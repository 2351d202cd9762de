package judge

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// weighBudget asks whether more retries are wanted than the budget has. A call whose every attempt fails with the
// same chance wants 1/(1−chance) − 1 of them, if nothing else bounds them.
func (c Retry) weighBudget(w *weighing, faults []retried) {
	if len(faults) == 0 {
		return // told already
	}
	widest := faults[0]
	for _, f := range faults {
		if f.share > widest.share {
			widest = f
		}
		calls := w.calls(c.Link, c.Route, f.Injected, f.Healed)
		if f.share < 1 && f.share/(1-f.share) <= float64(c.Budget) {
			continue
		}
		if calls >= needDue {
			return
		}
	}
	if f := widest; f.share < 1 && f.share/(1-f.share) <= float64(c.Budget) {
		w.weak("budget", w.at(f.PlannedFault, "share"), "raise the share, best to 100%",
			"%.3g%% of the calls fail, which want fewer retries than %s of them", 100*f.share, c.Budget)
		return
	}
	w.weak("budget", w.at(widest.PlannedFault, "for"), "let it last longer, or offer more",
		"fewer than %d requests are due while a fault is in force on %s", needDue, c.Link)
}

// weighDeadline asks whether callers leave while their call fails, or waits to be tried again.
func (c Retry) weighDeadline(w *weighing, faults []retried) {
	if len(faults) == 0 {
		return
	}
	routes := w.routes(c.Link, c.Route)
	patience := gives(routes)
	left, known, longest := 0.0, true, time.Duration(0)
	for _, f := range faults {
		lasts, bounded := c.goesOn(w, f)
		longest, known = max(longest, lasts), known && bounded
		if bounded && lasts <= patience {
			continue
		}
		left += f.rate * f.share * max(0, (f.Healed-f.Injected-patience).Seconds())
	}
	switch f := longestOf(faults); {
	case left >= needFailing || patience == 0:
	case known && longest <= patience:
		w.weak("deadline", "load.timeout", fmt.Sprintf("give the load a timeout below %s", roundUp(longest)),
			"callers wait for %s, and a call that fails to the end is over after %s", short(patience), short(longest))
	default:
		w.weak("deadline", w.at(f.PlannedFault, "for"),
			fmt.Sprintf("let it last for some time more than %s, or give the load a shorter timeout", short(patience)),
			"callers wait for %s, and %s leave before the fault is healed, of at least %d that are needed", short(patience),
			expected(left, "of them would", "of them would"), needFailing)
	}
}

// goesOn is how long a call is tried that fails all along, as far as the claims say it: it is not bounded where they do not.
func (c Retry) goesOn(w *weighing, f retried) (lasts time.Duration, bounded bool) {
	b, waits := w.backoff(c.Link)
	if c.Attempts == 0 || !waits && c.Attempts > 1 || f.Does().Holds && w.patience(c.Link) == 0 {
		return 0, false
	}
	lasts = time.Duration(c.Attempts) * f.delay
	for i := 1; i < c.Attempts; i++ {
		lasts += max(b.pace(i), f.RetryAfter)
	}
	return lasts, true
}

// weighSameKey asks whether requests carry a key. A system that makes keys of its own for its calls needs none, which
// is not known before a run.
func (c Retry) weighSameKey(w *weighing) {
	if !slices.ContainsFunc(w.routes(c.Link, c.Route), func(r PlannedRoute) bool { return r.Keyed }) {
		w.weak("same_key", "load.routes", `give a route headers: {Idempotency-Key: "${id}"}, unless the system makes keys of its own`,
			"no request that may call over %s carries an Idempotency-Key", c.Link)
	}
}

// weighInstances asks whether enough requests come for each of several breakers: to be turned away by all of them while
// they wait, and to fail on all of them.
func (b Breaker) weighInstances(w *weighing, e breaking) {
	n := b.Instances
	if n < 2 {
		return
	}
	if turned := e.rate * b.Waits.Seconds(); b.Waits > 0 && turned < float64(allTurned*n) {
		w.weak("waits", w.RateKey, fmt.Sprintf("offer at least %s of %s", rateUp(1.2*float64(allTurned*n)/b.Waits.Seconds()), orAll(b.Route)),
			"%s while they wait for %s, and %d are needed for each of %d instances to know that all are open",
			expected(turned, "request comes", "requests come"), short(b.Waits), allTurned, n)
	}
	if failing := e.rate * e.share * (e.to - e.from - e.delay).Seconds(); b.Failures > 0 && failing < float64(2*b.Failures*n) {
		f := last(e.faults)
		length := e.delay + time.Duration(float64(2*b.Failures*n)/max(e.rate*e.share, 1e-3)*float64(time.Second))
		w.weak("failures", w.at(f, "for"), fmt.Sprintf("let %s last %s or longer, or offer more", w.at(f, ""), roundUp(length)),
			"%s fail while the fault is in force, and %d are needed for each of %d instances to have opened",
			expected(failing, "call would", "calls would"), 2*b.Failures, n)
	}
}

// weighProbing asks whether a probe that succeeds takes long enough to see how many follow it: where all of a half-open state
// are counted, one that fails says nothing of them.
func (b Breaker) weighProbing(w *weighing, episodes []breaking) {
	if b.Probes == 0 || b.Probing != "cumulative" {
		return
	}
	links := Links{b.Link}
	longest, rate := time.Duration(0), 0.0
	for _, e := range episodes {
		step := max(b.Waits/20, 10*time.Millisecond)
		for at := e.to; at <= e.to+max(b.Waits, b.WaitsAtMost) && at < w.End; at += step {
			_, most := w.slow(links, at)
			longest, rate = max(longest, most, w.service(links)), max(rate, e.rate)
		}
	}
	if rate*longest.Seconds() >= needTurned {
		return
	}
	enough := time.Duration(math.Ceil(1.5 * needTurned / max(rate, 1e-3) * float64(time.Second)))
	w.weak("probes", "", fmt.Sprintf("let latency of %s or more stay on %s for %s after the errors are healed", roundUp(max(enough,
		20*time.Millisecond)), b.Link,
		short(max(b.Waits, b.WaitsAtMost))),
		"a probe that succeeds is over before others come, so that nothing shows how many may follow it")
}
