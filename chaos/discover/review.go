package discover

import "fmt"

const (
	manyCalls   = 10     // over one link for one request
	callerWait  = 10_000 // ms that callers of an HTTP service commonly wait
	noSpread    = 0.05   // a part of the wait
	leastSpread = 20     // waits whose half tells how far they are spread
)

// Review is what a reviewer would say of the findings: each a sentence, the worst
// first. Nothing is said of what was not seen for want of looking.
func (f *Findings) Review() (remarks []string) {
	say := func(format string, args ...any) { remarks = append(remarks, fmt.Sprintf(format, args...)) }
	if f.Unkeyed > 0 && !f.RPC {
		say("POST is retried without an Idempotency-Key (%d calls): what was done may be done twice", f.Unkeyed)
	}
	if f.KeysChanged > 0 {
		say("a retry comes under another Idempotency-Key than the first attempt (%d calls): the dependency cannot know it again",
			f.KeysChanged)
	}
	for _, cause := range never {
		if seen := f.Causes[cause]; seen.often() {
			say("%v is retried (%d of %d calls): the same request gets the same answer", cause, seen.Retried, seen.Calls)
		}
	}
	if f.Timeout == nil && f.TimeoutUpTo > 0 {
		say("no timeout was seen, up to %v: a dependency that hangs holds its callers for as long", f.TimeoutUpTo)
	}
	if f.StillOut > 0 {
		say("callers are still turned away %v after the dependency was well again: a bulkhead loses its places, "+
			"or a breaker does not close", f.StillOut)
	}
	if f.Abandoned > 0 {
		say("a timeout answers the caller and leaves the call to go on (%d calls): what hangs piles up at the dependency", f.Abandoned)
	}
	if f.Limit == nil && f.LimitUpTo > 0 && f.Timeout == nil {
		say("%d calls were in progress and none was turned away: what hangs takes everything with it", f.LimitUpTo)
	}
	if f.Attempts != nil && f.Timeout != nil && f.Attempts.High > 1 {
		if all := f.Attempts.High*f.Timeout.Low + f.waited(); all > callerWait && f.Causes[0].Retried > 0 {
			say("%s attempts of %s outlive a caller who waits for 10 s: they are made for nobody", f.Attempts.count(), f.Timeout.span())
		}
	}
	if law, ok := LawOf(f.Waits); ok {
		switch {
		case f.Waits[0].High.High < leastBase || f.Waits[0].Usual < inMS(hop):
			say("retries come at once (half of them within %s): a dependency in trouble gets several times the load",
				short(f.Waits[0].Usual))
		case law.Noise == nil && law.Jitter != nil && law.Jitter.High < noSpread, law.Name != "full" && unspread(f.Waits):
			say("no jitter: calls that fail at one moment come back at one moment, %s later", f.Waits[0].Low.span())
		}
		if law.Name == "constant" && len(f.Waits) > 2 {
			say("waits do not grow: %s before each retry", f.Waits[0].Low.span())
		}
	}
	if f.RetryAfter != nil && f.RetryAfter.High < 0.95*float64(RetryAfterOf.Milliseconds()) {
		say("Retry-After is not heard: %v was asked for, and a retry came after %s", RetryAfterOf, f.RetryAfter.span())
	}
	if f.did(Quick) && !f.Opened && f.Failing >= 50 && f.Calls >= oneCall {
		say("no breaker was seen: %d requests in a row went to a dependency that failed all of them", f.Failing)
	}
	if f.Opened && f.Open == nil && f.OpenUpTo > 0 {
		say("once it fails, nothing is let through for %v: a breaker that was not seen to probe, or a bulkhead that loses its places",
			f.OpenUpTo)
	}
	if f.Probes != nil && f.Probes.Low > 1 {
		say("half-open lets %s calls through at once: a dependency that comes back is hit by all of them", f.Probes.count())
	}
	if f.Calls >= manyCalls {
		say("%.0f calls for one request, %d of them one after another", f.Calls, f.Depth)
	}
	return remarks
}

// unspread reports whether half of the waits lie so close to the shortest that an even
// spread would be none to speak of. The longer half may be the host's.
func unspread(waits []Wait) bool {
	told := false
	for _, w := range waits {
		if w.Sample < leastSpread {
			continue
		}
		spread := 2 * (w.Usual - w.Low.High)
		if told = spread < noSpread*w.Low.High; !told && spread > 2*inMS(hop) {
			return false
		}
	}
	return told
}

// waited is the sum of the waits between attempts, at least.
func (f *Findings) waited() (ms float64) {
	for _, w := range f.Waits {
		ms += w.Low.Low
	}
	return ms
}
