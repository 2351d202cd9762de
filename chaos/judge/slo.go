package judge

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
)

// SLO claims a share of success in the long run, with confidence: an objective. The
// run is a sample of it, so that 741 of 741 prove no 99.99%, where Steady is a census
// of the requests that there were.
//
// The bounds of the share are those of Clopper and Pearson (1934), each one-sided:
// held where the share is high enough with the confidence, refuted where it is too low
// with it. They take failures to come one by one, and failures come in bursts: what is
// put into them is the number of requests divided by the design effect, see slo_draws.go.
//
// What it says is about a system that goes on as in the run: with its load, its mix of
// routes, and the faults that were in force for their part of it.
type SLO struct {
	Route      string     `yaml:"route"`      // The route whose requests count; absent means all routes together.
	Success    unit.Share `yaml:"success"`    // At least this share of the requests succeeds in the long run.
	Confidence unit.Share `yaml:"confidence"` // How sure that must be, and how sure the contrary to refute it; absent means 95%.
	// The time that has one error budget, which the cost of faults is told in; absent means 720h.
	Period time.Duration `yaml:"period"`
}

// defaultPeriod is that of most objectives: 30 days.
const defaultPeriod = 720 * time.Hour

func (c SLO) confidence() float64   { return cmp.Or(float64(c.Confidence), 0.95) }
func (c SLO) period() time.Duration { return cmp.Or(c.Period, defaultPeriod) }

// allowed is the share that may fail.
func (c SLO) allowed() float64 { return 1 - float64(c.Success) }

func (c SLO) String() string {
	return fmt.Sprintf("objective of %s: %s succeed, with %s confidence", orAll(c.Route), c.Success, unit.Share(c.confidence()))
}

// Judge implements Claim.
func (c SLO) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "slo")
	samples, ok := samplesOf(run, c.Route)
	switch {
	case !ok:
		f.open("", noRoute, c.Route)
		return f.verdict()
	case c.Success <= 0:
		f.open("", "it claims nothing: give success")
		return f.verdict()
	case c.allowed() <= 0:
		f.open("", "no number of requests shows %s: give success something below that, or claim steady of the requests that there are",
			c.Success)
		return f.verdict()
	case run.Stopped == evidence.Killed:
		f.distrust("the run has no end: what was under way has no record, and may have failed")
	}
	s := served(run, due(samples, 0, horizon(run)))
	f.numbers.Add("requests", float64(s.counted.len()))
	f.numbers.Add("failed", s.failed)
	f.numbers.Add("unsent", s.unsent)
	f.numbers.Add("unwell", float64(s.left))
	f.restsOn(s.well)
	if s.counted.len() == 0 {
		f.open("success", "no request was due while the harness was well: offer more, on a machine with cores to spare")
		return f.verdict()
	}
	c.judgeSuccess(f, s)
	if s.left > 0 || s.unsent > 0 {
		f.remark("counted", "%s", s.uncounted())
	}
	f.remark("sample", "it is what %s of load show%s: what did not come up in them, it does not know", short(s.length()), withFaults(run))
	c.budget(f, s)
	f.show(func() Exhibit { return c.over(s) })
	return f.verdict()
}

// restsOn says that nothing counts but what was due and had ended in these stretches,
// in which the harness was well.
func (f *finding) restsOn(well []stretch) {
	f.rested, f.leans = append(f.rested, well...), f.leans|onWell
	f.distrust(incomplete(f.run))
	f.outlived(horizon(f.run))
}

// judgeSuccess rules on the share. What was never sent is what it harms: a failure to
// hold by, none to refute by.
func (c SLO) judgeSuccess(f *finding, s service) {
	confidence, n := c.confidence(), float64(s.counted.len())
	most, least := s.draws(func(t tried) float64 { return t.failed + t.unsent }, confidence),
		s.draws(func(t tried) float64 { return t.failed }, confidence)
	share := s.failed / n
	low, high := least.failsAtLeast(confidence), most.failsAtMost(confidence)
	f.numbers.Add("success_pct", 100*(1-share))
	f.numbers.Add("least_success_pct", 100*(1-high))
	f.numbers.Add("most_success_pct", 100*(1-low))
	f.numbers.Add("design_effect", most.effect)
	m := measure{name: "success", unit: shared, seen: Interval{1 - high, 1 - low}, allowed: atLeast(float64(c.Success)),
		sample: s.counted.len(), ids: failures(s.counted), says: c.says(s, most, 1-high)}
	m.refutes = fmt.Sprintf("%s requests failed%s, so that with %s confidence at most %s succeed", s.ofAll(), least.text(),
		unit.Share(confidence), beside(1-low, float64(c.Success)))
	if m.seen.against(m.allowed) == Inconclusive {
		m.settle = c.settle(f, s, most, least)
	}
	f.rule(m)
}

