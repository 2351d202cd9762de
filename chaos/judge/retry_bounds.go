package judge

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// judgeBounds rules on how many attempts there are at most, and at least.
//
// The most that a call made is the bound only if calls failed so often, could
// have gone on and did not: their system gave them up while their callers
// waited. Until then it may be any number from there on.
func (c Retry) judgeBounds(f *finding, t tally) {
	if c.Attempts > 0 && !(t.idle() && c.Attempts > 1) {
		most, spent := int(t.most.Low), 0
		for n, calls := range t.stops {
			if n >= most {
				spent += calls
			}
		}
		m := measure{
			name: "attempts", seen: t.most, allowed: atMost(c.Attempts), sample: spent, ids: c.beyond(t),
			says: fmt.Sprintf("no call made more than %d attempts, though %d failed that often", most, spent),
		}
		if t.most.High > t.most.Low {
			m.settle = t.anyones()
		}
		if spent < leastSpent {
			m.seen.High = math.Inf(1)
			m.says = fmt.Sprintf("the bound was hardly put to the test: %s %d times and was given up while its caller waited",
				were(spent, "call failed", "calls failed"), most)
			m.settle = "longer faults, or callers that wait longer, would show it"
		}
		m.refutes = fmt.Sprintf("calls made more than %d attempts, up to %d", c.Attempts, most)
		f.rule(m)
		f.numbers.Add("calls_spent", float64(spent))
	} else if c.Attempts > 0 {
		f.open("attempts", "the bound of %d attempts was not put to the test: hardly any call was retried: "+
			"let faults answer with a status in on", c.Attempts)
	}
	if c.AtLeast > 0 {
		c.judgeLeast(f, t)
	}
}

// anyones says that it is not known who made some repeats, and how it would be.
func (t tally) anyones() string {
	return were(t.hidden, "repeat", "repeats") + " may be the HTTP library's, on connections that broke, or the policy's: " +
		"faults that answer, or that break every connection, would tell"
}

// beyond lists calls with more attempts than allowed.
func (c Retry) beyond(t tally) (ids []uint64) {
	for _, n := range slices.Sorted(maps.Keys(t.mostIDs)) {
		if n > c.Attempts {
			ids = append(ids, t.mostIDs[n]...)
		}
	}
	return ids
}

// judgeLeast rules on after how many attempts calls are given up at the
// earliest. Where none was, all went on after each failure that was seen often
// enough, and that many attempts and one are the least.
func (c Retry) judgeLeast(f *finding, t tally) {
	m := measure{name: "at_least", seen: t.fewest, allowed: atLeast(c.AtLeast), ids: t.fewestIDs, settle: "longer faults would show it"}
	for _, calls := range t.stops {
		m.sample += calls
	}
	if t.hidden > 0 && !t.waits {
		m.settle = t.anyones()
	}
	switch {
	case t.retryable < leastFailures:
		f.open("at_least", "only %d calls failed in a way that may be retried; at least %d are needed"+moreFail, t.retryable, leastFailures)
		return
	case m.sample > 0:
		m.says = fmt.Sprintf("no call was given up after fewer than %s attempts, of %d that were while their callers waited",
			counted.print(t.fewest.Low), m.sample)
		m.refutes = fmt.Sprintf("%s given up after %s while the caller waited",
			were(t.stops[int(t.fewest.Low)], "call was", "calls were"), were(int(t.fewest.Low), "attempt", "attempts"))
	default:
		reached := 0
		for n := 1; t.failedAt[n] >= leastFailures; n++ {
			reached = n
		}
		m.seen, m.sample = Interval{float64(reached + 1), math.Inf(1)}, t.failedAt[max(reached, 1)]
		m.says = fmt.Sprintf("no call was given up, though %d failed %s", t.failedAt[max(reached, 1)], often(max(reached, 1)))
	}
	f.rule(m)
}

