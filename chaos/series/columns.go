package series

import (
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// columns make one Series.
type columns struct {
	series   *Series
	from, to time.Duration // seconds that begin outside are none of its own; to is 0 if it has no end
	step     time.Duration
	count    int // columns so far
	last     time.Duration

	outcomes [load.Outcomes][]uint64
	response spread
	route    map[string]int // where in series.Routes
	link     map[string]int
	routes   []spread
	links    []spread
}

// newColumns makes those of some routes and links.
func newColumns(from, to time.Duration, step int, routes, links []string) *columns {
	s := &Series{From: evidence.Seconds(from), Step: step, Outcomes: map[string][]uint64{},
		Routes: make([]Route, len(routes)), Links: make([]Link, len(links))}
	c := &columns{series: s, from: from, to: to, step: time.Duration(step) * time.Second, route: map[string]int{}, link: map[string]int{}}
	c.response = newSpread(&c.series.Response)
	for i, name := range routes {
		c.route[name] = i
		c.series.Routes[i].Name = name
		c.routes = append(c.routes, newSpread(&c.series.Routes[i].Response))
	}
	for i, name := range links {
		c.link[name] = i
		c.series.Links[i].Name = name
		c.links = append(c.links, newSpread(&c.series.Links[i].Took))
	}
	return c
}

// has reports whether a moment is in one of the columns.
func (c *columns) has(moment time.Duration) bool {
	return moment >= c.from && (c.to == 0 || moment < c.to)
}

// column is the one that a moment is in.
func (c *columns) column(moment time.Duration) int { return int((moment - c.from) / c.step) }

// second takes what was counted from one moment to t.At, without the routes.
func (c *columns) second(moment time.Duration, t *evidence.Tick, unwell bool) {
	s, i := c.series, c.column(moment)
	c.count, c.last = max(c.count, i+1), t.At
	add(&s.Offered, i, t.Offered)
	add(&s.Ended, i, t.Ended)
	add(&s.Unsent, i, t.Unsent)
	h := &s.Harness
	worst(&h.LagP99, i, 0, millis(t.LagP99.Duration()))
	worst(&h.LagMax, i, 0, millis(t.LagMax.Duration()))
	worst(&h.Hiccup, i, 0, millis(t.HiccupMax.Duration()))
	worst(&h.Pressure, i, -1, rounded(t.Pressure, 3))
	worst(&h.CPU, i, 0, rounded(t.CPU, 3))
	h.Lost = grown(h.Lost, i+1, before(h.Lost))
	h.Lost[i] = max(h.Lost[i], t.Lost)
	h.Unwell = grown(h.Unwell, i+1, false)
	h.Unwell[i] = h.Unwell[i] || unwell
	for name, seen := range t.Links {
		if k, ok := c.link[name]; ok {
			s.Links[k].second(i, &seen)
		}
	}
	c.weigh(i, t.Targets)
}

// row is where a route is among the series' own; −1 if it has no row.
func (c *columns) row(route string) int {
	if k, ok := c.route[route]; ok {
		return k
	}
	return -1
}

// ended takes what of a route ended in a second.
func (c *columns) ended(moment time.Duration, row int, outcomes *[load.Outcomes]uint64) {
	i := c.column(moment)
	var all uint64
	for o, n := range outcomes {
		if n > 0 && load.Outcome(o) != load.Unsent {
			add(&c.outcomes[o], i, n)
			all += n
		}
	}
	if row >= 0 {
		add(&c.series.Routes[row].Ended, i, all)
		add(&c.series.Routes[row].Bad, i, all-outcomes[load.OK])
	}
}

func (l *Link) second(i int, t *evidence.LinkTick) {
	add(&l.Ended, i, t.Ended)
	add(&l.Errors, i, t.Errors)
	n := float64(t.InFlight)
	worst(&l.InFlight.Most, i, 0, max(n, float64(t.Peak)))
	l.InFlight.Least = grown(l.InFlight.Least, i+1, -1)
	if least := &l.InFlight.Least[i]; *least < 0 || n < *least {
		*least = n
	}
}

func add(list *[]uint64, i int, n uint64) {
	*list = grown(*list, i+1, 0)
	(*list)[i] += n
}

// worst keeps the largest; what is not seen is unseen.
func worst(list *[]float64, i int, unseen, v float64) {
	*list = grown(*list, i+1, unseen)
	(*list)[i] = max((*list)[i], v)
}

func before(lost []uint64) uint64 {
	if len(lost) == 0 {
		return 0
	}
	return lost[len(lost)-1]
}

// end makes the series whole: all lists are of one length, and reach to a time if
// there are seconds there.
func (c *columns) end(reach time.Duration) *Series {
	reach = min(reach, c.last)
	if c.to > 0 {
		reach = min(reach, c.to)
	}
	s, n := c.series, max(c.count, int((reach-c.from+c.step-1)/c.step))
	s.To = evidence.Seconds(min(max(c.last, c.from), c.from+time.Duration(n)*c.step))
	for _, list := range []*[]uint64{&s.Offered, &s.Ended, &s.Unsent} {
		*list = grown(*list, n, 0)
	}
	h := &s.Harness
	for _, list := range []*[]float64{&h.LagP99, &h.LagMax, &h.Hiccup, &h.CPU} {
		*list = grown(*list, n, 0)
	}
	h.Pressure, h.Lost, h.Unwell = grown(h.Pressure, n, -1), grown(h.Lost, n, before(h.Lost)), grown(h.Unwell, n, false)
	for o, list := range c.outcomes {
		if list != nil {
			s.Outcomes[load.Outcome(o).String()] = grown(list, n, 0)
		}
	}
	c.response.end(n)
	for i := range s.Routes {
		r := &s.Routes[i]
		r.Ended, r.Bad = grown(r.Ended, n, 0), grown(r.Bad, n, 0)
		c.routes[i].end(n)
	}
	for i := range s.Links {
		l := &s.Links[i]
		l.Ended, l.Errors, l.InFlight.Most = grown(l.Ended, n, 0), grown(l.Errors, n, 0), grown(l.InFlight.Most, n, 0)
		l.InFlight.Least = grown(l.InFlight.Least, n, 0)
		for k, v := range l.InFlight.Least {
			l.InFlight.Least[k] = max(v, 0)
		}
		c.links[i].end(n)
	}
	for i := range s.Targets {
		s.Targets[i].end(n)
	}
	return s
}