// says is the clause for what was seen.
func (c SLO) says(s service, d draws, least float64) string {
	return fmt.Sprintf("%s requests failed%s, which shows %s with %s confidence", s.ofAll(), d.text(), beside(least, float64(c.Success)),
		unit.Share(c.confidence()))
}

// settle says how many requests more would decide it, if they fail as those so far or
// not at all.
func (c SLO) settle(f *finding, s service, most, least draws) string {
	allowed, confidence := c.allowed(), c.confidence()
	if share := s.failed / float64(s.counted.len()); share > allowed {
		more := least.untilRefuted(allowed, confidence)
		if math.IsInf(more, 1) {
			return "a longer run would tell"
		}
		f.numbers.Add("needed", more)
		return fmt.Sprintf("%s more, if as many of them fail, would tell", whole(more))
	}
	more := most.untilHeld(allowed, confidence)
	f.numbers.Add("needed", more)
	text := fmt.Sprintf("%s more that succeed would tell", whole(more))
	if rate := float64(s.counted.len()+s.left) / s.length().Seconds(); more == 1 {
		text = "1 more that succeeds would tell"
	} else if rate > 0 {
		text += fmt.Sprintf(", %s of load as this", roundUp(time.Duration(more/rate*float64(time.Second))))
	}
	return text
}

// ofAll is how many of them failed: "none of 29955", "3 of 29955".
func (s service) ofAll() string {
	if s.failed == 0 {
		return fmt.Sprintf("none of %d", s.counted.len())
	}
	return fmt.Sprintf("%.0f of %d", s.failed, s.counted.len())
}

// uncounted says what counts neither way, and why.
func (s service) uncounted() string {
	var texts []string
	if s.left > 0 {
		texts = append(texts, were(s.left, "request was", "requests were")+
			" due or under way while the harness was not well, and count neither way")
	}
	if s.unsent > 0 {
		texts = append(texts, were(int(s.unsent), "request was", "requests were")+" never sent: a failure to hold by, none to refute by")
	}
	return strings.Join(texts, "; ")
}

// withFaults names the faults that were in force: " with errors 503 on payments".
func withFaults(run *evidence.Run) string {
	var names []string
	for _, x := range run.Faults {
		if x.Injected >= 0 {
			names = append(names, x.Name)
		}
	}
	switch n := len(names); {
	case n == 0:
		return ", without a fault"
	case n > maxNamed:
		return fmt.Sprintf(", with %s and %d others", strings.Join(names[:maxNamed], ", "), n-maxNamed)
	}
	return ", with " + strings.Join(names, ", ")
}

// maxNamed is how many faults are named in a line.
const maxNamed = 4

// beside prints a share so that it is told apart from another one: 99.98999% beside
// 99.99%.
func beside(x, other float64) string {
	for digits := 4; digits < 15; digits++ {
		text := strconv.FormatFloat(100*x, 'g', digits, 64)
		if text != strconv.FormatFloat(100*other, 'g', digits, 64) || x == other {
			return text + "%"
		}
	}
	return unit.Share(x).String()
}

// whole prints a count.
func whole(x float64) string { return strconv.FormatFloat(math.Ceil(x), 'f', 0, 64) }

// over is the share that succeeded, over the run.
func (c SLO) over(s service) Exhibit {
	e := Steady{Route: c.Route, Success: c.Success}.successOver(s.counted, s.length())
	e.Title = fmt.Sprintf("%s requests failed, and at most %s may in the long run", s.ofAll(), shared.print(c.allowed()))
	return e
}
