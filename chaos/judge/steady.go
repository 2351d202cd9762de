package judge

import (
	"fmt"
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
// A run that is about something else proves nothing on a system that was not
// well to begin with: there a missed bound is inconclusive, and nothing is
// injected. A run without faults is about the steady state itself: there it is
// refuted.
type Steady struct {
	Route   string        `yaml:"route"`   // Absent means all routes together.
	Success unit.Share    `yaml:"success"` // Least share of responses below status 400; absent is not judged.
	P50     time.Duration `yaml:"p50"`     // Longest median response time; absent is not judged.
	P99     time.Duration `yaml:"p99"`     // Longest 99th percentile of the response time; absent is not judged.
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
	return fmt.Sprintf("steady state of %s: %s", orAll(s.Route), strings.Join(parts, ", "))
}

// Judge implements Claim.
func (s Steady) Judge(run *evidence.Run) Verdict {
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
		f.doubt("it claims nothing: give success, p50 or p99")
		return f.verdict()
	}
	samples, ok := frontOf(run, s.Route)
	if !ok {
		f.doubt("the run has no route %s", s.Route)
		return f.verdict()
	}
	samples = due(samples, 0, until)
	f.numbers.Add("requests", float64(len(samples)))
	if len(samples) < leastSteady {
		f.doubt("only %s due before the first injection; at least %d are needed to speak of a steady state", were(len(samples), "request was", "requests were"), leastSteady)
		return f.verdict()
	}
	f.rests(0, min(until, horizon(run)), onDue|onTimes|onLoad)
	ended := samples
	if len(run.Faults) > 0 {
		ended, samples = stopClock(samples, until)
	}
	s.judgeSuccess(f, ended)
	s.judgeTime(f, run, samples, "p50", 0.5, s.P50)
	s.judgeTime(f, run, samples, "p99", 0.99, s.P99)
	if len(run.Faults) > 0 && f.refuted() {
		f.parts = undecided(f.parts)
		f.distrust("the system was not in its steady state, so that nothing can be proven: " + reasonOf(f.parts, Inconclusive))
	}
	return f.verdict()
}

// stopClock returns the samples that had ended by then, and all of them with
// no more waiting than there was by then.
func stopClock(samples []load.Sample, then time.Duration) (ended, all []load.Sample) {
	ended, all = make([]load.Sample, 0, len(samples)), make([]load.Sample, 0, len(samples))
	for _, x := range samples {
		if x.Done <= then {
			ended = append(ended, x)
		}
		x.Done = min(x.Done, then)
		x.Sent = min(x.Sent, then)
		all = append(all, x)
	}
	return ended, all
}

// judgeSuccess rules on the share that succeeded. The count is exact, but it
// is a sample of what the system does: a bound that lies within the interval
// of the share that was seen is not contradicted by it.
func (s Steady) judgeSuccess(f *finding, samples []load.Sample) {
	ok, n := countOK(samples), len(samples)
	share := float64(ok) / float64(max(n, 1))
	low, high := scoreInterval(ok, n, 1.96)
	f.numbers.Add("success_pct", 100*share)
	f.numbers.Add("success_low_pct", 100*low)
	f.numbers.Add("success_high_pct", 100*high)
	if s.Success == 0 {
		return
	}
	var failed []uint64
	for _, x := range samples {
		if x.Outcome != load.OK {
			failed = append(failed, x.ID)
		}
	}
	switch least := float64(s.Success); {
	case share >= least:
		f.note("%d of %d requests succeeded", ok, n)
	case high < least:
		f.refute(failed, "only %d of %d requests succeeded (%.4g%%, bound %s)", ok, n, 100*share, s.Success)
	default:
		f.doubt("%d of %d requests succeeded (%.4g%%, bound %s): too few to tell, the share may be up to %.4g%%", ok, n, 100*share, s.Success, 100*high)
	}
}

// judgeTime rules on one percentile of the response time. What the harness
// itself was late to send is no proof against the system: a refutation takes
// that the service time alone contradicts the bound too.
func (s Steady) judgeTime(f *finding, run *evidence.Run, samples []load.Sample, name string, q float64, limit time.Duration) {
	all := len(samples)
	if samples = telling(samples, limit); len(samples) == 0 && all > 0 && limit > 0 {
		f.doubt("%s: none of %d arrivals was sent", name, all)
		return
	}
	samples = calmly(run, samples, limit)
	response, service := percentile(responseTimes(samples), q), percentile(serviceTimes(samples), q)
	f.numbers.AddTime(name, response)
	if limit == 0 {
		return
	}
	noise := noiseAround(run, samples)
	ruling := bound(response, limit, noise)
	if _, proven := persistently(samples, limit+noise); ruling == Refuted && !proven {
		ruling = Inconclusive // a burst or two: the host's, as far as one can tell
	}
	if ruling == Refuted && service <= limit {
		f.doubt("%s is %s, bound %s, but that is the harness sending late: from sending it took %s", name, short(response), short(limit), short(service))
		return
	}
	var slow []uint64
	for _, x := range samples {
		if x.ResponseTime() > limit {
			slow = append(slow, x.ID)
		}
	}
	if ruling == Held {
		f.note("%s %s", name, short(response))
		return
	}
	f.part(ruling, slow, "%s is %s, bound %s, noise %s", name, short(response), short(limit), short(noise))
}
