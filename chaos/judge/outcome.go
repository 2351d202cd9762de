package judge

import (
	"cmp"
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// outcome is what the system learned of one call: that it failed, or that it
// did not. When it did lies between two moments, and both are cause and effect
// read off one clock: not before the link had the end of the answer, and not
// after its caller had the answer that was made of it. Neither needs an
// allowance for a host that stalls.
type outcome struct {
	early, late time.Duration // it was learned no earlier and no later
	bad         bool
	unsure      bool // whether it counts at all is not known: the system's own caller had left
}

// outcomes lists what the route's calls came to, by early. With each of several
// attempts of a request counted, all are there; else each request is there once,
// as what its last attempt came to.
func (t *traffic) outcomes(each bool, fails func(*evidence.Exchange) bool) []outcome {
	list := make([]outcome, 0, t.calls.len())
	for i := t.calls.len() - 1; i >= 0; i-- {
		x := t.calls.get(i)
		next := t.next(i)
		if x.Ending == evidence.Cut || next != nil && !each {
			continue
		}
		o := outcome{early: t.learnable(x), bad: fails(x)}
		s, known := t.sampleOf(x)
		switch {
		case next != nil && next.Begin >= x.End:
			o.late = next.Begin
		case known && answered(s) && s.Done >= x.End:
			o.late = s.Done
		default:
			o.late = x.End + t.run.Noise(x.End, x.End)
			o.unsure = known && !answered(s) && x.Ending == evidence.CallerGone
		}
		list = append(list, o)
	}
	slices.SortStableFunc(list, func(a, b outcome) int { return cmp.Compare(a.early, b.early) })
	return list
}

// next is the call after the i-th of the same request; nil if that was the last.
func (t *traffic) next(i int) *evidence.Exchange {
	if !t.again {
		return nil
	}
	calls := t.made(t.calls.get(i).ID)
	if k, _ := slices.BinarySearch(calls, t.calls.place(i)); k+1 < len(calls) {
		return &t.link.Exchanges[calls[k+1]]
	}
	return nil
}

// learnable is the earliest moment at which the system may have known what a
// call came to. The link stamps the end of an answer before it gives the last
// bytes on; that a connection is gone, or that its caller has left, it sees
// after them; and a body that trickles comes after its status.
func (t *traffic) learnable(x *evidence.Exchange) time.Duration {
	switch x.Ending {
	case evidence.Answered, evidence.Injected:
		for f := range t.run.Hits(x) {
			if f.Does().Paces {
				return x.Begin
			}
		}
		return x.End
	}
	return max(x.Begin, x.End-t.run.Noise(x.Begin, x.End))
}

// failedStrangers lists when the system may have learned of failures on the link
// that are other routes': a breaker that routes share counts them too.
func (t *traffic) failedStrangers(fails func(*evidence.Exchange) bool) []time.Duration {
	var list []time.Duration
	for i := range t.link.Exchanges {
		if x := &t.link.Exchanges[i]; t.matched && x.ID != 0 && fails(x) && !t.own(x) {
			list = append(list, t.learnable(x))
		}
	}
	slices.Sort(list)
	return list
}

// repeats reports whether a request sent in [from, to) made several calls.
func (t *traffic) repeats(from, to time.Duration) bool {
	for _, x := range t.begun(from, to).all() {
		if t.again && len(t.made(x.ID)) > 1 {
			return true
		}
	}
	return false
}

// inRow is the most failures in a row that the breaker surely knew of, with no
// success that it may have learned of among or after them, at one of the
// moments at, which come in order: those at which it let a request through.
// Only what was learned after since counts, and settles is how long it may take
// until the breaker counts what its callers know already.
func inRow(list []outcome, at iter.Seq[time.Duration], since, settles time.Duration) int {
	list = list[sort.Search(len(list), func(i int) bool { return list[i].early > since }):]
	n := 0
	for i := range list {
		if list[i].bad && !list[i].unsure {
			n++
		}
	}
	known := make([]int32, 0, n) // failures by late
	for i, o := range list {
		if o.bad && !o.unsure {
			known = append(known, int32(i))
		}
	}
	slices.SortStableFunc(known, func(a, b int32) int { return cmp.Compare(list[a].late, list[b].late) })
	counted := make([]bool, len(list))
	var good time.Duration // by then the last success that it may know of was learned
	most, row, i, j, k := 0, 0, 0, 0, 0
	for now := range at {
		for ; i < len(list) && list[i].early <= now; i++ {
			if !list[i].bad {
				good = max(good, list[i].late+settles)
			}
		}
		for ; k < len(list) && list[k].early < good; k++ {
			if counted[k] {
				row--
			}
		}
		for ; j < len(known) && list[known[j]].late+settles <= now; j++ {
			if int(known[j]) >= k {
				counted[known[j]] = true
				row++
			}
		}
		most = max(most, row)
	}
	return most
}

// timesBy counts the times in (since, at] of a sorted list.
func timesBy(list []time.Duration, since, at time.Duration) int {
	from := sort.Search(len(list), func(i int) bool { return list[i] > since })
	to := sort.Search(len(list), func(i int) bool { return list[i] > at })
	return max(0, to-from)
}
