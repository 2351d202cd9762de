package judge

import (
	"fmt"
	"math"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// Recovery claims that after the last healing the route's goodput comes back
// at the same load. If it does not, the system is metastable: the trigger is
// gone and the bad state stays (Bronson et al., HotOS 2021).
//
// Goodput is counted per arrival due, not per second: the share of the arrivals
// of a stretch that ended well, whenever that was. So a load that changes over
// the run does not look like a loss, and neither does the chance of Poisson
// arrivals. The baseline is the same share before the first injection. Much less
// load than before proves no recovery, for a metastable system often comes back
// when it is asked for less; much more proves no metastability.
type Recovery struct {
	Route   string        `yaml:"route"`   // Absent means all routes together.
	Within  time.Duration `yaml:"within"`  // From the healing until goodput is back.
	Goodput unit.Share    `yaml:"goodput"` // Part of the baseline that counts as back; absent means 95%.
	For     time.Duration `yaml:"for"`     // How long it must stay back; absent means 1s.
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
	if c.For == 0 {
		return time.Second
	}
	return c.For
}

func (c Recovery) String() string {
	return fmt.Sprintf("recovery of %s: %s of its goodput back for %s within %s of the healing", orAll(c.Route), unit.Share(c.goodput()), c.stays(), c.Within)
}

// Judge implements Claim.
func (c Recovery) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "recovery")
	all, ok := frontOf(run, c.Route)
	if !ok {
		f.doubt("the run has no route %s", c.Route)
		return f.verdict()
	}
	end := horizon(run)
	spans := episodes(run, 0, func(evidence.Injection) bool { return true })
	switch {
	case len(spans) == 0:
		f.doubt("no fault was in force: there was nothing to recover from")
		return f.verdict()
	case !spans[len(spans)-1].healed:
		f.doubt("a fault was still in force when the evidence ended")
		return f.verdict()
	}
	first, healed := spans[0].from, spans[len(spans)-1].to
	before, after := due(all, 0, first), due(all, healed, end)
	if len(before) < leastSteady || healed >= end {
		f.doubt("%s due before the first fault and %d after the last healing: too few to compare", were(len(before), "request was", "requests were"), len(after))
		return f.verdict()
	}
	c.compare(f, run, stretches{before, due(all, first, healed), after, first, healed, end})
	return f.verdict()
}

// stretches are the arrivals due before the first fault, during and after.
type stretches struct {
	before, during, after []load.Sample
	first, healed, end    time.Duration
}

func (c Recovery) compare(f *finding, run *evidence.Run, s stretches) {
	ended, _ := stopClock(s.before, s.first) // the others may have been hit by the fault
	baseline := float64(countOK(ended)) / float64(max(len(ended), 1))
	least := c.goodput() * baseline
	lost := len(s.during) - countOK(s.during)
	f.numbers.Add("baseline_pct", 100*baseline)
	f.numbers.Add("failed_during_faults", float64(lost))
	if baseline == 0 {
		f.doubt("nothing succeeded before the first fault: there is no goodput to come back to")
		return
	}
	noise := run.Noise(s.healed, s.end)
	at, back := c.returned(s, least)
	reached := s.end
	if back {
		reached = at + c.stays()
	}
	f.rests(0, s.first, onDue|onTimes|onLoad)
	f.rests(s.healed, min(reached, s.healed+c.Within+c.stays(), s.end), onDue|onTimes|onLoad)
	rate := (float64(len(s.after)) / (s.end - s.healed).Seconds()) / (float64(len(s.before)) / s.first.Seconds())
	apart := sameLoad + 4*math.Sqrt(1/float64(len(s.before))+1/float64(max(len(s.after), 1)))
	f.numbers.Add("load_after_pct", 100*rate)
	if back {
		took := at - s.healed
		f.numbers.AddTime("back_after", took)
		switch ruling := bound(took, c.Within, noise); {
		case ruling != Held:
			f.part(ruling, c.failedAfter(s.after, s.healed+c.Within), "goodput came back %s after the healing, bound %s", short(took), short(c.Within))
		case lost == 0 && len(s.during) > 0:
			f.doubt("no request failed while the faults were in force: there was nothing to recover from")
		case rate < 1-apart:
			f.doubt("goodput was back %s after the healing, but at %.0f%% of the load before: that is no proof", short(took), 100*rate)
		default:
			f.note("goodput was back at %.3g%% of its baseline or more %s after the healing and stayed for %s", 100*c.goodput(), short(took), short(c.stays()))
		}
		return
	}
	if s.end-s.healed < c.Within+c.stays()+noise {
		f.doubt("goodput was not back when the evidence ended %s after the healing; that is too soon to rule on %s for %s", short(s.end-s.healed), short(c.Within), short(c.stays()))
		return
	}
	if rate > 1+apart {
		f.doubt("goodput did not come back within %s, but the load after the healing was %.0f%% of the load before", short(c.Within), 100*rate)
		return
	}
	late := due(s.after, s.healed+c.Within, s.end)
	share := float64(countOK(late)) / float64(max(len(late), 1))
	f.numbers.Add("goodput_pct", 100*share)
	f.refute(c.failedAfter(late, 0), "metastable: %s after the healing only %.3g%% of %d requests succeed, before the fault %.3g%%; the load is %.0f%% of what it was then and no fault is in force", short(s.end-s.healed), 100*share, len(late), 100*baseline, 100*rate)
}

// returned finds the first arrival after the healing from which on the share
// of ok stays at least this for the whole of For.
func (c Recovery) returned(s stretches, least float64) (time.Duration, bool) {
	good := make([]int, len(s.after)+1) // good[i] is how many of after[:i] ended well
	for i, x := range s.after {
		good[i+1] = good[i]
		if x.Outcome == load.OK {
			good[i+1]++
		}
	}
	j := 0
	for i, x := range s.after {
		if x.Intended+c.stays() > s.end {
			return 0, false
		}
		for j < len(s.after) && s.after[j].Intended < x.Intended+c.stays() {
			j++
		}
		if x.Outcome == load.OK && float64(good[j]-good[i]) >= least*float64(j-i) {
			return x.Intended, true
		}
	}
	return 0, false
}

// failedAfter lists the requests due from a moment on that did not end well.
func (c Recovery) failedAfter(samples []load.Sample, from time.Duration) []uint64 {
	var ids []uint64
	for _, s := range samples {
		if s.Intended >= from && s.Outcome != load.OK {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
