package judge

import (
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// wait is the time between two attempts of one call.
type wait struct {
	id     uint64
	after  *evidence.Exchange // the attempt that failed
	begin  time.Duration      // of the next
	before time.Duration      // how long the wait before was; 0 for the first
	blur   time.Duration      // by how much it may have been longer than measured
}

func (w wait) gap() time.Duration { return w.begin - w.after.End }

// waits are those of one rank: the first, second, ... of their calls.
type waits struct {
	all  []wait
	ends int // calls that failed at this rank as others did before they were retried, and were not
}

// gaps are the waits as measured, in order.
func (w waits) gaps() []time.Duration {
	gaps := make([]time.Duration, len(w.all))
	for i, x := range w.all {
		gaps[i] = x.gap()
	}
	slices.Sort(gaps)
	return gaps
}

// ranks sorts the waits of all calls by their rank. Waits after a Retry-After
// follow that and not the law; libraries begin the law anew behind one
// (cenkalti/backoff/v5 does), so the rest of such a call is left out.
//
// The relay stamps the end of an answer before the caller has it, and so a wait
// that follows one is never measured too short. Of an attempt that its caller
// gave up, or of which it had no answer, the end is stamped once the relay has
// learned of it: late by up to blur, or by the noise where it may be that a
// caller gave up on what the link takes for answered.
func ranks(all *calls, blur, noise time.Duration, receipts answerReceipts) (byRank []waits, told []wait, overlaps int) {
	type failure struct {
		method string
		keyed  bool
		status int
	}
	as := func(x *evidence.Exchange) failure { return failure{x.Method, x.Key != 0, seenStatus(x)} }
	retried := make(map[failure]bool)
	for c := range all.all() {
		for i := range c.attempts[:len(c.attempts)-1] {
			retried[as(c.at(i))] = true
		}
	}
	for c := range all.all() {
		var before time.Duration
		for i := range c.attempts {
			x := c.at(i)
			if succeeded(x) || x.Ending == evidence.Cut {
				break
			}
			for len(byRank) <= i {
				byRank = append(byRank, waits{})
			}
			if i+1 == len(c.attempts) {
				if retried[as(x)] {
					byRank[i].ends++
				}
				break
			}
			w := wait{id: c.id(), after: x, begin: c.at(i + 1).Begin, before: before}
			switch {
			case !receipts.surely(x, w.begin):
				w.blur = max(blur, noise)
			case seenStatus(x) == 0:
				w.blur = blur
			}
			before = 0
			if w.gap() < -w.blur {
				overlaps++ // the caller went on without closing the attempt before: its end says nothing
				continue
			}
			if x.Extra().RetryAfter > 0 && seenStatus(x) > 0 {
				told = append(told, w)
				break
			}
			byRank[i].all = append(byRank[i].all, w)
			before = w.gap()
		}
	}
	return byRank, told, overlaps
}
