package series

import (
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
)

// Live makes the View of a load while it goes on, second by second: one without links
// and faults. It is not safe for concurrent use.
type Live struct {
	columns *columns
	routes  []string
	moment  time.Duration // of the last second
	open    bool          // nobody knows its length
}

// keptRows is how many routes have rows in a load of unknown length: the histograms of
// all their columns are in memory, some 5 kB each.
const keptRows = 8

// NewLive makes that of a load of some routes, which is to be over, grace included, in
// length; without routes it has no rows. Of one that goes on for longer the last column has all the rest. 0 is not
// known: columns are joined two by two when there are too many, and of more than
// keptRows routes none has a row.
func NewLive(routes []string, length time.Duration) *Live {
	seconds := int((length + time.Second - 1) / time.Second)
	step := max(1, (seconds+MaxColumns-1)/MaxColumns)
	rows := routes
	if length <= 0 && len(routes) > keptRows {
		rows = nil
	}
	l := &Live{columns: newColumns(0, 0, step, rows, nil), routes: routes, open: length <= 0}
	l.columns.response.keeps = l.open
	for i := range l.columns.routes {
		l.columns.routes[i].keeps = l.open
	}
	return l
}

// Add takes the next second, from one time to t.At: what the harness knew, whether it
// was well, and what ended in it, of each route in the order of NewLive. It keeps none
// of them. Of t its Routes are not looked at.
func (l *Live) Add(from time.Duration, t *evidence.Tick, unwell bool, outcomes [][load.Outcomes]uint64, times *hist.Set) {
	c := l.columns
	l.moment = max(l.moment, moment(from, t.At))
	for l.open && c.column(l.moment) >= MaxColumns {
		c.halve()
	}
	l.moment = min(l.moment, MaxColumns*c.step-1)
	i := c.column(l.moment)
	c.second(l.moment, t, unwell)
	for k := range outcomes {
		row := -1
		if k < len(c.routes) {
			row = k
			c.routes[k].column(i).Merge(times.Response[k])
		}
		c.ended(l.moment, row, &outcomes[k])
		c.response.column(i).Merge(times.Response[k])
	}
}

// View is the load so far; nil before its first second. Nothing can be added after it.
func (l *Live) View() *View {
	if l.columns.count == 0 {
		return nil
	}
	v := &View{Whole: l.columns.end(0)}
	v.Whole.OtherRoutes = len(l.routes) - len(v.Whole.Routes)
	for len(v.Whole.Routes) > MaxRoutes {
		v.Whole.dropRoute()
	}
	fit(v, func(int) string { return "" })
	return v
}
