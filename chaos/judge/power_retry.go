package judge

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"
)

// retried is a fault that makes calls fail in a way that may be retried.
type retried struct {
	PlannedFault
	share float64       // of the calls that fail so
	rate  float64       // calls per second that may be retried
	delay time.Duration // of a call that fails, at least
	flies time.Duration // how long calls had been in flight that it makes fail when it comes; 0 for those that it does not
}

// retriable are the routes of which calls may be retried: POST and PATCH only with
// an Idempotency-Key, unless they may without.
func retriable(unkeyed bool) func(PlannedRoute) bool {
	return func(r PlannedRoute) bool {
		return unkeyed || r.Keyed || r.Method != http.MethodPost && r.Method != http.MethodPatch
	}
}

// retriedBy lists the faults on the links after which a retry may come, and how
// often calls of the routes that count meet them.
func (p Plan) retriedBy(links Links, route string, may func(status int) bool, counts func(PlannedRoute) bool) (all []retried) {
	rate := func(f PlannedFault) (sum float64) {
		every := p.rate(nil, "", f.Injected, f.Healed)
		for _, r := range p.routes(links, route) {
			if counts(r) {
				sum += every * r.Share
			}
		}
		return sum
	}
	for _, f := range p.onPath(links) {
		if _, fails := p.holds(links, f); !fails {
			continue
		}
		part := f.Share
		if f.Does().Answers {
			n := 0
			for _, s := range f.Statuses {
				if may(s) {
					n++
				}
			}
			part *= float64(n) / float64(max(1, len(f.Statuses)))
		}
		if part > 0 {
			x := retried{PlannedFault: f, share: part, rate: rate(f)}
			x.delay, _ = p.delay(links, f)
			if f.Does().Strikes {
				x.flies = p.flies(links, f)
			}
			all = append(all, x)
		}
	}
	return all
}

// reaching is how many calls are expected to have their first k attempts fail
// while a fault is in force; wait is how long the system waits before retry i,
// from 1. patience is when its callers are gone. A reset strikes those in flight
// besides.
func reaching(faults []retried, k int, wait func(i int) time.Duration, patience time.Duration) (n float64) {
	for _, f := range faults {
		lasts := time.Duration(k) * f.delay
		for i := 1; i < k; i++ {
			lasts += max(wait(i), f.RetryAfter)
		}
		if left := f.Healed - f.Injected - lasts; left > 0 && (patience == 0 || lasts < patience) {
			n += f.rate * left.Seconds() * math.Pow(f.share, float64(k))
			if k == 1 {
				n += f.rate * f.flies.Seconds() * f.share
			}
		}
	}
	return n
}

// Power implements Planned. Retries take calls that fail so that they may be
// retried, and a bound on them calls that fail to the last attempt.
func (c Retry) Power(p Plan) []Weakness {
	w := &weighing{Plan: p}
	if !p.wired(c.Link) {
		return nil
	}
	may := func(status int) bool {
		return !slices.Contains(c.Never, status) && slices.Contains(c.on(), status)
	}
	faults := p.retriedBy(c.Link, c.Route, may, retriable(c.Unkeyed))
	wait := func(int) time.Duration { return 0 }
	if b, ok := p.backoff(c.Link); ok {
		wait = b.pace
	}
	patience := gives(p.routes(c.Link, c.Route))
	whole := ""
	if c.Attempts > 0 {
		whole = "attempts"
	}
	first := reaching(faults, 1, wait, patience)
	switch {
	case len(faults) == 0:
		w.weak(whole, "", fmt.Sprintf("add one like {at: 2s, for: 3s, on: %s, errors: {status: %d}}", c.Link[0], c.on()[0]),
			"no fault on %q makes calls fail in a way that may be retried (%s or no answer)", c.Link, list(c.on()))
	case first == 0:
		w.weak(whole, "", "add a route with another method, or with an Idempotency-Key",
			"all requests that may call over %q are POST or PATCH without an Idempotency-Key, which are not retried", c.Link)
	case first < needFailing:
		f := longestOf(faults)
		w.weak(whole, p.at(f.PlannedFault, "for"), p.longer(f.PlannedFault, first, needFailing),
			"%s fail in a way that may be retried, and at least %d are needed", expected(first, "call would", "calls would"), needFailing)
	case c.Attempts > 0:
		w.weighBound(faults, c.Attempts, wait, patience)
	}
	c.weighNever(w)
	if c.Amplification > 0 {
		c.weighAmplification(w)
	}
	if c.Budget > 0 {
		c.weighBudget(w, faults)
	}
	if c.SameKey {
		c.weighSameKey(w, may, wait, patience)
	}
	if c.Deadline {
		c.weighDeadline(w, faults, wait, patience)
	}
	return w.found
}

