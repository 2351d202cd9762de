package judge

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// Drains claims that a queue takes what its consumer's outage leaves: nothing is lost, who
// produces does not notice, and once the fault is healed the backlog is gone soon.
//
// The backlog at a moment is how many requests were acknowledged by then and have not taken
// effect yet, but do or may. It is back once it is as small as it was at most before the
// outage, or a hundredth of its peak. A queue whose consumer is hardly faster than its
// producer never gets there in time; so the rate at which it was drained is told, beside
// that at which more came.
type Drains struct {
	At    Links  `yaml:"at"`    // The link on which effects are seen, each a call with the id of its request.
	Route string `yaml:"route"` // The route that produces.
	// At most so long after each healing until the backlog is back to what it was.
	Within time.Duration `yaml:"within"`
	// At least this share of the requests of the route that are due during the outage, and until its backlog is gone, succeeds; absent
	// means 99%.
	Success unit.Share `yaml:"success"`
}

func (c Drains) success() float64 {
	if c.Success == 0 {
		return 0.99
	}
	return float64(c.Success)
}

func (c Drains) String() string {
	return fmt.Sprintf("the backlog of %s at %s is gone within %s, nothing is lost, and at least %s succeed",
		c.Route, c.At, c.Within, unit.Share(c.success()))
}

// Judge implements Claim.
func (c Drains) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "drains")
	f.over(c.At...)
	link := c.At.in(run)
	requests, known := samplesOf(run, c.Route)
	all := func(evidence.Injection) bool { return true }
	spans := episodes(run, 0, all)
	switch {
	case link == nil:
		f.open("at", noLink, c.At)
		return f.verdict()
	case !known:
		f.open("within", noRoute, c.Route)
		return f.verdict()
	case run.Brief:
		f.open("within", "how the backlog went shows when the run is over")
		return f.verdict()
	case len(spans) == 0:
		f.open("within", "%s: there was no backlog to drain: pause, cut off or kill the consumer", noEpisode(run, "", all))
		return f.verdict()
	}
	q, nameless := c.queueOf(run, link, requests)
	if nameless > 0 && len(q.events) == q.lost+q.pending {
		f.open("at", "no call over %q carries the id of a request: let the system pass on X-Request-Id or traceparent", c.At)
		return f.verdict()
	}
	f.rests(0, horizon(run), onTimes|onLoad)
	f.numbers.Add("acknowledged", float64(len(q.events)))
	outages := q.outages(run, spans)
	c.judgeWithin(f, q, outages)
	c.judgeProducer(f, requests, outages)
	c.judgeLost(f, q, nameless)
	f.show(func() Exhibit { return q.exhibit(c, outages) })
	return f.verdict()
}

// queued is a request that was acknowledged, and when it first took effect: both in the order
// of a queue.
type queued struct {
	id    uint64
	since time.Duration
	firstTime
}

// queue is what was in it.
type queue struct {
	events        []queued // by since
	lost, pending int      // that never took effect, although one sent later did and nothing has come since; that may yet
	unsure        int      // that may have taken effect, or not
	lostIDs       []uint64
	end           time.Duration // of what was seen of it

	in             []time.Duration // when each that was not lost came in
	outMin, outMax []time.Duration // when they were out: at the earliest, and at the latest; never for those that are not
}

func (c Drains) queueOf(run *evidence.Run, link *evidence.Link, requests arrivals) (q queue, nameless int) {
	p := place{name: c.At.String(), link: link}
	first, nameless := p.firsts(run, func(x *evidence.Exchange) effectCount {
		if readOnly(x) {
			return effectCount{}
		}
		return effectOf(run, x)
	})
	q.end = horizon(run)
	for i := range link.Exchanges {
		q.end = max(q.end, link.Exchanges[i].End)
	}
	for i := range run.Audits {
		q.end = max(q.end, run.Audits[i].At)
	}
	last, at := ever, ever // when the last was sent that took effect, and when the last took effect
	for _, s := range requests.all() {
		m := first(s.ID)
		if m.to < never {
			last, at = max(last, s.Sent), max(at, m.to)
		}
		if s.Outcome == load.OK {
			q.events = append(q.events, queued{s.ID, s.Done, m})
		}
	}
	if q.end-at < flush || run.Partial || slices.ContainsFunc(run.Audits, func(a evidence.Audit) bool { return a.Moved != "" }) {
		last = ever // it was still being drained, or nothing has settled: whatever has not come may come
	}
	slices.SortFunc(q.events, func(a, b queued) int { return cmp.Compare(a.since, b.since) })
	for _, e := range q.events {
		switch {
		case e.from == never && e.since < last:
			q.lost++
			q.lostIDs = append(q.lostIDs, e.id)
			continue
		case e.from == never:
			q.pending++
		case e.to == never:
			q.unsure++
		}
		q.in = append(q.in, e.since)
		q.outMin, q.outMax = append(q.outMin, max(e.since, e.from)), append(q.outMax, max(e.since, e.to))
	}
	slices.Sort(q.outMin)
	slices.Sort(q.outMax)
	return q, nameless
}

