package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// pace is how long the k-th wait is on average, k from 1.
func (c Backoff) pace(k int) time.Duration {
	d := float64(c.Base)
	switch c.Law {
	case "constant":
	case "linear":
		d *= float64(k)
	case "decorrelated":
		// Evenly between base and three times the wait before: m(k) = (base + 3·m(k−1))/2.
		mean := d
		for range min(k, 64) {
			mean = (d + triple*mean) / 2
		}
		d = mean
	default:
		growth := c.Factor
		growth = cmp.Or(growth, 2)
		d *= math.Pow(growth, float64(k-1))
	}
	if c.Cap > 0 {
		d = min(d, float64(c.Cap))
	}
	switch c.Law {
	case "full":
		d /= 2
	case "", "add":
		d *= 1 + float64(c.Jitter)/2
	}
	return time.Duration(min(d, float64(math.MaxInt64/8)))
}

// mayBeRetried is what a system retries if its claims do not say: the statuses
// that are temporary by their definition, and errors of the server.
func mayBeRetried(status int) bool {
	return status >= 500 || status == 429 || status == 408 || status == 425
}

// Power implements Planned. Waits take calls that fail and are retried, later
// ones faults that last until then; a Retry-After and a herd faults that make
// them.
func (c Backoff) Power(p Plan) []Weakness {
	links := Links{c.Link}
	w := &weighing{Plan: p}
	if !p.wired(links) {
		return nil
	}
	may, unkeyed := mayBeRetried, false
	if r, ok := p.retry(c.Link); ok {
		may = func(status int) bool { return !slices.Contains(r.Never, status) && slices.Contains(r.on(), status) }
		unkeyed = r.Unkeyed
	}
	all := p.retriedBy(links, c.Route, may, retriable(unkeyed))
	var plain, told []retried // without and with a Retry-After, which takes the place of the law
	for _, f := range all {
		if f.RetryAfter > 0 {
			told = append(told, f)
		} else {
			plain = append(plain, f)
		}
	}
	patience := gives(p.routes(links, c.Route))
	c.weighWaits(w, plain, patience)
	if c.RetryAfter {
		c.weighRetryAfter(w, told, patience)
	}
	if c.Herd > 0 {
		c.weighHerd(w, plain)
	}
	return w.found
}

// weighWaits asks how often waits of each rank are to be seen.
func (c Backoff) weighWaits(w *weighing, faults []retried, patience time.Duration) {
	if len(faults) == 0 {
		w.weak("base", "", fmt.Sprintf("add one like {at: 2s, for: 3s, on: %s, errors: {status: 503}}", c.Link),
			"no fault on %q makes calls fail in a way that may be retried", c.Link)
		return
	}
	first := reaching(faults, 1, c.pace, patience)
	f := longestOf(faults)
	if first < needFirst {
		w.weak("base", w.at(f.PlannedFault, "for"), w.longer(f.PlannedFault, first, needFirst),
			"%s be retried, and at least %d first waits are needed", expected(first, "call would", "calls would"), needFirst)
		return // what else is claimed of the waits is open with it
	}
	switch c.declared().growth {
	case constant:
	case geometric:
		k := 2
		if c.Cap > 0 {
			k = 3 // the second may be at the cap, unless the third is longer
		}
		c.weighRank(w, "factor", "grow", k, faults, patience)
	case linear:
		c.weighRank(w, "law", "grow", 2, faults, patience)
	case decorrelated:
		c.weighRank(w, "law", "depend on those before", 2, faults, patience)
	}
	if c.Jitter > 0 || c.Law == "full" {
		c.weighJitter(w, faults, patience)
	}
	if k := c.capped(); k > 0 {
		c.weighRank(w, "cap", "stop to grow at "+short(c.Cap), k+1, faults, patience)
	}
}

// leastSpread is over how much time waits must be spread for a host's own spread
// not to hide it.
const leastSpread = 10 * time.Millisecond

// weighJitter asks whether the waits that are to be seen often enough are spread
// over more time than any host spreads them, and are so many that chance leaves
// their ends, and whether they are spread evenly, no longer open.
func (c Backoff) weighJitter(w *weighing, faults []retried, patience time.Duration) {
	first, f := reaching(faults, 1, c.pace, patience), longestOf(faults)
	widest, all := c.spreads(1), first
	for k := 2; k <= 16; k++ {
		n := reaching(faults, k, c.pace, patience)
		if n < needWaits {
			break
		}
		all += n
		if n >= needFirst {
			widest = max(widest, c.spreads(k))
		}
	}
	if widest < leastSpread {
		part := "jitter"
		if c.Law == "full" {
			part = "law"
		}
		w.weak(part, "", "let the system wait for longer, or the faults last until longer waits come",
			"the waits that are to be seen are spread over %s, which any host does, and %s are needed", short(widest), short(leastSpread))
		return
	}
	if first < needEven {
		w.weak("law", w.at(f.PlannedFault, "for"), w.longer(f.PlannedFault, first, needEven),
			"%s be retried, and whether waits are spread evenly shows in %d first waits", expected(first, "call would", "calls would"),
			needEven)
	}
	if c.Jitter > 0 && all < needSpread {
		w.weak("jitter", w.at(f.PlannedFault, "for"), w.longer(f.PlannedFault, all, needSpread),
			"%s to be seen often enough, and over how much time they are spread shows in %d",
			expected(all, "wait is", "waits are"), needSpread)
	}
}

