package judge

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// judgeRetryAfter counts the retries that came before the answer before them
// asked for. In seconds that is exact. A date has none but whole seconds, so
// a client that keeps to it may come a second early; what is left until a date is no
// whole number of seconds, which tells the two forms apart.
//
// Where the host kept processes from running for so long that the caller may
// have given up on the answer, it may not have been asked anything.
func (c Backoff) judgeRetryAfter(f *finding, link *evidence.Link, told []wait, receipts answerReceipts) {
	asked, unsure := 0, 0
	for i := range link.Exchanges {
		if x := &link.Exchanges[i]; x.Extra().RetryAfter > 0 && seenStatus(x) > 0 {
			asked++
		}
	}
	f.numbers.Add("retry_after_seen", float64(asked))
	var early []uint64
	var least time.Duration
	for i, w := range told {
		margin := 50 * time.Millisecond
		if w.after.Extra().RetryAfter%time.Second != 0 {
			margin = time.Second
		}
		over := w.gap() - w.after.Extra().RetryAfter
		if i == 0 {
			least = over
		}
		least = min(least, over)
		switch {
		case over >= -margin:
		case receipts.surely(w.after, w.begin):
			early = append(early, w.id)
		default:
			unsure++
		}
	}
	switch {
	case len(early)+unsure > 0:
	case asked == 0:
		f.open("retry_after", "no answer carried a Retry-After: an errors fault with retry_after would show whether it is honoured")
		return
	case len(told) < leastTold:
		f.open("retry_after", "%d answers carried a Retry-After, but only %d of them were followed by a retry; at least %d are needed: "+
			"let callers and the load wait for longer than it says",
			asked, len(told), leastTold)
		return
	}
	f.numbers.Add("retry_after_ignored", float64(len(early)))
	f.numbers.AddTime("retry_after_margin_min", least)
	says := fmt.Sprintf("none of %d retries came before its Retry-After", len(told))
	if unsure > 0 {
		says = were(unsure, "retry", "retries") + " came before the Retry-After of an answer that the caller may have given up on"
	}
	f.rule(measure{
		name: "retry_after", seen: interval(len(early), len(early)+unsure), allowed: atMost(0), sample: len(told), ids: early, says: says,
		refutes: fmt.Sprintf("%d of %d retries came before the Retry-After they were given, up to %s too early",
			len(early), len(told), short(-least)),
		settle: "a host that lets processes run would tell",
	})
}
