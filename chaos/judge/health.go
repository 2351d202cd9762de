package judge

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Health claims that instances are called by their health: one that is lost is ejected, one that is
// back is called again, and no loss that they share takes all of them out.
//
// A call is one that carries the id of a request; the health checks themselves carry none. An instance
// is lost while a fault takes all calls to it, and to no other of them: by the links, or by the
// targets that these lead to.
type Health struct {
	Links Links `yaml:"links"` // The links that lead to instances of one service, two at least.
	// At most so long after an instance is lost it is called for the last time; absent is not judged.
	OutWithin time.Duration `yaml:"out_within"`
	// At most so long after an instance is healed it is called again; absent is not judged.
	BackWithin time.Duration `yaml:"back_within"`
	// At least so many instances are called in every second from the first fault on; absent is not judged.
	Keeps int `yaml:"keeps"`
}

// What it takes to speak of an instance that is not called.
const (
	leastElsewhere = 20 // calls to the others meanwhile
	leastExpected  = 10 // calls of its own, by its part before the first fault
)

func (c Health) String() string {
	var parts []string
	if c.OutWithin > 0 {
		parts = append(parts, "out within "+short(c.OutWithin))
	}
	if c.BackWithin > 0 {
		parts = append(parts, "back within "+short(c.BackWithin))
	}
	if c.Keeps > 0 {
		parts = append(parts, fmt.Sprintf("at least %d are called", c.Keeps))
	}
	return fmt.Sprintf("health of %s: %s", c.Links, strings.Join(parts, ", "))
}

// Judge implements Claim.
func (c Health) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "health")
	f.over(c.Links...)
	ids := false
	for _, name := range c.Links {
		link := run.Links[name]
		if link == nil {
			f.open("", noLink, name)
			return f.verdict()
		}
		ids = ids || propagates(link)
	}
	f.rests(0, horizon(run), onTimes)
	if !ids {
		f.open("", "no call over %q carries the id of a request, so that calls cannot be told from health checks: "+
			"let the system pass on X-Request-Id or traceparent", c.Links)
		return f.verdict()
	}
	losses := c.losses(f)
	c.judgeOut(f, losses)
	c.judgeBack(f, losses)
	c.judgeKeeps(f)
	for _, name := range c.Links {
		f.show(func() Exhibit { return c.callsOver(run, run.Links[name]) })
	}
	return f.verdict()
}

// ejection is what became of one instance that was lost.
type ejection struct {
	link      *evidence.Link
	span      span
	out       Interval // from the loss to the last call before the healing
	lastID    uint64   // of that call; 0 if there was none
	back      Interval // from the healing to the first call after it
	firstID   uint64   // of that
	elsewhere int      // calls to the others between the last call and the healing
}

// losses follows each instance through each of its losses.
func (c Health) losses(f *finding) (all []ejection) {
	run := f.run
	end := horizon(run)
	for _, name := range c.Links {
		link := run.Links[name]
		lost := func(x evidence.Injection) bool { _, ok := lossOf(&x); return ok && onPath(link, x) }
		for _, s := range episodes(run, -1, lost) {
			if why := c.spoilt(run, name, s); why != "" {
				f.remark("out_within", "the fault on %q at %s does not count: %s", name, short(s.from), why)
				continue
			}
			e := ejection{link: link, span: s, out: exactly(0)}
			noise := run.Noise(s.from, s.to)
			last := s.from
			for i, window := 0, link.Window(s.from, s.to); i < len(window); i++ {
				if x := &window[i]; x.ID != 0 {
					last, e.lastID = x.Begin, x.ID
				}
			}
			e.elsewhere = c.elsewhere(run, name, last, s.to)
			e.out = interval(max(0, last-s.from-noise), last-s.from)
			if e.elsewhere < leastElsewhere {
				e.out.High = math.Inf(1)
			}
			e.back = c.backAfter(run, link, s, end, &e.firstID)
			all = append(all, e)
		}
	}
	return all
}

// backAfter is how long after a healing an instance was called again.
func (c Health) backAfter(run *evidence.Run, link *evidence.Link, s span, end time.Duration, first *uint64) Interval {
	until := end
	for _, f := range run.Faults {
		if f.Injected >= s.to {
			until = min(until, f.Injected)
		}
	}
	for i, window := 0, link.Window(s.to, until); i < len(window); i++ {
		if x := &window[i]; x.ID != 0 {
			*first = x.ID
			return interval(max(0, x.Begin-s.to-run.Noise(s.to, x.Begin)), x.Begin-s.to)
		}
	}
	return Interval{float64(max(0, until-s.to-run.Noise(s.to, until))), math.Inf(1)}
}