// weighBudget asks whether more calls fail than the budget has retries for: only
// then is it a bound.
func (c Retry) weighBudget(w *weighing, faults []retried) {
	if len(faults) == 0 {
		w.weak("budget", "", fmt.Sprintf("add one like {at: 2s, for: 3s, on: %s, errors: {status: %d}}", c.Link[0], c.on()[0]),
			"no fault on %q makes calls fail in a way that may be retried", c.Link)
		return
	}
	const claimed = 1.5 * (1 - 1e-9) // times as many fail as are retried: half as many again are refused
	best, most := faults[0], 0.0
	for _, f := range faults {
		calls := f.rate * (f.Healed - f.Injected).Seconds()
		if denied := calls * (f.share - float64(c.Budget)); denied >= most {
			best, most = f, denied
		}
	}
	switch {
	case best.share < claimed*float64(c.Budget):
		w.weak("budget", w.at(best.PlannedFault, "share"), fmt.Sprintf("raise the share above %.2g%%",
			100*min(1, claimed*float64(c.Budget))),
			"%.3g%% of the calls fail, and the budget has retries for %s: too few are refused theirs", 100*best.share, c.Budget)
	case most < needFailing:
		w.weak("budget", w.at(best.PlannedFault, "for"), w.longer(best.PlannedFault, most, needFailing),
			"%s be refused a retry by the budget, and at least %d are needed", expected(most, "call would", "calls would"), needFailing)
	}
}

// weighSameKey asks for calls with an Idempotency-Key that fail and are retried.
func (c Retry) weighSameKey(w *weighing, may func(int) bool, wait func(int) time.Duration, patience time.Duration) {
	keyed := func(r PlannedRoute) bool { return r.Keyed }
	if !slices.ContainsFunc(w.routes(c.Link, c.Route), keyed) {
		w.weak("same_key", "", "give a route the header Idempotency-Key",
			"no request that may call over %q carries an Idempotency-Key", c.Link)
		return
	}
	faults := w.retriedBy(c.Link, c.Route, may, keyed)
	if n := reaching(faults, 1, wait, patience); n < needSpent {
		key, turn := "", "let more of them fail"
		if len(faults) > 0 {
			f := longestOf(faults)
			key, turn = w.at(f.PlannedFault, "for"), w.longer(f.PlannedFault, n, needSpent)
		}
		w.weak("same_key", key, turn, "%s that carry an Idempotency-Key, and at least %d are needed",
			expected(n, "call would fail of those", "calls would fail of those"), needSpent)
	}
}

// weighDeadline asks for callers who leave while their calls are failing, which
// is known to be impossible only where the attempts are bounded.
func (c Retry) weighDeadline(w *weighing, faults []retried, wait func(int) time.Duration, patience time.Duration) {
	if c.Attempts == 0 || patience == 0 || len(faults) == 0 {
		return
	}
	n, longest := 0.0, time.Duration(0)
	for _, f := range faults {
		_, held := w.delay(c.Link, f.PlannedFault)
		lasts := time.Duration(c.Attempts) * held
		for i := 1; i < c.Attempts; i++ {
			lasts += max(2*wait(i), f.RetryAfter) // as jitter may have it
		}
		longest = max(longest, lasts)
		if lasts >= patience {
			n += f.rate * f.share * (f.Healed - f.Injected).Seconds()
		}
	}
	switch f := longestOf(faults); {
	case longest < patience:
		w.weak("deadline", "load.timeout", fmt.Sprintf("give the load a timeout below %s", short(longest)),
			"all %d attempts are over within about %s, and callers wait for %s: none of them leaves while its call is failing",
			c.Attempts, short(longest), short(patience))
	case n < needFailing:
		w.weak("deadline", w.at(f.PlannedFault, "for"), w.longer(f.PlannedFault, n, needFailing),
			"%s while their calls fail, and at least %d must", expected(n, "caller would leave", "callers would leave"), needFailing)
	}
}

