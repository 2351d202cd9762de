package judge

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Recovery claims that after the last healing the route's goodput comes back
// at the same load, and stays back until the run ends. If it does not come
// back, the system is metastable: the trigger is gone and the bad state stays
// (Bronson et al., HotOS 2021). If it is lost again, no fault did that.
//
// Goodput is counted per arrival due, not per second: the share of the arrivals
// of a stretch that ended well, whenever that was. So a load that changes over
// the run does not look like a loss, and neither does the chance of Poisson
// arrivals. The baseline is the same share before the first injection. Both are
// samples: of a stretch that is short, its share is known only roughly. Much less
// load than before proves no recovery, for a metastable system often comes back
// when it is asked for less; much more proves no metastability.
type Recovery struct {
	Route   string        `yaml:"route"`   // The route whose goodput counts; absent means all routes together.
	Within  time.Duration `yaml:"within"`  // At most so long from the last healing until goodput is back, to stay until the run ends.
	Goodput unit.Share    `yaml:"goodput"` // At least this part of the baseline counts as back; absent means 95%.
	For     time.Duration `yaml:"for"`     // Over how long a stretch goodput is counted, any since it is back; absent means 1s.
}

// sameLoad is how far the rate after the healing may be from the rate before,
// to be the same load, beside four standard deviations of Poisson arrivals.
const sameLoad = 0.1

func (c Recovery) goodput() float64 {
	if c.Goodput == 0 {
		return 0.95
	}
	return float64(c.Goodput)
}

func (c Recovery) stays() time.Duration {
	return cmp.Or(c.For, time.Second)
}

func (c Recovery) String() string {
	return fmt.Sprintf("recovery of %s: %s of its goodput back for %s within %s of the healing",
		orAll(c.Route), unit.Share(c.goodput()), c.stays(), c.Within)
}

// Judge implements Claim.
func (c Recovery) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "recovery")
	all, ok := samplesOf(run, c.Route)
	if !ok {
		f.open("within", noRoute, c.Route)
		return f.verdict()
	}
	end := horizon(run)
	each := func(evidence.Injection) bool { return true }
	spans := episodes(run, 0, each)
	f.show(func() Exhibit { return c.goodputOver(run, all, spans, end) })
	switch {
	case len(spans) == 0:
		f.open("within", "%s: there was nothing to recover from: add a fault that makes requests fail", noEpisode(run, "", each))
		return f.verdict()
	case !spans[len(spans)-1].healed:
		f.open("within", "a fault was still in force when the evidence ended: let the load go on for longer than the faults")
		return f.verdict()
	}
	s := stretches{first: spans[0].from, healed: spans[len(spans)-1].to, end: end}
	s.before, s.during, s.after = due(all, 0, s.first), due(all, s.first, s.healed), due(all, s.healed, end)
	if s.before.len() < leastSteady || s.healed >= end {
		f.open("within", "%s due before the first fault and %d after the last healing: too few to compare: "+
			"let the faults begin later, and the load go on after them",
			were(s.before.len(), "request was", "requests were"), s.after.len())
		return f.verdict()
	}
	f.rests(0, s.first, onDue|onLoad)
	f.rests(s.healed, end, onDue|onLoad)
	c.compare(f, s)
	return f.verdict()
}

// stretches are the arrivals due before the first fault, during and after.
type stretches struct {
	before, during, after arrivals
	first, healed, end    time.Duration
}

// load is the rate of arrivals after the healing in parts of that before, and
// how far from 1 chance may take it beside sameLoad.
func (s stretches) load() (rate, apart float64) {
	rate = (float64(s.after.len()) / (s.end - s.healed).Seconds()) / (float64(s.before.len()) / s.first.Seconds())
	return rate, sameLoad + 4*math.Sqrt(1/float64(s.before.len())+1/float64(max(s.after.len(), 1)))
}

