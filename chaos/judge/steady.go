package judge

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// Steady claims that the system is well before anything is injected: over the
// arrivals due before the first injection, or over the whole run if nothing is
// planned to be injected.
//
// It is a claim about the requests of that stretch, every one of which was seen:
// a census and no sample, so that shares and quantiles are what they were
// counted to be, and 741 of 741 are 100%. What the system does in the long run is
// the matter of an objective over weeks, which no stretch of seconds proves.
// What blurs a time is the noise of the host and what the harness sent late,
// both of which only make it longer.
//
// A run that is about something else proves nothing on a system that was not
// well to begin with: there a missed bound is inconclusive, and nothing is
// injected. A run without faults is about the steady state itself: there it is
// refuted.
type Steady struct {
	Route   string        `yaml:"route"`   // The route whose requests count; absent means all routes together.
	Success unit.Share    `yaml:"success"` // At least this share of the requests is answered below status 400; absent is not judged.
	P50     time.Duration `yaml:"p50"`     // The median response time is at most this; absent is not judged.
	P99     time.Duration `yaml:"p99"`     // The 99th percentile of the response time is at most this; absent is not judged.
	// It holds over each stretch of this length, one after the other, from the beginning to the end; absent means before anything is
	// injected.
	Over time.Duration `yaml:"over"`
	// With over, requests do not count that were under way while a fault was in force, or in the 10s after it; absent means that
	// they do.
	OutsideFaults bool `yaml:"outside_faults"`
}

// leastSteady is how many arrivals it takes to speak of a steady state.
const leastSteady = 30

func (s Steady) String() string {
	var parts []string
	if s.Success > 0 {
		parts = append(parts, s.Success.String()+" succeed")
	}
	if s.P50 > 0 {
		parts = append(parts, fmt.Sprintf("p50 within %s", s.P50))
	}
	if s.P99 > 0 {
		parts = append(parts, fmt.Sprintf("p99 within %s", s.P99))
	}
	if len(parts) == 0 {
		parts = append(parts, "answers come")
	}
	text := fmt.Sprintf("steady state of %s: %s", orAll(s.Route), strings.Join(parts, ", "))
	if s.Over > 0 {
		text += fmt.Sprintf(", over each %s", s.Over)
	}
	if s.OutsideFaults {
		text += " outside faults"
	}
	return text
}

// Judge implements Claim.
func (s Steady) Judge(run *evidence.Run) Verdict {
	if s.Over > 0 {
		return s.judgeOver(run)
	}
	until := run.End
	for _, f := range run.Faults {
		if f.Injected >= 0 {
			until = min(until, f.Injected)
		} else {
			until = min(until, f.At.Duration())
		}
	}
	return s.Ready(run, until)
}

// Ready rules on the arrivals due in [0, until): a run asks it just before its
// first injection. How arrivals ended that were still under way at until is
// not the steady state's: the fault may have hit them. What they had waited by
// then is.
func (s Steady) Ready(run *evidence.Run, until time.Duration) Verdict {
	f := find(run, s, "steady")
	if s.Success == 0 && s.P50 == 0 && s.P99 == 0 {
		f.open("", "it claims nothing: give success, p50 or p99")
		return f.verdict()
	}
	samples, ok := samplesOf(run, s.Route)
	if !ok {
		f.open("", noRoute, s.Route)
		return f.verdict()
	}
	samples = due(samples, 0, until)
	f.numbers.Add("requests", float64(samples.len()))
	if samples.len() < leastSteady {
		f.open("", "only %s due before the first injection; at least %d are needed to speak of a steady state: "+
			"let the faults begin later, or offer more",
			were(samples.len(), "request was", "requests were"), leastSteady)
		return f.verdict()
	}
	f.rests(0, min(until, horizon(run)), onDue|onTimes|onLoad)
	ended, waiting := samples, arrivals{}
	if len(run.Faults) > 0 {
		ended, waiting = stopClock(samples, until)
	}
	s.judgeSuccess(f, ended)
	times := steadyTimesOf(run, 0, samples.get(samples.len()-1).Intended, ended, waiting)
	s.judgeTime(f, times, "p50", 0.5, s.P50)
	s.judgeTime(f, times, "p99", 0.99, s.P99)
	s.exhibits(f, ended, samples, until, times)
	if len(run.Faults) > 0 && rulingOf(f.parts) == Refuted {
		f.parts = undecided(f.parts)
		f.distrust("the system was not in its steady state, so that nothing can be proven: " + reasonOf(f.parts, Inconclusive))
	}
	return f.verdict()
}

