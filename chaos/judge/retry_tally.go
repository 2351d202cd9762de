package judge

import (
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// tally is what the calls of a link came to.
type tally struct {
	calls         int
	most          Interval // most attempts of one call
	mostIDs       map[int][]uint64
	stops         map[int]int // calls that the system gave up while their caller waited, by the attempts they made
	fewest        Interval    // fewest attempts of one of those
	fewestIDs     []uint64    // those of them that made so few
	failedAt      map[int]int // calls whose attempt of this number failed in a way that may be retried, and may be repeated
	hidden        int         // exchanges that the HTTP library may have made by itself
	waits         bool        // the policy was seen to wait before its retries, so that those are known not to be its own
	retryable     int         // calls of which an attempt failed in a way that may be retried
	retried       int         // of them, those that were
	doubtful      int         // of them, those that the HTTP library may have repeated by itself
	denied        int         // of them, those given up after fewer attempts than others made
	answers       map[int]int
	wrong         map[int][]uint64 // calls retried after a status that must not be, by status
	unsure        map[int]int      // those that may have been retried because their caller had no answer by then, by status
	afterSuccess  []uint64
	unheard       int      // attempts that were repeated after a success that their caller may not have had
	writes        int      // calls of POST or PATCH without a key that failed in a way that may be retried otherwise
	writesWrong   []uint64 // calls of POST or PATCH that were repeated without a key
	keyed         int      // calls with a key that were repeated under it
	bodied        int      // repeats of which both bodies are known
	keyChanged    []uint64 // calls repeated under another key, of POST and PATCH
	payloadChange []uint64 // calls repeated under the same key with another body, of POST and PATCH
	changed       []uint64 // calls whose attempts differ in key or body, of any method
}

// idle reports whether nothing shows that the system retries at all. A few
// repeats may be the HTTP library's, late on a busy host.
func (t tally) idle() bool { return 20*t.retried < t.retryable && 10*t.doubtful < t.retryable }

// write writes down what was counted.
func (t tally) write(n *Numbers, calls int) {
	n.Add("calls", float64(calls))
	n.Add("calls_failed_retryably", float64(t.retryable))
	n.Add("calls_retried", float64(t.retried))
	n.Add("attempts_max", t.most.Low)
	n.Add("hidden_repeats", float64(t.hidden))
}

// count looks at every attempt of every call, and at each pair of attempts.
func (c Retry) count(run *evidence.Run, a *attempted, noise time.Duration, receipts answerReceipts) tally {
	t := tally{
		calls: a.own.len(), waits: a.waits,
		mostIDs: make(map[int][]uint64), stops: make(map[int]int), failedAt: make(map[int]int),
		answers: make(map[int]int), wrong: make(map[int][]uint64), unsure: make(map[int]int),
	}
	for call := range a.own.all() {
		t.hidden += int(call.hidden)
		p := c.pairs(&t, call, a.reused, noise, receipts)
		least, most := len(call.attempts)-p.library, len(call.attempts)+int(call.hidden)
		if t.waits {
			most = least
		}
		t.most = Interval{max(t.most.Low, float64(least)), max(t.most.High, float64(most))}
		if len(t.mostIDs[least]) < MaxIDs {
			t.mostIDs[least] = append(t.mostIDs[least], call.id())
		}
		c.gaveUp(run, &t, call, least, most)
	}
	for n, calls := range t.stops {
		if float64(n) < t.most.Low {
			t.denied += calls
		}
	}
	return t
}

// pairing is what the attempts of one call were, taken together.
type pairing struct {
	failed, retryable, retried, doubtful, again, keyed bool

	library int // one repeat in the row may be the HTTP library's even on a connection that looks fresh
}

// pairs looks at each attempt of a call and the next.
func (c Retry) pairs(t *tally, call call, reused []bool, noise time.Duration, receipts answerReceipts) pairing {
	var p pairing
	for i := range call.attempts {
		x := call.at(i)
		if status := seenStatus(x); status > 0 {
			t.answers[status]++
		}
		p.failed = p.failed || c.failed(x)
		if c.retryable(x) {
			p.retryable = true
			t.failedAt[i+1]++
		}
		if i+1 == len(call.attempts) {
			break
		}
		next := call.at(i + 1)
		atOnce := snapped(x) && next.Begin-x.End <= 2*noise
		late := noise > evidence.LeastNoise && transparent(x, reused[call.attempts[i]]) // its repeat may be, on a host that is busy
		if atOnce || late {
			p.library = 1
		}
		switch status := seenStatus(x); {
		case succeeded(x) && (next.Begin < x.End || receipts.unsure(x)):
			t.unheard++
		case succeeded(x):
			t.afterSuccess = append(t.afterSuccess, call.id())
		case !c.may(status) && !receipts.surely(x, next.Begin):
			t.unsure[status]++
		case !c.may(status):
			t.wrong[status] = append(t.wrong[status], call.id())
		case atOnce:
			p.doubtful = true
		default:
			p.retried = true
		}
		t.compare(&p, call.id(), x, next)
	}
	t.add(p, call)
	return p
}

// compare looks at the keys and bodies of two attempts, whatever the first came
// to: it was sent twice.
func (t *tally) compare(p *pairing, id uint64, x, next *evidence.Exchange) {
	bodies := seenStatus(x) > 0 && seenStatus(next) > 0 // a broken attempt's body may not have been read whole
	switch {
	case x.Key != next.Key || bodies && x.Payload != next.Payload:
		t.changed = append(t.changed, id)
	case x.Key != 0:
		p.keyed = true
	}
	if bodies && x.Payload != 0 {
		t.bodied++
	}
	if !writes(x) {
		return
	}
	switch {
	case x.Key == 0 && next.Key == 0:
		p.again = true
	case x.Key != next.Key:
		t.keyChanged = append(t.keyChanged, id)
	case bodies && x.Payload != next.Payload:
		t.payloadChange = append(t.payloadChange, id)
	}
}

// add counts the call.
func (t *tally) add(p pairing, call call) {
	if p.retryable {
		t.retryable++
	}
	switch {
	case !p.retryable:
	case p.retried:
		t.retried++
	case p.doubtful:
		t.doubtful++
	}
	if p.keyed {
		t.keyed++
	}
	if x := call.at(0); writes(x) && x.Key == 0 && p.failed {
		t.writes++
	}
	if p.again {
		t.writesWrong = append(t.writesWrong, call.id())
	}
}

// promptly is how soon a system that gives up answers its caller.
const promptly = 2 * evidence.LeastNoise

// gaveUp counts the call if the system gave it up by itself: its last attempt
// failed, it could have made another one, and its caller waited until it had the
// answer made of that. Whose caller had left shows no bound. Where that answer took
// its time, there may have been one more attempt, whose own time was up before it
// reached the link: on a host without a core to spare a new connection can take that long.
func (c Retry) gaveUp(run *evidence.Run, t *tally, call call, least, most int) {
	last := call.last()
	if !c.retryable(last) {
		return
	}
	s, ok := run.Sample(call.id())
	if !ok || !answered(s) || s.Done < last.End {
		return
	}
	made := interval(least, most)
	if s.Done-last.End > promptly || run.Noise(last.Begin, s.Done) > gaveUpUnseen {
		made.High = math.Inf(1)
	}
	if len(t.stops) == 0 {
		t.fewest = made
	}
	if float64(least) < t.fewest.Low {
		t.fewestIDs = nil
	}
	t.fewest = Interval{min(t.fewest.Low, made.Low), min(t.fewest.High, made.High)}
	if float64(least) == t.fewest.Low && len(t.fewestIDs) < MaxIDs {
		t.fewestIDs = append(t.fewestIDs, call.id())
	}
	t.stops[least]++
}

// waitsFirst reports whether the policy was seen to wait before its retries for
// longer than a repeat of the HTTP library takes: before those after an answer, and
// before those after a first attempt that broke on a fresh connection, neither of
// which the library makes. A policy that waits after answers may well repeat at
// once what a connection has lost.
func waitsFirst(all *calls, reused []bool, noise time.Duration) bool {
	var answered, broken []time.Duration
	for call := range all.all() {
		for i := 1; i < len(call.attempts); i++ {
			x, gap := call.at(i-1), call.at(i).Begin-call.at(i-1).End
			switch {
			case seenStatus(x) > 0 && !succeeded(x):
				answered = append(answered, gap)
			case i == 1 && snapped(x) && !reused[call.attempts[0]]:
				broken = append(broken, gap)
			}
		}
	}
	slices.Sort(answered)
	return len(answered) >= leastWaits && answered[len(answered)/100] > 2*noise &&
		len(broken) >= leastWaits && slices.Min(broken) > 2*noise
}
