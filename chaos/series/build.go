package series

import (
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/hist"
)

// Source is what a View is built from.
type Source struct {
	Routes []string // in the order in which they are shown
	Links  []string
	Faults []evidence.Injection
	Gaps   []evidence.Gap // in which the harness was not there: shown as seconds in which it was not well
	End    time.Duration  // when the last arrival was due: columns reach there, as far as there are seconds

	// The seconds of the run with their numbers, by At: the first begins at 0. They are
	// gone through twice, and one is not looked at any more when the next comes.
	Ticks  iter.Seq2[int, *evidence.Tick]
	Unwell func(tick int) bool // reports whether the harness was not well in it; nil if it always was

	// Intervals of the logs, gone through once. Those of routes have a route's name
	// for a tag; others are passed over. Nil is no log.
	RouteTimes iter.Seq2[*hist.LogLine, error]
	LinkTimes  func(link string) iter.Seq2[*hist.LogLine, error]

	Proofs []time.Duration // when the calls were that prove a refutation
}

// Build makes the View; nil if there are no seconds. An error is one of the intervals',
// or says that they are in disorder.
func Build(s Source) (*View, error) {
	t := s.times()
	if len(t.ends) == 0 {
		return nil, nil
	}
	end := t.ends[len(t.ends)-1]
	columns := max(int(t.moments[len(t.moments)-1]/time.Second)+1, whole(min(end, s.End)))
	step := (columns + MaxColumns - 1) / MaxColumns
	routes, links := s.rows()
	b := &builder{times: t, whole: newColumns(0, 0, step, most(s.Routes, routes, MaxRoutes), most(s.Links, links, MaxLinks))}
	if step > 1 {
		for _, w := range windows(s.Faults, s.Proofs, end) {
			near := most(s.Links, links, WindowRows)
			if on := s.Faults[w.fault].On; slices.Contains(s.Links, on) && !slices.Contains(near, on) {
				near[len(near)-1] = on
			}
			b.windows = append(b.windows, newColumns(w.from, w.to, 1, most(s.Routes, routes, WindowRows), near))
			b.view.Windows = append(b.view.Windows, Window{Fault: s.Faults[w.fault].Name, Index: s.Faults[w.fault].Index})
		}
	}
	b.phases = newPhases(s.Faults, t, b.whole.series.Links)
	b.count(s)
	if err := b.measure(s); err != nil {
		return nil, err
	}
	b.end(s)
	for _, all := range b.view.all() {
		all.hatch(s.Gaps)
	}
	fit(&b.view, func(fault int) string { return on(s.Faults, fault) })
	return &b.view, nil
}

// on is what the fault of an index happens to.
func on(faults []evidence.Injection, index int) string {
	k := slices.IndexFunc(faults, func(f evidence.Injection) bool { return f.Index == index })
	if k < 0 {
		return ""
	}
	return faults[k].On
}

// times are when the seconds were.
type times struct {
	ends    []time.Duration
	moments []time.Duration // in each, which decides its column
}

// from is when a second began.
func (t *times) from(i int) time.Duration {
	if i == 0 {
		return 0
	}
	return min(t.ends[i-1], t.ends[i])
}

func (s *Source) times() *times {
	t := &times{}
	last := time.Duration(0)
	for i, tick := range s.Ticks {
		t.ends = append(t.ends, tick.At)
		last = max(last, moment(t.from(i), tick.At))
		t.moments = append(t.moments, last)
	}
	return t
}

// whole is how many seconds there are up to a time, the last one begun.
func whole(t time.Duration) int { return int((t + time.Second - 1) / time.Second) }

// moment is in the middle of a second. One that took longer, because the harness
// stood still or waited for targets to end, is where it began.
func moment(from, at time.Duration) time.Duration { return from + min(max(at-from, 0), time.Second)/2 }

// rows is how many requests of each route there were, and exchanges of each link.
func (s *Source) rows() (routes, links map[string]uint64) {
	routes, links = map[string]uint64{}, map[string]uint64{}
	for _, tick := range s.Ticks {
		for name, outcomes := range tick.Routes {
			for _, n := range outcomes {
				routes[name] += n
			}
		}
		for name, seen := range tick.Links {
			links[name] += seen.Ended
		}
	}
	return routes, links
}

