package hist

// Set is the histograms of one load over some time: per route what callers
// waited and what the service took, and over all routes how late requests were
// sent. It is not safe for concurrent use.
type Set struct {
	Response []*Histogram // done − intended, by route
	Service  []*Histogram // done − sent, by route; of the sent arrivals
	Lag      *Histogram   // sent − intended: what an arrival waited to be sent, for a connection too
	Late     *Histogram   // the part of it that is the harness's alone

	allResponse, allService *Histogram // of more than one route
}

// NewSet returns an empty set for this many routes.
func NewSet(routes int) *Set {
	s := &Set{Lag: New(), Late: New()}
	for range routes {
		s.Response = append(s.Response, New())
		s.Service = append(s.Service, New())
	}
	return s
}

// Reset makes all histograms empty again.
func (s *Set) Reset() {
	for i := range s.Response {
		s.Response[i].Reset()
		s.Service[i].Reset()
	}
	s.Lag.Reset()
	s.Late.Reset()
}

// merge adds what is in another set of as many routes.
func (s *Set) merge(from *Set) {
	for i := range s.Response {
		s.Response[i].Merge(from.Response[i])
		s.Service[i].Merge(from.Service[i])
	}
	s.Lag.Merge(from.Lag)
	s.Late.Merge(from.Late)
}

// AllResponse is the response times of all routes. It is valid until the next
// call, and while nothing is recorded in s.
func (s *Set) AllResponse() *Histogram { return together(s.Response, &s.allResponse) }

// AllService is the same of the service times.
func (s *Set) AllService() *Histogram { return together(s.Service, &s.allService) }

func together(routes []*Histogram, all **Histogram) *Histogram {
	if len(routes) == 1 {
		return routes[0]
	}
	if *all == nil {
		*all = New()
	}
	(*all).Reset()
	for _, h := range routes {
		(*all).Merge(h)
	}
	return *all
}
