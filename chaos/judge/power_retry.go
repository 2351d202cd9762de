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

// retriedBy lists the faults on the links after which a retry may come.
func (p Plan) retriedBy(links Links, route string, may func(status int) bool, unkeyed bool) (all []retried) {
	rate := func(f PlannedFault) (sum float64) {
		every := p.rate(nil, "", f.Injected, f.Healed)
		for _, r := range p.routes(links, route) {
			if unkeyed || r.Keyed || r.Method != http.MethodPost && r.Method != http.MethodPatch {
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
	faults := p.retriedBy(c.Link, c.Route, may, c.Unkeyed)
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
			"no fault on %s makes calls fail in a way that may be retried (%s or no answer)", c.Link, list(c.on()))
	case first == 0:
		w.weak(whole, "", "add a route with another method, or with an Idempotency-Key",
			"all requests that may call over %s are POST or PATCH without an Idempotency-Key, which are not retried", c.Link)
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
	if c.Deadline {
		c.weighDeadline(w, faults)
	}
	if c.SameKey {
		c.weighSameKey(w)
	}
	return w.found
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
			w.weak(fmt.Sprintf("never[%d]", i), "", fmt.Sprintf("add one like {at: 2s, for: 1s, on: %s, errors: {status: %d}}", c.Link[0], status),
				"faults on %s answer %s with %d, and it must be seen at least %d times", c.Link, expected(n, "call", "calls"), status, needIgnored)
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
			"%s due while a fault is in force on %s, and at least %d are needed", dueText(most), c.Link, needDue)
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