// notAfter is how many of some times, which are sorted, are not after a moment.
func notAfter(times []time.Duration, at time.Duration) int {
	n, exact := slices.BinarySearch(times, at)
	for exact && n < len(times) && times[n] == at {
		n++
	}
	return n
}

// backlog is how many are in the queue at a moment, by when they were out.
func (q *queue) backlog(out []time.Duration, at time.Duration) int {
	return notAfter(q.in, at) - notAfter(out, at)
}

// peak is the largest backlog in [from, to], and when that first was.
func (q *queue) peak(from, to time.Duration) (most int, at time.Duration) {
	at = from
	most = q.backlog(q.outMax, from)
	for i := notAfter(q.in, from); i < len(q.in) && q.in[i] <= to; i++ {
		if n := q.backlog(q.outMax, q.in[i]); n > most {
			most, at = n, q.in[i]
		}
	}
	return most, at
}

// down is the first moment in [from, to) at which no more than level are in the queue; never
// if there is none.
func (q *queue) down(out []time.Duration, from, to time.Duration, level int) time.Duration {
	if q.backlog(out, from) <= level {
		return from
	}
	for i := notAfter(out, from); i < len(out) && out[i] < to; i++ {
		if i+1 < len(out) && out[i+1] == out[i] {
			continue
		}
		if notAfter(q.in, out[i])-(i+1) <= level {
			return out[i]
		}
	}
	return never
}

// outage is what a stretch of faults did to the queue.
type outage struct {
	span
	until      time.Duration // how far it was seen: the next one's begin, or the end
	level      int           // the most before it
	peak       int
	peakAt     time.Duration
	came       int      // while it lasted
	took       Interval // from the healing until the backlog was back
	back       time.Duration
	late       time.Duration // what took that may be longer by so much, for lack of a core
	built      bool          // it left as much as it had to, and twice as much as there was before
	drain, fed float64
}

// outages looks at what each stretch of faults left.
func (q *queue) outages(run *evidence.Run, spans []span) (all []outage) {
	level, _ := q.peak(0, spans[0].from)
	for i, s := range spans {
		o := outage{span: s, until: q.end, level: level, back: never}
		if i+1 < len(spans) {
			o.until = spans[i+1].from
		}
		o.peak, o.peakAt = q.peak(s.from, o.until)
		o.came = notAfter(q.in, s.to) - notAfter(q.in, s.from)
		o.built = o.came > 0 && 2*o.peak >= o.came && o.peak > 2*o.level
		if s.healed {
			q.drained(run, &o)
		}
		all = append(all, o)
	}
	return all
}

// drained finds how long it took. What the host held up, of those that are always on their way,
// is no backlog; a time is known within what a host without a core to spare adds: a consumer
// that was to take 600 a second took 465 there.
func (q *queue) drained(run *evidence.Run, o *outage) {
	level := max(o.level, o.peak/100)
	most := q.down(q.outMax, o.to, o.until, level)
	o.late = run.Lateness(o.to, min(most, o.until))
	rate := float64(notAfter(q.in, o.until)-notAfter(q.in, o.from)) / max(o.until-o.from, time.Millisecond).Seconds()
	least := q.down(q.outMin, o.to, o.until, level+int(rate*run.Noise(o.to, min(most, o.until)).Seconds()))
	o.back, o.took = most, anything()
	o.took.Low = float64(min(least, o.until) - o.to)
	if most < never {
		o.took.High = float64(most - o.to)
	}
	o.took = o.took.widened(float64(o.late), float64(o.late))
	from, to := max(o.peakAt, o.to), min(o.back, o.until, run.End)
	if to-from < 100*time.Millisecond {
		from = o.to // it grew as long as there was load
	}
	if to-from >= 100*time.Millisecond {
		o.drain = float64(notAfter(q.outMax, to)-notAfter(q.outMax, from)) / (to - from).Seconds()
		o.fed = float64(notAfter(q.in, to)-notAfter(q.in, from)) / (to - from).Seconds()
	}
}

// rateText is at which rates the queue was drained and fed; "" if that is not known.
func (o *outage) rateText() string {
	if o.fed == 0 {
		return ""
	}
	text := fmt.Sprintf(", drained by %.0f/s while %.0f/s came: headroom %.2f", o.drain, o.fed, o.drain/o.fed)
	switch gain := o.drain - o.fed; {
	case gain <= 0:
		text += ", which never drains while the load goes on"
	case o.back == never:
		text += fmt.Sprintf(", which would have taken %s", short(time.Duration(float64(o.peak)/gain*float64(time.Second))))
	}
	return text
}

