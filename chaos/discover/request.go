package discover

import (
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// request is one request of the route and the calls it made over the link, by Begin.
type request struct {
	*load.Sample
	calls []*evidence.Exchange
}

// requests joins the two sides of a run. anonymous reports that no call carries the
// id of its request.
func requests(run *evidence.Run, s Subject) (all []request, anonymous bool) {
	link := run.Links[s.Link]
	positions, _ := run.Route(s.Route)
	anonymous = true
	for _, at := range positions {
		r := request{Sample: &run.Samples[at]}
		if r.Outcome == load.Unsent {
			continue // the harness's doing
		}
		for _, k := range link.CausedBy(r.ID) {
			r.calls = append(r.calls, &link.Exchanges[k])
		}
		anonymous = anonymous && len(r.calls) == 0
		all = append(all, r)
	}
	return all, anonymous && len(link.Exchanges) > 0
}

// sentIn are the requests that were sent in a stretch.
func sentIn(all []request, from, to time.Duration) []request {
	var in []request
	for _, r := range all {
		if r.Sent >= from && r.Sent < to {
			in = append(in, r)
		}
	}
	return in
}

// depth is the most calls of which each began after the one before had ended: the
// length of the longest chain, by taking the call that ends first each time.
func (r request) depth() (n int) {
	byEnd := slices.Clone(r.calls)
	slices.SortStableFunc(byEnd, func(a, b *evidence.Exchange) int { return int(a.End - b.End) })
	last := time.Duration(-1)
	for _, x := range byEnd {
		if x.Begin > last {
			n, last = n+1, x.End
		}
	}
	return n
}

// attempts are the calls of a request for one thing, which is the path and method of
// its first: the others are calls of another kind.
func (r request) attempts() []*evidence.Exchange {
	var same []*evidence.Exchange
	for _, x := range r.calls {
		if x.Method == r.calls[0].Method && x.Path == r.calls[0].Path {
			same = append(same, x)
		}
	}
	return same
}

// failed reports whether an attempt was no success to whoever made it, and why.
func failed(x *evidence.Exchange) (Cause, bool) {
	switch {
	case x.Ending == evidence.Cut || x.Ending == evidence.Unread:
		return 0, false // not known
	case x.Status == 0:
		return 0, true
	}
	return Cause(x.Status), x.Status >= 400
}

// median of what is not empty; the list is sorted.
func median[N int | float64 | time.Duration](list []N) N {
	slices.Sort(list)
	return list[len(list)/2]
}
