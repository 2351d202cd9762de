package judge

import (
	"fmt"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// leastIgnored is how many answers there must be with each status to be ignored.
const leastIgnored = 5

// breaks reports whether a fault must open the breaker, and ignored whether it
// must not. A fault with client errors that are not declared as ignored is
// neither: what it should do is not claimed.
func (b Breaker) breaks(f evidence.Injection) bool {
	if !f.Does().Answers {
		return true
	}
	return slices.ContainsFunc(f.Statuses, func(s int) bool { return s >= 500 && !slices.Contains(b.Ignores, s) })
}

// ignored reports whether a fault answers with nothing but what must not open the
// breaker.
func (b Breaker) ignored(f evidence.Injection) bool {
	return f.Does().Answers && len(f.Statuses) > 0 &&
		!slices.ContainsFunc(f.Statuses, func(s int) bool { return !slices.Contains(b.Ignores, s) })
}

// judgeIgnores rules on the times in which only ignored statuses came: there it
// must stay closed. The aftermath of other faults is left out. That it ignores
// them is shown by twice as many as it takes failures to open it.
func (b Breaker) judgeIgnores(f *finding, t *traffic, o *observed, traces []episodeTrace, th threshold) {
	shown := map[int]int{}
	total := 0
	var blackout time.Duration
	var ids, turned []uint64
	for _, e := range episodes(t.run, 0, func(i evidence.Injection) bool { return onPath(t.link, i) && b.ignored(i) }) {
		from, to := alone(e, traces)
		for _, x := range t.begun(from, to).all() {
			if e.hit(x) && slices.Contains(b.Ignores, x.Status) && t.end-x.End >= minOpenPeriod {
				shown[x.Status]++
				total++
			}
		}
		for _, s := range t.sent(from, to).all() {
			if t.rejected(s) && t.hasNewStatus(s) {
				turned = append(turned, s.ID)
			}
		}
		for _, s := range o.openPeriods {
			if s.first.Done < from || s.from >= to {
				continue
			}
			blackout = max(blackout, s.to-s.from)
			for _, r := range s.rejected.all() {
				ids = append(ids, r.ID)
			}
		}
	}
	f.numbers.Add("ignored_failures", float64(total))
	if blackout > 0 {
		f.rule(measure{name: "ignores", seen: exactly(len(ids)), allowed: atMost(0), sample: total, ids: ids,
			says: fmt.Sprintf("opened on statuses it must ignore (%s): no call reached %q for up to %s, and %d requests were rejected",
				list(b.Ignores), b.Link, short(blackout), len(ids))})
		return
	}
	for _, status := range b.Ignores {
		if shown[status] < leastIgnored {
			f.open("ignores", "status %d, which it must ignore, came %s while nothing else failed: add an errors fault with it",
				status, often(shown[status]))
			return
		}
	}
	if th.openings == 0 {
		f.open("ignores", "it stayed closed through %d answers of %s, but it was not seen to open on anything else: "+
			"add an errors fault with another status", total, list(b.Ignores))
		return
	}
	if need := max(leastFailing, int(2*th.seen.High)); total < need {
		f.open("ignores", "only %d calls ended in a status it must ignore; at least %d are needed: "+
			"let that fault last for longer, or offer more", total, need)
		return
	}
	// Open for less than minOpenPeriod looks like this, and so does a system that gives up by itself.
	f.rule(measure{name: "ignores", seen: interval(0, len(turned)), allowed: atMost(0), sample: total, ids: turned,
		says: fmt.Sprintf("stayed closed through %d answers of %s", total, list(b.Ignores)),
		settle: fmt.Sprintf("%s answered without a call meanwhile, which nothing explains: "+
			"look at what those were answered", were(len(turned), "request was", "requests were"))})
}

// alone is the part of an episode in which the breaker was not open because of another.
func alone(e span, traces []episodeTrace) (from, to time.Duration) {
	from, to = e.from, e.to
	for _, c := range traces {
		over := c.over()
		if c.closed >= 0 {
			over = c.closed
		}
		if c.from <= from && over > from {
			from = over
		} else if c.from > from {
			to = min(to, c.from)
		}
	}
	return from, to
}
