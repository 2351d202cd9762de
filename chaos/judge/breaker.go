package judge

import (
	"fmt"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Breaker claims that a circuit breaker protects the calls that Route makes
// over Link: it opens when they fail, lets none through while open, waits,
// probes, and closes once they succeed. What is absent is not judged, but told
// where it was seen.
//
// Open is seen from both sides: the route's arrivals are answered while no
// call of theirs reaches the link. A fast failure alone proves nothing, a gap
// in the calls alone neither. A breaker that was never seen open has not held.
//
//	calls  ||||||||·····················|·····················|·····|||||||||
//	fault    [——— injected ———————————————————————————— healed]
//	         └ opens ┘└────── waits ─────┘└ probe fails,       └ probe succeeds,
//	                    callers rejected     open again           closed again
//
// Each figure is an interval between what is known by cause and effect: a
// request that was let through was so after it was sent, one that was turned
// away was so before it was answered, and a result was known after the link had
// its end and before its caller had the answer. So a host that stalls makes the
// intervals wider and nothing else. How many calls half-open lets through shows
// only while a probe takes time: a fault that fails at once (errors alone)
// leaves that open, the same with latency tells. After how many failures it
// opens shows best the other way round, where they come one by one.
type Breaker struct {
	Link  string `yaml:"link"`  // The link the protected calls go over. What other routes send over it may count as failures too.
	Route string `yaml:"route"` // The route that causes them.

	// At most so many failures in a row before it opens; calls that were in progress then are not counted. Absent is not judged.
	Failures int `yaml:"failures"`

	// What a failure is where requests are tried again: request for a breaker around the retries, attempt for one within them.
	// Absent means not known: both are measured.
	Counts string `yaml:"counts"`

	// At most so long from the injection until it lets nothing through; absent is not judged.
	OpensWithin time.Duration `yaml:"opens_within"`

	// How long it stays open before it lets a call through, within 5%, and again after a probe that failed. Until then it
	// lets none through. Absent is not judged.
	Waits time.Duration `yaml:"waits"`

	// The same at most, within 5%, for breakers that wait by a coarse clock or by chance; absent means waits.
	WaitsAtMost time.Duration `yaml:"waits_at_most"`

	// At most so many calls let through before the first probe's result is known; absent is not judged.
	Probes int `yaml:"probes"`

	// How probes are counted beyond that: cumulative is all of a half-open state (gobreaker), concurrent is at a time (failsafe-go),
	// window is one lot per waits, whether it has ended or not (hystrix). Absent means until the first result only.
	Probing string `yaml:"probing"`

	// How many breakers there are behind the link, each with its own state, if calls are spread evenly: failures, waits and probes
	// are of each. Which of them made a call is not seen, so that failures hold only if all together keep them. Absent means 1.
	Instances int `yaml:"instances"`

	// At most so long is the 99th percentile of the response time of rejected calls; absent is not judged.
	RejectsWithin time.Duration `yaml:"rejects_within"`

	// At most so long from the healing until calls flow again, for good; it includes what is left of the wait. Absent is
	// not judged.
	ClosesWithin time.Duration `yaml:"closes_within"`

	// Statuses that never open it, like 404: those of the caller's own making. Absent is not judged.
	Ignores []int `yaml:"ignores"`

	// It opens once this share of the calls of the last window have failed, within 5%; it takes window. Absent is not judged.
	FailureRate unit.Share `yaml:"failure_rate"`

	// Over how long the share is taken, within 5%, or within a bucket. Absent means no failure_rate.
	Window time.Duration `yaml:"window"`

	// Exactly so many calls in the window are the fewest of which the share is taken; absent means 1, which is not judged.
	Minimum int `yaml:"minimum"`

	// In how many steps the window rolls, so that up to one of them is forgotten early; absent means a window that slides.
	Buckets int `yaml:"buckets"`
}

func (b Breaker) String() string {
	parts := []string{}
	add := func(given bool, format string, args ...any) {
		if given {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(b.Failures > 0, "opens after %s", were(b.Failures, "failure", "failures"))
	add(b.Failures > 0 && b.Counts != "", "each %s counted", b.Counts)
	add(b.FailureRate > 0, "opens when %s of the calls of %s fail", b.FailureRate, b.Window)
	add(b.FailureRate > 0 && b.Minimum > 0, "of %d at least", b.Minimum)
	add(b.OpensWithin > 0, "opens within %s", b.OpensWithin)
	add(b.Waits > 0 && b.WaitsAtMost == 0, "waits %s", b.Waits)
	add(b.Waits > 0 && b.WaitsAtMost > 0, "waits %s to %s", b.Waits, b.WaitsAtMost)
	add(b.Probes > 0, "lets %s through", were(b.Probes, "probe", "probes"))
	add(b.Instances > 1, "each of %d instances", b.Instances)
	add(b.RejectsWithin > 0, "rejects within %s", b.RejectsWithin)
	add(b.ClosesWithin > 0, "closes within %s", b.ClosesWithin)
	add(len(b.Ignores) > 0, "ignores %s", list(b.Ignores))
	add(len(parts) == 0, "opens")
	return fmt.Sprintf("breaker of %s over %s: %s", orAll(b.Route), b.Link, strings.Join(parts, ", "))
}

func (b Breaker) instances() int { return max(b.Instances, 1) }

// Judge implements Claim.
func (b Breaker) Judge(run *evidence.Run) Verdict {
	f := find(run, b, "breaker")
	f.over(b.Link)
	t, why := trafficOf(run, b.Link, b.Route)
	if why != "" {
		f.open("opens", "%s", why)
		return f.verdict()
	}
	o := b.observe(t)
	traces := b.traces(t, o)
	if len(traces) > 0 {
		last := traces[len(traces)-1]
		f.rests(traces[0].from-time.Second, min(max(last.over(), last.to), t.end), onDue|onTimes)
	}
	th := b.threshold(t, o, traces)
	if len(traces) > 0 {
		b.judgeFailures(f, t, traces, th)
		b.judgeOpens(f, t, traces)
	}
	if b.FailureRate > 0 {
		b.judgeRate(f, t, o, traces)
	}
	b.judgeOpen(f, t, o, traces)
	if len(b.Ignores) > 0 {
		b.judgeIgnores(f, t, o, traces, th)
	}
	if !t.matched {
		f.remark("", "request ids do not reach %q, so that this rests on rates: every call there counts as the route's", b.Link)
	}
	return f.verdict()
}

// judgeOpen rules on what it did while it was open, and after. Of that there is
// nothing to see if it was not seen to open.
func (b Breaker) judgeOpen(f *finding, t *traffic, o *observed, traces []episodeTrace) {
	var all []stayed
	for _, c := range traces {
		if c.seen() || c.already {
			all = append(all, stayed{c, b.stays(t, o, c)})
		}
	}
	turnedAway(f, all)
	f.show(func() Exhibit { return b.statesOf(t, o, traces, all) })
	if len(all) > 0 {
		b.judgeWaits(f, all)
		b.judgeSilent(f, t, all)
		b.judgeProbes(f, t, all)
		b.judgeRejects(f, t, all)
		b.judgeCloses(f, t, o, all)
		return
	}
	why := b.idle(traces)
	if need := float64(2 * max(minRejected, t.row)); b.Waits > 0 && t.rate*t.flow*b.Waits.Seconds() < need {
		why = fmt.Sprintf("%.3g requests/s are too few to see it open for %s: offer at least %.0f/s",
			t.rate, short(b.Waits), need/t.flow/b.Waits.Seconds()+1)
	}
	claimed := false
	none := len(traces) == 0
	for _, part := range []struct {
		name  string
		given bool
	}{
		{"failures", none && b.Failures > 0},
		{"opens_within", none && b.OpensWithin > 0},
		{"waits", b.Waits > 0},
		{"probes", b.Probes > 0},
		{"rejects_within", b.RejectsWithin > 0},
		{"closes_within", b.ClosesWithin > 0},
	} {
		if part.given {
			f.open(part.name, "%s", why)
			claimed = true
		}
	}
	if !claimed && b.Failures == 0 && b.OpensWithin == 0 && b.FailureRate == 0 {
		f.open("opens", "%s", why)
	}
}
