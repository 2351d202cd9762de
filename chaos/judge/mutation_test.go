package judge

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// lie is a claim with one number declared false, and part is where that shows.
type lie struct {
	name, part string
	claim      Breaker
}

// lies declares each number of a breaker's claim false by steps, in the direction
// in which that is a lie: what is at most so much is declared to be less, and a
// setting to be more as well. true is what the system does, where the claim has
// left room.
func lies(claim, truth Breaker) []lie {
	var all []lie
	add := func(part, what string, change func(*Breaker)) {
		c := claim
		change(&c)
		all = append(all, lie{part + " " + what, part, c})
	}
	for _, x := range []float64{0.5, 0.8, 0.9} {
		if n := int(x * float64(truth.Failures)); n > 0 && n < truth.Failures {
			add("failures", fmt.Sprint(n), func(b *Breaker) { b.Failures = n })
		}
		add("opens_within", fmt.Sprintf("× %v", x), func(b *Breaker) { b.OpensWithin = scaled(truth.OpensWithin, x) })
		add("closes_within", fmt.Sprintf("× %v", x), func(b *Breaker) { b.ClosesWithin = scaled(truth.ClosesWithin, x) })
		add("rejects_within", fmt.Sprintf("× %v", x), func(b *Breaker) { b.RejectsWithin = scaled(truth.RejectsWithin, x) })
	}
	for _, x := range []float64{0.5, 0.8, 0.9, 1.1, 1.25, 2} {
		add("waits", fmt.Sprintf("× %v", x), func(b *Breaker) { b.Waits = scaled(truth.Waits, x) })
	}
	if truth.Failures > 1 {
		add("failures", "− 1", func(b *Breaker) { b.Failures = truth.Failures - 1 })
	}
	if truth.Probes > 1 {
		add("probes", "− 1", func(b *Breaker) { b.Probes = truth.Probes - 1 })
	}
	return all
}

func scaled(d time.Duration, x float64) time.Duration { return time.Duration(float64(d) * x) }

// episodesOf is a run whose dependency fails slowly for 4 s and, 4 s after that,
// at once for 1 s: the first shows how many probes it lets through, the second
// after how many failures it opens.
func episodesOf(seed uint64, rate float64, slow time.Duration) world {
	late := fault(1, "latency", 3*time.Second, 4*time.Second)
	late.Delay = evidence.Seconds(slow)
	return world{
		seed: seed, rate: rate, total: 15 * time.Second, ids: true, service: 2 * ms, spread: 1, timeout: time.Second,
		faults: []evidence.Injection{fault(0, "errors", time.Second, time.Second, 404), late,
			fault(2, "errors", 3*time.Second, 4*time.Second, 503), fault(3, "errors", 10*time.Second, time.Second, 503)},
		late:    map[int]time.Duration{1: slow},
		breaker: breakerModel{failures: 5, open: 2 * time.Second, probes: 1, rejects: 3 * ms},
	}
}

// hosts are one that a run has for itself, one that stalls now and then, and one
// that stalls for half of the time.
var hosts = []struct {
	name   string
	stalls int
	stall  time.Duration
}{{"quiet", 0, 0}, {"busy", 60, 80 * ms}, {"starved", 60, 300 * ms}}

// Whatever number of a claim is declared false, and on whatever host, the part
// that is about it is never held, and so the claim is not.
func TestNoFalseBreakerIsHeld(t *testing.T) {
	for _, rate := range []float64{100, 300, 1000} {
		for _, failures := range []int{5, 8} {
			for _, host := range hosts {
				if rate > 300 && (host.name != "quiet" || failures > 5) {
					continue // it takes long, and says the same
				}
				t.Run(fmt.Sprintf("%v/s, %d failures, %s", rate, failures, host.name), func(t *testing.T) {
					t.Parallel()
					sound, refuted := 0, map[string]int{}
					for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
						w := episodesOf(seed, rate, 150*ms)
						w.breaker.failures, w.breaker.probes = failures, 1+int(seed%2)
						w.poisson = seed%3 == 0
						w.stalls, w.stall = host.stalls, host.stall
						run := w.play()
						claim := Breaker{Link: "payments", Route: "pay", Failures: failures, OpensWithin: time.Second, Waits: 2 * time.Second,
							Probes: w.breaker.probes, RejectsWithin: 20 * ms, ClosesWithin: 3 * time.Second, Ignores: []int{404}}
						truth := claim // what the slower of both episodes shows, and the world's own settings
						truth.OpensWithin, truth.ClosesWithin, truth.RejectsWithin = openedIn(claim.Judge(run)), closedIn(claim.Judge(run)), 3*ms
						switch v := claim.Judge(run); {
						case v.Ruling == Refuted:
							t.Fatalf("seed %d: sound and refuted: %s", seed, v.Reason)
						case v.Ruling == Held:
							sound++
						case host.name == "quiet" && !w.poisson && rate < 1000:
							t.Errorf("seed %d: sound and inconclusive: %s", seed, v.Reason)
						}
						for _, l := range lies(claim, truth) {
							v := l.claim.Judge(run)
							p := partOf(v, l.part)
							if v.Ruling == Held || p == nil || p.Ruling == Held {
								t.Errorf("seed %d: %s is not so, and %s: %s", seed, l.name, v.Ruling, v.Reason)
							}
							if v.Ruling == Refuted {
								refuted[l.name]++
							}
						}
					}
					t.Logf("sound: %d of %d held; refuted: %v", sound, *modelSeeds, refuted)
				})
			}
		}
	}
}

// partOf is the part of a verdict with a name; nil if it has none.
func partOf(v Verdict, name string) *Part {
	i := slices.IndexFunc(v.Parts, func(p Part) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &v.Parts[i]
}

// openedIn and closedIn are what a verdict says at the least.
func openedIn(v Verdict) time.Duration { return leastOf(v, "opens_within") }
func closedIn(v Verdict) time.Duration { return leastOf(v, "closes_within") }

func leastOf(v Verdict, name string) time.Duration {
	if p := partOf(v, name); p != nil && p.Seen != nil {
		return time.Duration(max(1, p.Seen.High) * float64(ms))
	}
	return ms
}
