package judge

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Connections claims that the callers of a link keep their connections to it within
// bounds, also when they all open them anew: a server that takes so many refuses the
// rest, and whoever else needs it.
//
// What counts are connections as the link has them, those from before the load
// included: a service fills its pool as it starts. Counts are exact but for
// connections that are closed and opened at the same moment, which may or may not be
// open together.
type Connections struct {
	Link Links `yaml:"link"` // The link, or the links together, with protocol: tcp.
	// At most so many connections are open at once, those that are being refused included; absent is not judged.
	AtMost int `yaml:"at_most"`
	// At most this rate of connections that are opened in any 100 ms; absent is not judged.
	New rate.Limit `yaml:"new"`
	// At most so many connections are refused by what the server says first, which takes greeting: on the link; 0 is
	// none. Absent is not judged.
	Refused *int `yaml:"refused"`
	// At most so long from the healing of a fault that ends them until as many connections are open as before; absent is not
	// judged.
	SettledWithin time.Duration `yaml:"settled_within"`
}

// stormWindow is how short a rate of new connections is looked at.
const stormWindow = 100 * time.Millisecond

func (c Connections) String() string {
	var parts []string
	add := func(claimed bool, format string, args ...any) {
		if claimed {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(c.AtMost > 0, "at most %d open at once", c.AtMost)
	add(c.New > 0, "at most %s opened in any 100 ms", unit.FormatRate(c.New))
	if c.Refused != nil {
		parts = append(parts, counted.bound(atMost(*c.Refused))+" refused")
	}
	add(c.SettledWithin > 0, "as many as before within %s of the healing", short(c.SettledWithin))
	return fmt.Sprintf("connections on %s: %s", c.Link, strings.Join(parts, ", "))
}

// first is the first key that bounds anything.
func (c Connections) first() string {
	switch {
	case c.AtMost > 0:
		return "at_most"
	case c.New > 0:
		return "new"
	case c.Refused != nil:
		return "refused"
	}
	return "settled_within"
}

// Judge implements Claim.
func (c Connections) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "connections")
	link := c.Link.in(run)
	f.over(c.Link...)
	f.rests(0, horizon(run), 0)
	if link == nil {
		f.open(c.first(), noLink, c.Link)
		return f.verdict()
	}
	s := stormOf(run, link, episodes(run, 0, func(x evidence.Injection) bool { return c.ends(run, &x) }))
	if len(s.conns) == 0 {
		f.open(c.first(), "no connection was opened on %s"+noCalls, c.Link)
		return f.verdict()
	}
	f.numbers.Add("connections", float64(len(s.conns)))
	f.numbers.Add("connections_before_load", float64(s.early))
	c.judgeAtMost(f, s)
	c.judgeNew(f, s)
	c.judgeRefused(f, s)
	c.judgeSettled(f, s)
	f.show(func() Exhibit { return c.level(run, link) })
	return f.verdict()
}

// ends reports whether a fault ends connections of the links, or keeps new ones away:
// it happens to a link, or to a target at one of its ends.
func (c Connections) ends(run *evidence.Run, f *evidence.Injection) bool {
	does := f.Does()
	if !does.Ends && !does.Strikes && !does.Refuses {
		return false
	}
	return slices.ContainsFunc(c.Link, func(name string) bool {
		l := run.Links[name]
		return l != nil && (onPath(l, *f) || f.OnTarget() && (f.On == l.From || slices.Contains(f.Others, l.From)))
	})
}

// storm is the connections of a link.
type storm struct {
	run    *evidence.Run
	conns  []evidence.Exchange // that were opened before the horizon, by Begin
	begins []time.Duration     // of them
	early  int                 // of them, opened before the load
	spans  []span              // in which they were ended
	noise  time.Duration
}

func stormOf(run *evidence.Run, link *evidence.Link, spans []span) storm {
	end := horizon(run)
	n := sort.Search(len(link.Exchanges), func(i int) bool { return link.Exchanges[i].Begin >= end })
	s := storm{run: run, conns: link.Exchanges[:n], spans: spans, noise: run.Noise(0, end)}
	s.begins = make([]time.Duration, n)
	for i := range s.conns {
		if s.begins[i] = s.conns[i].Begin; s.begins[i] < 0 {
			s.early++
		}
	}
	return s
}