func (c Recovery) compare(f *finding, s stretches) {
	ended := endedBy(s.before, s.first) // the others may have been hit by the fault
	baseline := goodputOf(f.run, ended)
	ok, lost := countOK(ended), s.during.len()-countOK(s.during)
	f.numbers.Add("baseline_pct", 100*float64(ok)/float64(max(ended.len(), 1)))
	f.numbers.Add("failed_during_faults", float64(lost))
	if ok == 0 {
		f.open("within", "nothing succeeded before the first fault: there is no goodput to come back to: "+
			"let the system serve requests before a fault")
		return
	}
	rate, apart := s.load()
	f.numbers.Add("load_after_pct", 100*rate)
	back := returned(f.run, s.after, s.healed, s.end, c.stays(), baseline, c.goodput())
	c.judgeBack(f, s, back, rate > 1+apart)
	if !back.back() {
		return
	}
	since := due(s.after, back.from, s.end)
	c.judgeKept(f, since, baseline)
	if lost == 0 && s.during.len() > 0 {
		f.open("trigger", "no request failed while the faults were in force: there was nothing to recover from. "+
			"Let a fault last for longer, or hit more calls")
	}
	if rate < 1-apart {
		f.open("load", "the load after the healing was %.0f%% of the load before: that goodput came back then is no proof. "+
			"Offer the same load after the healing as before", 100*rate)
	}
}

// judgeBack rules on how long it took. Of a system that is asked for much more
// than before, only that it came back says anything.
func (c Recovery) judgeBack(f *finding, s stretches, back comeback, overloaded bool) {
	m := measure{name: "within",
		unit: timed, seen: back.after, allowed: atMost(c.Within), sample: s.after.len(), hidden: noiseText(f.run.Noise(s.healed, s.end))}
	if back.back() {
		f.numbers.AddTime("back_after", back.from-s.healed)
		m.says = fmt.Sprintf("goodput was back %s and stayed until the run ended", back.text(s.healed))
		m.ids = failures(due(s.after, s.healed+c.Within, back.from))
		m.settle = "a host with cores to spare, or more requests per second, would tell"
	} else {
		late := due(s.after, s.healed+c.Within, s.end)
		share := float64(countOK(late)) / float64(max(late.len(), 1))
		f.numbers.Add("goodput_pct", 100*share)
		m.ids = failures(late)
		m.says = fmt.Sprintf("goodput was not back when the evidence ended %s after the healing", short(s.end-s.healed))
		m.settle = fmt.Sprintf("let the load go on for clearly more than %s after the healing", short(c.Within+c.stays()))
		m.refutes = fmt.Sprintf("metastable: %s, of the last %s only %.3g%% succeeded, and no fault is in force",
			m.says, were(late.len(), "request", "requests"), 100*share)
	}
	if overloaded && !back.back() {
		m.seen.Low = 0
		m.says, m.settle = m.says+", but the load was much more than before", "offer the same load after the healing as before"
	}
	if back.lost > 0 {
		f.numbers.AddTime("lost_again", back.lost-s.healed)
		what := fmt.Sprintf("goodput was back %s after the healing and was lost again %s after it, without a fault",
			short(back.first), short(back.lost-s.healed))
		if !back.calm {
			what += ", while the host stood still"
		}
		m.says, m.refutes = what, what
		if back.back() {
			m.refutes += fmt.Sprintf(", for good only %s", back.text(s.healed))
		}
	}
	if by, _ := died(f.run, s.end); len(by) > 0 && !back.back() && ofSystem(f.run, by[0].Target) {
		m.refutes = fmt.Sprintf("%s, and goodput did not come back after it", deathText(by[0]))
		if back.lost > by[0].At-time.Second {
			m.refutes = fmt.Sprintf("%s: goodput was back %s after the healing and was lost again %s after it",
				deathText(by[0]), short(back.first), short(back.lost-s.healed))
		}
	}
	f.rule(m)
}

// judgeKept rules on how much came back. All of it is a count: not one may
// fail.
func (c Recovery) judgeKept(f *finding, since arrivals, baseline Interval) {
	seen := kept(baseline, goodputOf(f.run, since))
	if ok := countOK(since); c.goodput() >= 1 && ok == since.len() {
		seen = exactly(1)
	}
	f.rule(measure{name: "goodput", unit: shared, seen: seen, allowed: atLeast(c.goodput()), sample: since.len(), ids: failures(since),
		says:   fmt.Sprintf("%d of the %d requests since then succeeded", countOK(since), since.len()),
		settle: "more requests after the healing would tell"})
}