// judgeCauses rules on after what calls were retried.
func (c Retry) judgeCauses(f *finding, t tally) {
	clean := true
	statuses := slices.Sorted(maps.Keys(t.wrong))
	for _, status := range slices.Sorted(maps.Keys(t.unsure)) {
		if len(t.wrong[status]) == 0 {
			statuses = append(statuses, status)
		}
	}
	for _, status := range statuses {
		clean = false
		ids := slices.Compact(slices.Clone(t.wrong[status]))
		unsure := t.unsure[status]
		f.numbers.Add(fmt.Sprintf("retried_after_%d", status), float64(len(ids)))
		if unsure > 0 {
			f.numbers.Add(fmt.Sprintf("retried_after_%d_unsure", status), float64(unsure))
		}
		f.rule(measure{
			name: c.cause(status), seen: interval(len(ids), len(ids)+unsure), allowed: atMost(0), sample: t.answers[status], ids: ids,
			says: fmt.Sprintf("%s retried after %d, of %d such answers",
				were(len(ids)+unsure, "call was", "calls were"), status, t.answers[status]),
			settle: "the host kept processes from running so long that the callers may have given up on these answers before: " +
				"a host with cores to spare would tell",
		})
	}
	c.judgeNever(f, t)
	if clean && !t.idle() && t.retryable >= leastFailures {
		n := 0
		for status, seen := range t.answers {
			if !c.may(status) && status >= 400 {
				n += seen
			}
		}
		f.rule(measure{name: "on", seen: exactly(0), allowed: atMost(0), sample: n, says: fmt.Sprintf("none of %s retried",
			were(n, "other failure was", "other failures was"))})
	}
}

// cause is the key that forbids to retry after a status.
func (c Retry) cause(status int) string {
	if slices.Contains(c.Never, status) {
		return "never"
	}
	return "on"
}

// judgeNever says which of the statuses in never stood, and which were not seen
// often enough to say so.
func (c Retry) judgeNever(f *finding, t tally) {
	var missing, stood []string
	sample := 0
	for _, status := range c.Never {
		n := t.answers[status]
		f.numbers.Add(fmt.Sprintf("answers_%d", status), float64(n))
		switch text := fmt.Sprintf("%d (%s)", status, seen(n)); {
		case len(t.wrong[status])+t.unsure[status] > 0:
		case n < leastNever:
			missing = append(missing, text)
		default:
			stood = append(stood, text)
			sample += n
		}
	}
	if len(stood) > 0 {
		says := "none was retried after " + strings.Join(stood, ", ")
		f.rule(measure{name: "never", seen: exactly(0), allowed: atMost(0), sample: sample, says: says})
	}
	if len(missing) > 0 {
		f.open("never", "the link hardly ever answered %s: each status in never must be seen at least %d times: add an errors "+
			"fault with it", strings.Join(missing, ", "), leastNever)
	}
}

// judgeWrites rules on calls that may have had their effect twice. One is enough.
func (c Retry) judgeWrites(f *finding, t tally) {
	f.numbers.Add("unkeyed_writes_failed", float64(t.writes))
	f.numbers.Add("unkeyed_writes_repeated", float64(len(t.writesWrong)))
	if t.keyed > 0 {
		f.numbers.Add("keyed_writes_repeated", float64(t.keyed))
	}
	none := func(name string, sample int, ids []uint64, says string) {
		f.rule(measure{name: name, seen: exactly(len(ids)), allowed: atMost(0), sample: sample, ids: ids, says: says})
	}
	repeated := func(ids []uint64, how string) {
		if n := len(ids); n > 0 && !c.Unkeyed {
			none("unkeyed", n, ids, were(n, "POST or PATCH call was", "POST or PATCH calls were")+" repeated under "+how)
		}
	}
	if n := len(t.writesWrong); !c.Unkeyed && n+t.writes > 0 {
		all := max(n, t.writes)
		none("unkeyed", all, t.writesWrong, fmt.Sprintf("%d of %d failed POST or PATCH calls without an Idempotency-Key were repeated",
			n, all))
	}
	repeated(t.keyChanged, "another Idempotency-Key")
	repeated(t.payloadChange, "the same Idempotency-Key with another body")
	switch n := len(t.changed); {
	case !c.SameKey:
	case n == 0 && t.keyed < leastSpent:
		f.open("same_key", "%s repeated that carried an Idempotency-Key: at least %d are needed: "+
			"send requests with one, and let more of them fail",
			were(t.keyed, "call was", "calls were"), leastSpent)
	default:
		none("same_key", t.keyed+n, t.changed, fmt.Sprintf(
			"%s repeated under another Idempotency-Key or with another body, of %d that carried a key",
			were(n, "call was", "calls were"), t.keyed+n))
	}
}