// unvisited says why what was kept shows nothing: a fault ended the connections, and
// nobody opened any after it; "" if somebody did, or there was none.
func (s storm) unvisited() string {
	for _, x := range s.spans {
		if i := sort.Search(len(s.begins), func(i int) bool { return s.begins[i] >= x.from }); i == len(s.begins) {
			return fmt.Sprintf("after the fault at %s nobody opened a connection anew: let the load last longer", short(x.from))
		}
	}
	return ""
}

// shown rules on a measure, which must have been put to the test to have held.
func (s storm) shown(f *finding, m measure) {
	if why := s.unvisited(); why != "" && m.part().Ruling == Held && !m.note {
		f.open(m.name, "%s", why)
		return
	}
	f.rule(m)
}

// judgeAtMost: connections of which one ends as another begins may overlap, or not.
func (c Connections) judgeAtMost(f *finding, s storm) {
	low := profileOf(s.conns, func(*evidence.Exchange) time.Duration { return 2 * s.noise }).top()
	wide := profileOf(s.conns, func(*evidence.Exchange) time.Duration { return -s.noise })
	seen, at := profileOf(s.conns, asSeen.of).most(math.MinInt64, math.MaxInt64)
	f.numbers.Add("open_max", float64(seen))
	m := measure{name: "at_most", seen: interval(low, wide.top()), allowed: atMost(c.AtMost), sample: len(s.conns),
		says:   fmt.Sprintf("%s open at once at most, first at %s", were(seen, "connection", "connections"), short(at)),
		hidden: noiseText(s.noise), settle: quieter}
	if c.AtMost == 0 {
		m.note, m.allowed = true, Bound{math.Inf(-1), math.Inf(1)}
	}
	s.shown(f, m)
}

// busiest is the most connections that were opened within so long, and when that
// began.
func (s storm) busiest(window time.Duration) (n int, at time.Duration) {
	from := 0
	for to := range s.begins {
		for s.begins[to]-s.begins[from] >= max(window, 1) {
			from++
		}
		if to-from+1 > n {
			n, at = to-from+1, s.begins[from]
		}
	}
	return n, at
}

func (c Connections) judgeNew(f *finding, s storm) {
	const perSecond = float64(time.Second / stormWindow)
	seen, at := s.busiest(stormWindow)
	least, _ := s.busiest(stormWindow - s.noise)
	most, _ := s.busiest(stormWindow + s.noise)
	f.numbers.Add("new_max_per_s", float64(seen)*perSecond)
	m := measure{name: "new", seen: Interval{float64(least) * perSecond, float64(most) * perSecond}, allowed: atMost(float64(c.New)),
		sample: len(s.conns), hidden: noiseText(s.noise), settle: quieter,
		says: fmt.Sprintf("%s opened in the busiest 100 ms, from %s on, which is %.0f/s", were(seen, "connection was", "connections were"),
			short(at), float64(seen)*perSecond)}
	if c.New == 0 {
		m.note, m.allowed = true, Bound{math.Inf(-1), math.Inf(1)}
	}
	s.shown(f, m)
}

// judgeRefused counts what servers refused with. What was said and could not be read
// may have been a refusal.
func (c Connections) judgeRefused(f *finding, s storm) {
	codes, read, unread := map[string]int{}, 0, 0
	for i := range s.conns {
		x := &s.conns[i]
		switch said := x.Extra(); {
		case x.Refused():
			codes[said.Code]++
			read++
		case said.Code != "":
			read++
		case said.BytesDown > 0:
			unread++
		}
	}
	refused := 0
	for _, n := range codes {
		refused += n
	}
	if c.Refused == nil && refused == 0 {
		return
	}
	f.numbers.Add("refused", float64(refused))
	if c.Refused != nil && read == 0 {
		f.open("refused", "of no connection on %s it was read whether the server let it in: "+
			"give the link greeting: with the protocol that is spoken, without TLS", c.Link)
		return
	}
	m := measure{name: "refused", seen: interval(refused, refused+unread), sample: len(s.conns),
		says:    fmt.Sprintf("%s refused", ofThem(refused, len(s.conns), "connection", "connections")),
		allowed: Bound{math.Inf(-1), math.Inf(1)}, note: true}
	if refused > 0 {
		m.says += " (" + codesText(codes) + ")"
	}
	if unread > 0 {
		m.hidden = were(unread, "connection", "connections") + " whose beginning could not be read"
		m.settle = "leave TLS out between caller and link"
	}
	if c.Refused != nil {
		m.note, m.allowed = false, atMost(*c.Refused)
	}
	s.shown(f, m)
}