// spoilt says why a fault does not show an instance that is lost; "" if it does.
func (c Health) spoilt(run *evidence.Run, name string, s span) string {
	for i := range s.faults {
		if s.faults[i].Does().Refuses {
			return "calls that are refused leave no record: errors, reset or hang would show them"
		}
	}
	for _, other := range c.Links {
		for _, x := range run.Faults {
			if other != name && x.Injected >= 0 && x.Injected < s.to && (x.Healed < 0 || x.Healed > s.from) && onPath(run.Links[other], x) {
				return "another instance was lost meanwhile"
			}
		}
	}
	own, calls, hit := s.faults[0], 0, 0
	if own.OnTarget() || !own.Does().Marks {
		return ""
	}
	for i, window := 0, run.Links[name].Window(s.from, s.to); i < len(window); i++ {
		calls++
		if s.hit(&window[i]) {
			hit++
		}
	}
	if hit < calls-calls/20 {
		return fmt.Sprintf("it took only %d of %s", hit, were(calls, "call", "calls"))
	}
	return ""
}

// elsewhere counts the calls to other instances in [from, to).
func (c Health) elsewhere(run *evidence.Run, name string, from, to time.Duration) (n int) {
	for _, other := range c.Links {
		if other == name {
			continue
		}
		for i, window := 0, run.Links[other].Window(from, to); i < len(window); i++ {
			if window[i].ID != 0 {
				n++
			}
		}
	}
	return n
}

const noLoss = "no fault took all calls to one of %q while the others were well: add errors, reset, hang or kill of one"

// judgeOut rules on the slowest ejection.
func (c Health) judgeOut(f *finding, losses []ejection) {
	if c.OutWithin == 0 {
		return
	}
	if len(losses) == 0 {
		f.open("out_within", noLoss, c.Links)
		return
	}
	seen, worst := exactly(0), losses[0]
	for _, e := range losses {
		if e.out.Low >= seen.Low {
			worst = e
		}
		seen = Interval{max(seen.Low, e.out.Low), max(seen.High, e.out.High)}
	}
	f.numbers.AddTime("out_after", time.Duration(worst.out.Low))
	m := measure{name: "out_within", unit: timed, seen: seen, allowed: atMost(c.OutWithin), sample: len(losses),
		ids: []uint64{worst.lastID}, says: fmt.Sprintf("%q was lost at %s and called for the last time after %s", worst.link.Name,
			short(worst.span.from), timed.span(worst.out)),
		hidden: noiseText(f.run.Noise(worst.span.from, worst.span.to))}
	if worst.elsewhere < leastElsewhere {
		m.hidden = fmt.Sprintf("the healing: after that only %s went to the others, and %d would tell", were(worst.elsewhere, "call",
			"calls"), leastElsewhere)
		m.settle = "let the fault last for longer, or offer more"
	}
	f.rule(m)
}

// judgeBack rules on the slowest return.
func (c Health) judgeBack(f *finding, losses []ejection) {
	if c.BackWithin == 0 {
		return
	}
	seen, n, worst := exactly(0), 0, ejection{}
	for _, e := range losses {
		if !e.span.healed || e.elsewhere < leastElsewhere {
			continue // it was not seen to be out
		}
		if n++; n == 1 || e.back.Low >= worst.back.Low {
			worst = e
		}
		seen = Interval{max(seen.Low, e.back.Low), max(seen.High, e.back.High)}
	}
	if n == 0 {
		f.open("back_within", "no instance was seen to be out and was then healed: "+
			"let a fault on one of %q last for longer, and end before the load does", c.Links)
		return
	}
	says := fmt.Sprintf("%q was healed at %s and called again after %s", worst.link.Name, short(worst.span.to), timed.span(worst.back))
	if math.IsInf(worst.back.High, 1) {
		says = fmt.Sprintf("%q was healed at %s and not called again in %s", worst.link.Name, short(worst.span.to),
			timed.print(worst.back.Low))
	}
	f.rule(measure{name: "back_within", unit: timed, seen: seen, allowed: atMost(c.BackWithin), sample: n,
		ids: []uint64{worst.firstID}, says: says,
		hidden: noiseText(f.run.Noise(worst.span.to, horizon(f.run))),
		settle: "a longer run after the healing, or a quieter host, would tell"})
}