// judgeWithin rules on the longest time until a backlog was gone.
func (c Drains) judgeWithin(f *finding, q queue, outages []outage) {
	var worst *outage
	for i := range outages {
		o := &outages[i]
		switch {
		case !o.healed:
			f.open("within", "a fault was still in force when the evidence ended: let the load go on for longer than the faults")
			return
		case !o.built:
			continue
		case worst == nil || o.took.High > worst.took.High || o.took.High == worst.took.High && o.took.Low > worst.took.Low:
			worst = o
		}
	}
	if worst == nil {
		o := slices.MaxFunc(outages, func(a, b outage) int { return a.peak - b.peak })
		f.numbers.Add("peak_backlog", float64(o.peak))
		than := "less than half of what came during the outage"
		if o.came > 0 && 2*o.peak >= o.came {
			than = fmt.Sprintf("and had been %d before", o.level)
		}
		f.open("within", "the backlog was %d at most, %s: pause, cut off or kill the consumer, and for longer", o.peak, than)
		return
	}
	f.numbers.Add("level_before", float64(worst.level))
	f.numbers.Add("peak_backlog", float64(worst.peak))
	f.numbers.Add("drain_rate_per_s", worst.drain)
	f.numbers.Add("fed_rate_per_s", worst.fed)
	m := measure{name: "within", unit: timed, seen: worst.took, allowed: atMost(c.Within), sample: worst.peak,
		hidden: noiseText(worst.late),
		settle: "a host with cores to spare, or a bound further from the figure, would tell"}
	if worst.back < never {
		m.says = fmt.Sprintf("the backlog of %d was gone %s after the healing%s", worst.peak, short(worst.back-worst.to), worst.rateText())
	} else {
		left := q.backlog(q.outMax, worst.until)
		m.says = fmt.Sprintf("the backlog of %d was not gone %s after the healing, with %d left%s",
			worst.peak, short(worst.until-worst.to), left, worst.rateText())
		m.hidden = "the end of what was seen"
		m.settle = fmt.Sprintf("let load.settle, or the load after the healing, be longer than %s", short(c.Within))
	}
	f.rule(m)
}

// judgeProducer rules on the share of the producing route's requests that succeeded while the
// consumer was away, and until its backlog was gone.
func (c Drains) judgeProducer(f *finding, requests arrivals, outages []outage) {
	var during []load.Sample
	for _, o := range outages {
		for _, s := range due(requests, o.from, min(o.back, o.until, f.run.End)).all() {
			during = append(during, *s)
		}
	}
	samples := every(during)
	if samples.len() < leastLost {
		f.open("success", "only %s of %s were due meanwhile, and at least %d are needed: let the outage last longer, or offer more",
			were(samples.len(), "request", "requests"), c.Route, leastLost)
		return
	}
	served := countOK(samples)
	f.numbers.Add("success_pct", 100*float64(served)/float64(samples.len()))
	seen := goodputOf(f.run, samples)
	if c.success() >= 1 && served == samples.len() {
		seen = exactly(1) // no sample: not one may fail, and none did
	}
	f.rule(measure{name: "success", unit: shared, seen: seen, allowed: atLeast(c.success()), sample: samples.len(), ids: failures(samples),
		says:    fmt.Sprintf("%d of %d requests of %s succeeded meanwhile", served, samples.len(), c.Route),
		refutes: fmt.Sprintf("the producer noticed: only %d of %d requests of %s succeeded meanwhile", served, samples.len(), c.Route)})
}

// judgeLost rules on what was acknowledged and never took effect, although what was sent later did.
func (c Drains) judgeLost(f *finding, q queue, nameless int) {
	f.numbers.Add("lost", float64(q.lost))
	f.numbers.Add("left", float64(q.pending))
	acknowledged := were(len(q.events), "acknowledged request", "acknowledged requests")
	m := measure{name: "lost", seen: interval(max(0, q.lost-nameless), q.lost+q.pending+q.unsure), allowed: atMost(0),
		sample: len(q.events), ids: q.lostIDs,
		says:    fmt.Sprintf("none of %s is lost", acknowledged),
		refutes: fmt.Sprintf("%d of %s are lost: they never took effect, and what was sent later did", q.lost, acknowledged),
		hidden:  fmt.Sprintf("%d that were not applied when the evidence ended, and %d of which it is not known", q.pending, q.unsure),
		settle:  "a longer load.settle would tell"}
	if len(q.events) == 0 {
		f.open("lost", "no request of %q was acknowledged, so that there was nothing to lose", c.Route)
		return
	}
	f.rule(m)
}

// exhibit is the backlog over time.
func (q *queue) exhibit(c Drains, outages []outage) Exhibit {
	g := Trend{Of: "backlog at " + c.At.String(), Unit: "events", Points: []Point{},
		At0: float64(outages[0].level), Against: "at most before the outage"}
	top := 0
	for i := range MaxSamples {
		at := time.Duration(float64(q.end) * float64(i) / (MaxSamples - 1))
		n := q.backlog(q.outMax, at)
		top = max(top, n)
		g.Points = append(g.Points, Point{evidence.Seconds(at), float64(n)})
	}
	return Exhibit{Kind: KindGrowth, Part: "within", Growth: &g,
		Title: fmt.Sprintf("up to %d requests of %s were acknowledged and had not taken effect at %q", top, c.Route, c.At)}
}