// ofThem prints a share of a count: none of 600 connections was, 3 of 600 connections were.
func ofThem(n, all int, one, many string) string {
	switch n {
	case 0:
		return fmt.Sprintf("none of %s was", were(all, one, many))
	case 1:
		return fmt.Sprintf("1 of %s was", were(all, one, many))
	}
	return fmt.Sprintf("%d of %s were", n, were(all, one, many))
}

// codesText lists codes, the most frequent first.
func codesText(codes map[string]int) string {
	names := slices.SortedFunc(maps.Keys(codes), func(a, b string) int { return cmp.Or(codes[b]-codes[a], strings.Compare(a, b)) })
	return unit.List(names, ", ", func(name string) string { return name + " " + often(codes[name]) })
}

// judgeSettled asks after each fault when as many were open again as had been before
// it. Those that a server refuses are not open.
func (c Connections) judgeSettled(f *finding, s storm) {
	if c.SettledWithin == 0 {
		return
	}
	if len(s.spans) == 0 {
		f.open("settled_within", "%s that ends its connections, so that nothing shows how they are opened anew: add a restart of one "+
			"of its ends", noEpisode(s.run, " on "+c.Link.String(), func(x evidence.Injection) bool { return c.ends(s.run, &x) }))
		return
	}
	let := make([]evidence.Exchange, 0, len(s.conns))
	for i := range s.conns {
		if x := &s.conns[i]; !x.Refused() && x.Ending != evidence.Failed {
			let = append(let, *x)
		}
	}
	p, end := profileOf(let, asSeen.of), horizon(s.run)
	worst := Interval{math.Inf(-1), math.Inf(-1)}
	says := ""
	for _, x := range s.spans {
		before := p.at(min(x.from, x.faults[0].At.Duration()) - 1)
		switch {
		case before == 0:
			f.open("settled_within", "no connection was open on %s when the fault came at %s: let it come later", c.Link, short(x.from))
			return
		case !x.healed:
			f.open("settled_within", "the fault at %s was not healed before the end: let it end earlier", short(x.from))
			return
		}
		f.rests(x.from, min(end, x.to+c.SettledWithin), onTimes)
		seen, text := s.settled(p, before, x.to, end)
		if seen.Low > worst.Low {
			worst.Low, says = seen.Low, text
		}
		worst.High = max(worst.High, seen.High)
	}
	if !math.IsInf(worst.High, 1) {
		f.numbers.AddTime("settled", time.Duration(worst.High))
	}
	f.rule(measure{name: "settled_within", unit: timed, seen: worst, allowed: atMost(c.SettledWithin), sample: len(s.spans), says: says,
		hidden: noiseText(s.noise), settle: "let the load last longer after the healing, or use a quieter host"})
}

// settled is how long after a healing as many were open as before.
func (s storm) settled(p profile, before int, healed, end time.Duration) (seen Interval, says string) {
	if p.at(healed) >= before {
		return Interval{0, float64(s.noise)}, fmt.Sprintf("%d were open again when the fault was healed at %s", before, short(healed))
	}
	most := p.at(healed)
	for at, n := range p.steps(healed) {
		if at >= end {
			break
		}
		if most = max(most, n); n >= before {
			return exactly(at-healed).widened(float64(s.noise), float64(s.noise)),
				fmt.Sprintf("%s after the healing at %s %d were open again", short(at-healed), short(healed), before)
		}
	}
	return Interval{float64(end - healed), math.Inf(1)},
		fmt.Sprintf("%d were open before, and at most %d within the %s that the run went on after the healing at %s",
			before, most, short(end-healed), short(healed))
}

// level is how many were open over time.
func (c Connections) level(run *evidence.Run, link *evidence.Link) Exhibit {
	e := levelOf(run, link, c.AtMost)
	e.Title, e.Part = strings.Replace(e.Title, "in flight on", "connections open on", 1), ""
	if c.AtMost > 0 {
		e.Part = "at_most"
	}
	return e
}
