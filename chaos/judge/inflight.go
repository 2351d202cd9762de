package judge

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// profile is how many exchanges of a link were in progress over time.
type profile []step

// step says that from at on n were in progress.
type step struct {
	at time.Duration
	n  int
}

// profileOf sweeps over the begins and ends of the exchanges, each taken to
// have ended trim earlier than it is recorded to. Of what happens at one
// instant, ends come first: a place that is free can be taken.
func profileOf(exchanges []evidence.Exchange, trim func(evidence.Exchange) time.Duration) profile {
	type edge struct {
		at  time.Duration
		way int
	}
	edges := make([]edge, 0, 2*len(exchanges))
	for _, x := range exchanges {
		if end := x.End - trim(x); end > x.Begin {
			edges = append(edges, edge{x.Begin, +1}, edge{end, -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.way, b.way)) })
	var p profile
	n := 0
	for i, e := range edges {
		n += e.way
		if i+1 < len(edges) && edges[i+1].at == e.at {
			continue
		}
		p = append(p, step{e.at, n})
	}
	return p
}

// most returns the most that were in progress at any moment of [from, to], and
// the first moment of that.
func (p profile) most(from, to time.Duration) (n int, at time.Duration) {
	at = from
	i := sort.Search(len(p), func(i int) bool { return p[i].at > from })
	if i > 0 {
		n = p[i-1].n
	}
	for ; i < len(p) && p[i].at <= to; i++ {
		if p[i].n > n {
			n, at = p[i].n, p[i].at
		}
	}
	return n, at
}

// over returns how long more than limit were in progress: the longest stretch,
// and all of them together.
func (p profile) over(limit int) (longest, total time.Duration) {
	var since time.Duration
	over := false
	for _, s := range p {
		switch {
		case s.n > limit && !over:
			over, since = true, s.at
		case s.n <= limit && over:
			over, longest, total = false, max(longest, s.at-since), total+s.at-since
		}
	}
	return longest, total
}

// level is the most that were in progress at one time for longer than this,
// all such times together.
func (p profile) level(longer time.Duration) int {
	most := 0
	for _, s := range p {
		most = max(most, s.n)
	}
	return sort.Search(most, func(n int) bool { _, total := p.over(n); return total <= longer })
}

// lasting is the most that were in progress for longer than this at a stretch.
func (p profile) lasting(longer time.Duration) int {
	most := 0
	for _, s := range p {
		most = max(most, s.n)
	}
	return sort.Search(most, func(n int) bool { longest, _ := p.over(n); return longest <= longer })
}

// still reports whether nothing began or ended in [from, to].
func (p profile) still(from, to time.Duration) bool {
	i := sort.Search(len(p), func(i int) bool { return p[i].at >= from })
	return i == len(p) || p[i].at > to
}

// during lists the requests whose exchanges were in progress at a moment.
func during(exchanges []evidence.Exchange, at time.Duration) []uint64 {
	var ids []uint64
	for _, x := range exchanges {
		if x.Begin <= at && x.End > at {
			ids = append(ids, x.ID)
		}
	}
	return ids
}

// asSeen takes the ends of exchanges as they are recorded.
func asSeen(evidence.Exchange) time.Duration { return 0 }

// replied tells whether the caller was given a response. The end of such an
// exchange was stamped before.
func replied(x evidence.Exchange) bool {
	return x.Ending == evidence.Answered || x.Ending == evidence.Injected
}

// late is how much later than the caller the relay may have seen the end of an
// exchange.
func late(noise time.Duration) func(evidence.Exchange) time.Duration {
	return func(x evidence.Exchange) time.Duration {
		if replied(x) {
			return time.Millisecond // a caller may be done with the head, a write before the last bytes
		}
		return 2 * noise // once for the relay and once, among many calls, for what a sampled noise has missed
	}
}