// steadyTimesOf is how long requests took that were due in [from, to].
func steadyTimesOf(run *evidence.Run, from, to time.Duration, ended, waiting arrivals) steadyTimes {
	times := steadyTimes{requestTimes: timesOf(run, ended, waiting), noise: run.Noise(from, to),
		service: append(serviceTimes(ended), serviceTimes(waiting)...), lists: []arrivals{ended, waiting}}
	times.late, _ = lateness(run, from, to)
	slices.Sort(times.service)
	return times
}

// stopClock returns the samples that had ended by then, and the others as they
// were then, with no more waiting than there was.
func stopClock(samples arrivals, then time.Duration) (ended, waiting arrivals) {
	ended = endedBy(samples, then)
	others := make([]load.Sample, 0, samples.len()-ended.len())
	for _, x := range samples.all() {
		if x.Done <= then {
			continue
		}
		x := *x
		if x.Outcome == load.Unsent {
			x.Outcome, x.Sent = load.TimedOut, then // it still waits; that it was given up later is another matter
		}
		x.Done = min(x.Done, then)
		x.Sent = min(x.Sent, then)
		others = append(others, x)
	}
	return ended, every(others)
}

// judgeSuccess rules on the share that succeeded, which is a count. What failed
// while the host stood still may have failed by its doing.
func (s Steady) judgeSuccess(f *finding, samples arrivals) {
	f.numbers.Add("success_pct", 100*float64(countOK(samples))/float64(max(samples.len(), 1)))
	if s.Success > 0 {
		f.rule(s.measureSuccess(f.run, samples))
	}
}

// measureSuccess is the share that succeeded.
func (s Steady) measureSuccess(run *evidence.Run, samples arrivals) measure {
	ok, n, excused := countOK(samples), samples.len(), 0
	for _, x := range samples.all() {
		if x.Outcome != load.OK && (x.Outcome.Ours() || run.Noise(x.Intended, x.Done) >= upset) {
			excused++
		}
	}
	share := float64(ok) / float64(max(n, 1))
	m := measure{name: "success", unit: shared, allowed: atLeast(float64(s.Success)), sample: n, ids: failures(samples),
		seen: interval(share, float64(ok)/float64(max(n-excused, 1))),
		says: fmt.Sprintf("%d of %d requests succeeded", ok, n), refutes: fmt.Sprintf("only %d of %d requests succeeded (%.4g%%)",
			ok, n, 100*share),
		hidden: fmt.Sprintf("%d that were not sent, or failed while the host stood still", excused)}
	if n == 0 {
		m.seen = interval(0.0, 1.0) // all of them were under way when the clock was stopped
	}
	return m
}

// steadyTimes is how long the requests took that had ended and those that still
// waited.
type steadyTimes struct {
	requestTimes
	service []time.Duration // since they were sent, in order
	lists   []arrivals
	noise   time.Duration
	late    time.Duration // by as much a hundredth was sent late, in the worst second
}

// judgeTime rules on one percentile of the response time.
func (s Steady) judgeTime(f *finding, times steadyTimes, name string, q float64, limit time.Duration) {
	seen := times.quantile(q)
	measured := time.Duration(min(seen.High, math.MaxInt64/2))
	what := fmt.Sprintf("%s is %s", name, short(measured))
	switch {
	case !math.IsInf(seen.High, 1):
		f.numbers.AddTime(name, measured)
	case limit > 0 && len(times.sent) == 0:
		f.open(name, "%s: none of %d arrivals was sent: offer less, or raise load.connections", name, len(times.all))
		return
	default:
		what = fmt.Sprintf("%s is %s, for more requests than it leaves out were never sent", name, timed.span(seen))
	}
	if limit > 0 {
		f.rule(times.measure(name, what, q, limit))
	}
}

// measure is a quantile beside its bound; what is the clause for it.
func (times *steadyTimes) measure(name, what string, q float64, limit time.Duration) measure {
	seen := times.quantile(q)
	measured := time.Duration(min(seen.High, math.MaxInt64/2))
	hidden, settle := noiseText(times.noise), quieter
	if service := ofOrdered(times.service, q); times.late > times.noise || measured > limit && service <= limit {
		hidden = fmt.Sprintf("the harness sending late: from sending it took %s", short(service))
		settle = "a lower rate, or more cores for the harness, would tell"
	}
	return measure{name: name, unit: timed, seen: seen, allowed: atMost(limit), sample: len(times.all),
		ids: slower(limit, times.lists...), says: what, hidden: hidden, settle: settle}
}