// most are the n names of the highest count, the earlier one of two alike, in their
// order.
func most(names []string, counts map[string]uint64, n int) []string {
	if len(names) <= n {
		return slices.Clone(names)
	}
	by := slices.Clone(names)
	slices.SortStableFunc(by, func(a, b string) int {
		switch {
		case counts[a] > counts[b]:
			return -1
		case counts[a] < counts[b]:
			return 1
		}
		return 0
	})
	chosen := map[string]bool{}
	for _, name := range by[:n] {
		chosen[name] = true
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !chosen[name] })
}

// builder makes a View.
type builder struct {
	times   *times
	whole   *columns
	windows []*columns
	phases  *phases
	view    View
	open    []*hist.Histogram // that an interval is added to
}

// each goes through the columns that the second i is in.
func (b *builder) each(i int, do func(c *columns, moment time.Duration)) {
	moment := b.times.moments[i]
	do(b.whole, moment)
	for _, w := range b.windows {
		if w.has(moment) {
			do(w, moment)
		}
	}
}

// count takes the seconds.
func (b *builder) count(s Source) {
	for i, tick := range s.Ticks {
		unwell := s.Unwell != nil && s.Unwell(i)
		b.each(i, func(c *columns, moment time.Duration) {
			c.second(moment, tick, unwell)
			for route, outcomes := range tick.Routes {
				c.ended(moment, c.row(route), &outcomes)
			}
		})
	}
}

// measure takes the intervals.
func (b *builder) measure(s Source) error {
	if s.RouteTimes != nil {
		isRoute := map[string]bool{}
		for _, name := range s.Routes {
			isRoute[name] = true
		}
		err := b.intervals(s.RouteTimes, func(tag string) bool { return isRoute[tag] }, func(i int, tag string) {
			b.open = append(b.open, b.phases.response(i))
			b.each(i, func(c *columns, moment time.Duration) {
				b.open = append(b.open, c.response.column(c.column(moment)))
				if k := c.row(tag); k >= 0 {
					b.open = append(b.open, c.routes[k].column(c.column(moment)))
				}
			})
		})
		if err != nil {
			return err
		}
	}
	if s.LinkTimes == nil {
		return nil
	}
	for k, link := range b.whole.series.Links {
		err := b.intervals(s.LinkTimes(link.Name), func(tag string) bool { return tag == link.Name }, func(i int, tag string) {
			b.open = append(b.open, b.phases.link(i, k))
			b.each(i, func(c *columns, moment time.Duration) {
				if at, ok := c.link[tag]; ok {
					b.open = append(b.open, c.links[at].column(c.column(moment)))
				}
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// slack is by how much a log's times may differ from a tick's: both of an interval's
// are rounded to the millisecond.
const slack = 2 * time.Millisecond

// intervals goes through a log, and adds each interval that is wanted to what into
// opens for the second that it is of. A log may reach further than the ticks, where the
// last line of those was cut short: that is left out.
func (b *builder) intervals(log iter.Seq2[*hist.LogLine, error], want func(tag string) bool, into func(second int, tag string)) error {
	second, last := 0, time.Duration(0)
	for i, err := range log {
		if err != nil {
			return err
		}
		if i.To < last-slack {
			return errors.New("the intervals of a histogram log are in disorder")
		}
		last = max(last, i.To)
		for second < len(b.times.ends) && b.times.ends[second] < i.To-slack {
			second++
		}
		if second == len(b.times.ends) {
			continue // the iterator's owner may want the rest
		}
		if !want(i.Tag) {
			continue
		}
		b.open = b.open[:0]
		into(second, i.Tag)
		if err := i.AddTo(b.open...); err != nil {
			return err
		}
	}
	return nil
}

// end closes all columns, and says what has none.
func (b *builder) end(s Source) {
	b.view.Whole = b.whole.end(s.End)
	for i, w := range b.windows {
		b.view.Windows[i].Series = w.end(s.End)
	}
	for _, all := range b.view.all() {
		all.OtherRoutes, all.OtherLinks = len(s.Routes)-len(all.Routes), len(s.Links)-len(all.Links)
	}
	b.view.Phases = b.phases.end()
}

// hatch marks the columns that have a moment of a gap in them.
func (s *Series) hatch(gaps []evidence.Gap) {
	step := time.Duration(s.Step) * time.Second
	for _, g := range gaps {
		for i := range s.Harness.Unwell {
			from := s.From.Duration() + time.Duration(i)*step
			if g.From.Duration() < from+step && g.To.Duration() > from {
				s.Harness.Unwell[i] = true
			}
		}
	}
}

// all are the series of a view.
func (v *View) all() []*Series {
	all := []*Series{v.Whole}
	for _, w := range v.Windows {
		all = append(all, w.Series)
	}
	return all
}