// weighBound asks whether calls fail often enough to use up their attempts.
func (w *weighing) weighBound(faults []retried, attempts int, wait func(int) time.Duration, patience time.Duration) {
	spent := reaching(faults, attempts, wait, patience)
	if spent >= needSpent {
		return
	}
	f := longestOf(faults)
	lasts := time.Duration(attempts) * f.delay
	for i := 1; i < attempts; i++ {
		lasts += wait(i)
	}
	switch {
	case patience > 0 && lasts >= patience:
		w.weak("attempts", "load.timeout", fmt.Sprintf("give the load a timeout above %s", roundUp(lasts+time.Second)),
			"the load gives up after %s, and attempt %d comes about %s after the first", short(patience), attempts, short(lasts))
	case f.share < 1 && math.Pow(f.share, float64(attempts)) < 0.05:
		w.weak("attempts", w.at(f.PlannedFault, "share"), "raise the share, best to 100%",
			"%.3g%% of the calls fail, so that %s would fail %d times in a row, and at least %d are needed", 100*f.share,
			expected(spent, "call", "calls"), attempts, needSpent)
	default:
		need := lasts + time.Duration(2*needSpent/max(f.rate*math.Pow(f.share, float64(attempts)), 1e-3)*float64(time.Second))
		w.weak("attempts", w.at(f.PlannedFault, "for"), fmt.Sprintf("let %s last %s or longer", w.at(f.PlannedFault, ""), roundUp(need)),
			"the faults are healed before attempt %d: %s would fail that often, and at least %d are needed", attempts,
			expected(spent, "call", "calls"), needSpent)
	}
}

// weighNever asks whether each status that must not be retried comes.
func (c Retry) weighNever(w *weighing) {
	for i, status := range c.Never {
		n := 0.0
		for _, f := range w.onPath(c.Link) {
			if f.Does().Answers && slices.Contains(f.Statuses, status) {
				n += w.hits(f, w.calls(c.Link, c.Route, f.Injected, f.Healed)) / float64(len(f.Statuses))
			}
		}
		if n < needIgnored {
			w.weak(fmt.Sprintf("never[%d]", i), "", fmt.Sprintf("add one like {at: 2s, for: 1s, on: %s, errors: {status: %d}}",
				c.Link[0], status), "faults on %q answer %s with %d, and it must be seen at least %d times", c.Link, expected(n, "call",
				"calls"), status, needIgnored)
		}
	}
}

func (c Retry) weighAmplification(w *weighing) {
	most := 0.0
	for _, f := range w.onPath(c.Link) {
		most = max(most, w.calls(c.Link, c.Route, f.Injected, f.Healed))
	}
	if most < needDue {
		w.weak("amplification", "", "let a fault last longer, or offer more",
			"%s due while a fault is in force on %q, and at least %d are needed", dueText(most), c.Link, needDue)
	}
}

// backoff is what the experiment claims of the waits on one of the links.
func (p Plan) backoff(links Links) (Backoff, bool) {
	for _, c := range p.Claims {
		if b, ok := c.(Backoff); ok && slices.Contains(links, b.Link) {
			return b, true
		}
	}
	return Backoff{}, false
}

// retry is what the experiment claims of the attempts on a link.
func (p Plan) retry(link string) (Retry, bool) {
	for _, c := range p.Claims {
		if r, ok := c.(Retry); ok && slices.Contains(r.Link, link) {
			return r, true
		}
	}
	return Retry{}, false
}

func longestOf(faults []retried) retried {
	return slices.MaxFunc(faults, func(a, b retried) int { return cmp.Compare(a.Healed-a.Injected, b.Healed-b.Injected) })
}
