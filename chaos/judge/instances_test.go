package judge

import (
	"fmt"
	"testing"
	"time"
)

// How many instances there are is declared, and not seen: no number that is false of
// each of them is held, whatever is declared of how many they are.
func TestNoFalseInstancesAreHeld(t *testing.T) {
	type truth struct {
		instances, failures, probes int
		uneven                      float64
	}
	for _, c := range []truth{
		{1, 5, 1, 0}, {1, 8, 1, 0}, {1, 10, 2, 0}, {2, 5, 1, 0}, {2, 5, 2, 0}, {2, 8, 1, 0}, {3, 5, 1, 0},
		{2, 5, 1, 0.9}, {2, 8, 1, 0.98}, {4, 5, 1, 0.5},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
				w := episodesOf(seed, 300, 150*ms)
				w.breaker.instances, w.breaker.failures, w.breaker.probes, w.breaker.uneven = c.instances, c.failures, c.probes, c.uneven
				run := w.play()
				for instances := 1; instances <= 4; instances++ {
					claim := Breaker{Link: "payments", Route: "pay", Instances: instances}
					judge := func(what string, lie bool, b Breaker) {
						v := b.Judge(run)
						if lie && v.Ruling == Held {
							t.Errorf("seed %d: %d instances, %s: false and held: %s", seed, instances, what, v.Reason)
						}
						if !lie && instances == c.instances && c.uneven == 0 && v.Ruling == Refuted {
							t.Errorf("seed %d: %d instances, %s: true and refuted: %s", seed, instances, what, v.Reason)
						}
					}
					for _, n := range []int{2, 4, 5, 7, 8, 9, 10, 20} {
						b := claim
						b.Failures = n
						judge(fmt.Sprintf("failures %d", n), n < c.failures, b)
					}
					for _, n := range []int{1, 2, 3} {
						b := claim
						b.Probes = n
						judge(fmt.Sprintf("probes %d", n), n < c.probes, b)
					}
					for _, by := range []float64{0.5, 0.8, 0.9, 1, 1.1, 1.25, 2} {
						b := claim
						b.Waits = scaled(2*time.Second, by)
						judge(fmt.Sprintf("waits × %v", by), by != 1, b)
					}
				}
			}
		})
	}
}

// What all instances together keep each of them keeps, and where no probe fails how
// long they wait is seen.
func TestInstancesHold(t *testing.T) {
	w := failingFor(1, 200, 0, breakerModel{failures: 3, instances: 4})
	w.faults[0].Healed = 4500 * ms
	claim := Breaker{Link: "payments", Route: "pay", Failures: 12, Waits: 2 * time.Second, Instances: 4, ClosesWithin: 3 * time.Second}
	if v := claim.Judge(w.play()); v.Ruling != Held {
		t.Errorf("%s: %s", v.Ruling, v.Reason)
	}
}