// capped is the first wait that is as long as the cap; 0 if none is. That it is
// the cap's doing shows in the one behind it, which does not grow.
func (c Backoff) capped() int {
	if c.Cap <= 0 {
		return 0
	}
	free := c
	free.Cap, free.Jitter, free.Law = 0, 0, c.Law
	if c.Law == "full" {
		free.Law = "spread"
	}
	for k := 1; k <= 64; k++ {
		if free.pace(k) >= c.Cap {
			return k
		}
	}
	return 0
}

// weighRank asks whether waits of a rank are to be seen often enough, if there are
// any.
func (c Backoff) weighRank(w *weighing, part, what string, k int, faults []retried, patience time.Duration) {
	if r, ok := w.retry(c.Link); ok && r.Attempts > 0 && r.Attempts <= k {
		w.weak(part, "", fmt.Sprintf("leave %s out, or claim it of a system that retries %d times or more", part, k),
			"%d attempts have %s, and whether waits %s shows from wait number %d on", r.Attempts,
			were(r.Attempts-1, "wait", "waits"), what, k)
		return
	}
	if patience > 0 {
		patience = max(1, patience-c.pace(k)) // the attempt after the wait must come too
	}
	// Where jitter spreads waits, chance leaves a gap of 5.3/n of the spread below
	// the least of them (see scatter), and 4% are what is left of the tolerance.
	need := max(needWaits, 150*float64(c.Jitter))
	n := reaching(faults, k, c.pace, patience)
	if n >= need {
		return
	}
	f := longestOf(faults)
	lasts := time.Duration(k) * f.delay
	for i := 1; i < k; i++ {
		lasts += c.pace(i)
	}
	if patience > 0 && lasts >= patience {
		w.weak(part, "load.timeout", fmt.Sprintf("give the load a timeout above %s", roundUp(lasts+c.pace(k)+time.Second)),
			"the load gives up before wait number %d is over, about %s after the first attempt", k, short(lasts+c.pace(k)))
		return
	}
	length := lasts + time.Duration(1.5*need/max(f.rate*math.Pow(f.share, float64(k)), 1e-3)*float64(time.Second))
	w.weak(part, w.at(f.PlannedFault, "for"), fmt.Sprintf("let %s last %s or longer", w.at(f.PlannedFault, ""), roundUp(length)),
		"whether waits %s shows from wait number %d on, and the faults are healed before: %s have one, and at least %.0f are needed",
		what, k, expected(n, "call would", "calls would"), need)
}

// weighRetryAfter asks whether retries after a Retry-After are to be seen.
func (c Backoff) weighRetryAfter(w *weighing, told []retried, patience time.Duration) {
	n, longest := 0.0, time.Duration(0)
	for _, f := range told {
		longest = max(longest, f.RetryAfter)
		if seen := min(f.Healed, w.End-f.RetryAfter); patience == 0 || f.RetryAfter < patience {
			n += f.rate * f.share * max(0, (seen-f.Injected).Seconds())
		}
	}
	switch {
	case len(told) == 0:
		w.weak("retry_after", "", fmt.Sprintf("add one like {at: 2s, for: 1s, on: %s, errors: {status: 429, retry_after: 1s}}", c.Link),
			"no fault on %q answers with a Retry-After and a status that may be retried", c.Link)
	case n < needSpent && patience > 0 && longest >= patience:
		w.weak("retry_after", "load.timeout", fmt.Sprintf("give the load a timeout above %s", roundUp(longest+time.Second)),
			"the load gives up after %s, before the Retry-After of %s is over", short(patience), short(longest))
	case n < needSpent:
		f := longestOf(told)
		w.weak("retry_after", w.at(f.PlannedFault, "for"), "let the fault last longer, and the load until the retries have come",
			"%s be told to retry later and could, and at least %d are needed", expected(n, "call would", "calls would"), needSpent)
	}
}

// weighHerd asks whether so many calls fail at one instant that their retries
// would make a herd: by a reset of what is in flight, or at a high rate of
// failures.
func (c Backoff) weighHerd(w *weighing, faults []retried) {
	const bin = 0.01
	width := max(c.spreads(1).Seconds(), bin)
	need := max(needHerd, 5*width/bin)
	most, snaps, known := 0.0, false, true
	for _, f := range faults {
		n := f.rate * f.share * bin
		if f.Does().Strikes {
			snaps = true
			known = known && (w.Links[c.Link].Service > 0 || f.delay > 0)
			n = max(n, f.rate*f.share*f.flies.Seconds())
		}
		most = max(most, n)
	}
	switch {
	case most >= need || snaps && !known:
	case !snaps:
		w.weak("herd", "", fmt.Sprintf("add one like {at: 8s, for: 20ms, on: %s, reset: {}}", c.Link),
			"no fault on %q makes many calls fail at one instant", c.Link)
	default:
		w.weak("herd", w.RateKey, "offer more, or let calls take longer: a reset strikes those in flight",
			"%s in flight when they are reset, and about %.0f are needed", expected(most, "call is", "calls are"), need)
	}
}

// spreads is over how much time the k-th waits are spread.
func (c Backoff) spreads(k int) time.Duration {
	plain := c
	plain.Jitter = 0
	if plain.Law == "full" {
		plain.Law = "spread" // whose mean is the whole of it
	}
	d := float64(plain.pace(k))
	switch c.Law {
	case "full":
		return time.Duration(d)
	case "spread":
		return time.Duration(2 * float64(c.Jitter) * d)
	}
	return time.Duration(float64(c.Jitter) * d)
}