// judgeKeeps rules on how few instances were called in any second.
func (c Health) judgeKeeps(f *finding) {
	if c.Keeps == 0 {
		return
	}
	run, first, end := f.run, firstInjection(f.run), horizon(f.run)
	if first >= end {
		f.open("keeps", "no fault was in force: add one on something that the instances share")
		return
	}
	usual := c.usual(run, first)
	seen, n, when := Interval{math.Inf(1), math.Inf(1)}, 0, time.Duration(0)
	for at := first; at+time.Second <= end; at += time.Second {
		one, told := c.called(run, usual, at)
		if !told {
			continue
		}
		if n++; one.High < seen.High {
			when = at
		}
		seen = Interval{min(seen.Low, one.Low), min(seen.High, one.High)}
	}
	if n == 0 {
		f.open("keeps", "in no second since the first fault were there enough requests to tell an instance that is not called "+
			"from chance: offer more")
		return
	}
	f.numbers.Add("called_least", seen.High)
	f.rule(measure{name: "keeps", seen: seen, allowed: atLeast(c.Keeps), sample: n,
		says: fmt.Sprintf("%.0f of %d instances were called in each second at least, in that from %s on no more", seen.High,
			len(c.Links), short(when)),
		hidden: "seconds with so few requests that an instance may lack calls by chance", settle: "offer more"})
	if !c.shared(run) {
		f.remark("keeps", "nothing was lost that the instances share: a fault on a link from one of them would show what that does")
	}
}

// usual is how many calls each instance gets for an arrival, before the first fault.
func (c Health) usual(run *evidence.Run, first time.Duration) []float64 {
	due := float64(max(1, len(run.Window(0, first))))
	parts := make([]float64, len(c.Links))
	for i, name := range c.Links {
		for k, window := 0, run.Links[name].Window(0, first); k < len(window); k++ {
			if window[k].ID != 0 {
				parts[i] += 1 / due
			}
		}
	}
	return parts
}

// called is how many instances were called in the second from at on. It is false where no more can be told of any.
func (c Health) called(run *evidence.Run, usual []float64, at time.Duration) (n Interval, told bool) {
	due := float64(len(run.Window(at, at+time.Second)))
	for i, name := range c.Links {
		was := false
		for k, window := 0, run.Links[name].Window(at, at+time.Second); k < len(window) && !was; k++ {
			was = window[k].ID != 0
		}
		enough := usual[i]*due >= leastExpected
		told = told || was || enough
		switch {
		case was:
			n = Interval{n.Low + 1, n.High + 1}
		case !enough:
			n.High++
		}
	}
	return n, told
}

// shared reports whether a fault took something away that the instances call.
func (c Health) shared(run *evidence.Run) bool {
	for _, f := range run.Faults {
		if _, lost := lossOf(&f); !lost || f.Injected < 0 {
			continue
		}
		for _, l := range run.Links {
			if l == nil || !onPath(l, f) {
				continue
			}
			for _, name := range c.Links {
				if l.From == run.Links[name].To {
					return true
				}
			}
		}
	}
	return false
}

// callsOver is how many calls an instance got, a second.
func (c Health) callsOver(run *evidence.Run, link *evidence.Link) Exhibit {
	end := horizon(run)
	step := max(250*time.Millisecond, (end/MaxSamples+time.Millisecond)/time.Millisecond*time.Millisecond)
	counts := make([]float64, end/step)
	for i := range link.Exchanges {
		if x := &link.Exchanges[i]; x.ID != 0 && x.Begin >= 0 && int(x.Begin/step) < len(counts) {
			counts[x.Begin/step]++
		}
	}
	if len(counts) == 0 {
		return Exhibit{}
	}
	sum, points := 0.0, make([]Point, len(counts))
	for i, n := range counts {
		sum += n
		points[i] = Point{At: evidence.Seconds(time.Duration(i)*step + step/2), Y: n / step.Seconds()}
	}
	return Exhibit{Kind: KindGrowth, Title: fmt.Sprintf("calls of requests over %s, a second", link.Name),
		Growth: &Trend{Of: "calls over " + link.Name, Unit: "per_s", Points: points,
			At0: sum / (time.Duration(len(counts)) * step).Seconds()}}
}
