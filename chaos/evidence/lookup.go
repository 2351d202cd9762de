package evidence

import (
	"github.com/stormctl/stormctl/load"
)

// What follows finds records without a copy of them. The first call looks at all
// records once, the others find what it found: all claims of a run share it, and
// may ask at the same time. It stays true as long as no record is changed in
// place; another slice, or another length of it, is noticed.

// Sample finds the request with an id; the last one in Samples if several have it,
// which only a broken run has. It reports whether there is one. The sample is the
// run's own: it must not be changed.
func (r *Run) Sample(id uint64) (*load.Sample, bool) {
	at := r.byID.places(r.Samples, func(s *load.Sample) uint64 { return s.ID }).of(id)
	if len(at) == 0 {
		return nil, false
	}
	return &r.Samples[at[len(at)-1]], true
}

// Route lists where in Samples the requests of a route are, in their order there; of
// several, where the name Selects several. It reports whether the run has such a route;
// the name of none is "". The list is shared: it must not be changed.
func (r *Run) Route(name string) (positions []int32, ok bool) {
	var lists [][]int32
	for i, route := range r.Routes {
		if Selects(name, route) {
			places := r.byRoute.places(r.Samples, func(s *load.Sample) uint64 { return uint64(max(s.Route, -1) + 1) })
			lists = append(lists, places.of(uint64(i+1)))
		}
	}
	switch len(lists) {
	case 0:
		return nil, false
	case 1:
		return lists[0], true
	}
	return r.merged(name, lists), true
}

// CausedBy lists where in Exchanges those of the request with an id are, in
// their order there, which is by Begin. It is nil for 0, which stands for no
// request, and for a request that caused none. The list is shared: it must not
// be changed.
func (l *Link) CausedBy(id uint64) []int32 {
	return l.byID.places(l.Exchanges, func(x *Exchange) uint64 { return x.ID }).of(id)
}

// ByID lists where in Exchanges those of requests are, by the requests' ids, and
// of one request in their order there. The list is shared: it must not be changed.
func (l *Link) ByID() []int32 {
	return l.byID.places(l.Exchanges, func(x *Exchange) uint64 { return x.ID }).at
}
