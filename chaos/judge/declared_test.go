package judge

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// declared is a claim with one number in it that a run either keeps or not.
type declared struct {
	name  string
	run   func(seed uint64, busy bool) *evidence.Run
	claim Claim
	false bool   // the number is a lie: it must never be held
	says  string // part of what is said of one that holds
}

// falseNumbers are the numbers of bulkhead, timeout, steady and recovery, true
// and false, by steps.
func falseNumbers() []declared {
	var all []declared
	add := func(what string, lie bool, run func(uint64, bool) *evidence.Run, c Claim, says string) {
		all = append(all, declared{fmt.Sprintf("%s, %s", what, map[bool]string{false: "true", true: "false"}[lie]), run, c, lie, says})
	}
	pay := func(change func(*Bulkhead)) Bulkhead {
		c := Bulkhead{Link: "payments", Route: "pay"}
		change(&c)
		return c
	}
	full := bulkheadRun(func(*simulation) {}, nil)
	for _, limit := range []int{10, 16, 18, 19, 20, 21, 22, 25, 40} {
		add(fmt.Sprintf("limit %d of 20", limit), limit < 20, full, pay(func(c *Bulkhead) { c.Limit = limit }), "full at 20 calls and took no more")
	}
	slow := bulkheadRun(func(s *simulation) { s.rejects = 100 * ms }, nil)
	for _, within := range []time.Duration{50, 80, 90, 99, 110, 125, 200} {
		add(fmt.Sprintf("rejects within %d ms of 100", within), within < 100, slow, pay(func(c *Bulkhead) { c.RejectsWithin = within * ms }), "99% were within 10")
	}
	later := bulkheadRun(func(*simulation) {}, func(run *evidence.Run) { failing500(run, "pay", 9*time.Second, 10*time.Second) })
	for _, within := range []time.Duration{500, 800, 900, 990, 1100, 1250, 2000} {
		add(fmt.Sprintf("freed within %d ms of 1000", within), within < 1000, later, pay(func(c *Bulkhead) { c.FreedWithin = within * ms }), "free again")
	}
	worse := bulkheadRun(func(*simulation) {}, func(run *evidence.Run) { spoil(run, "browse", 10) })
	for _, share := range []float64{1, 0.99, 0.95, 0.92, 0.85, 0.72} {
		add(fmt.Sprintf("goodput %v of 0.9", share), share > 0.9, worse, pay(func(c *Bulkhead) { c.Unaffected, c.Goodput = []string{"browse"}, unit.Share(share) }), "kept 90")
	}
	slower := bulkheadRun(func(*simulation) {}, func(run *evidence.Run) { stretch2(run, "browse") })
	for _, factor := range []float64{1.1, 1.5, 1.8, 1.9, 2.5, 4} {
		add(fmt.Sprintf("slowdown %v of 2", factor), factor < 2, slower, pay(func(c *Bulkhead) { c.Unaffected, c.Slowdown = []string{"browse"}, factor }), "the p99 of \"browse\" went")
	}
	losing := bulkheadRun(func(s *simulation) { s.leaks, s.faults[0].kind = 0.08, "partition" }, nil)
	add("some places are lost", true, losing, pay(func(c *Bulkhead) { c.Limit = 20 }), "")

	hangs := once(func(seed uint64, busy bool) *evidence.Run { return onHost(hung(seed), busy).play() })
	for _, within := range []time.Duration{200, 320, 360, 399, 440, 500, 800} {
		add(fmt.Sprintf("timeout within %d ms of 400", within), within < 400, hangs, Timeout{Link: "payments", Route: "pay", Within: within * ms}, "the last after 40")
	}

	well := once(func(seed uint64, busy bool) *evidence.Run {
		run := onHost(world{seed: seed, rate: 400, poisson: true, total: 3 * time.Second, ids: true, service: 50 * ms, breaker: breakerModel{none: true}}, busy).play()
		for i := range run.Samples {
			if i%50 == 7 { // 2% are
				run.Samples[i].Outcome, run.Samples[i].Status = load.ServerError, 500
			}
		}
		return run
	})
	for _, share := range []float64{1, 0.999, 0.99, 0.981, 0.979, 0.95, 0.5} {
		add(fmt.Sprintf("success %v of 0.98", share), share > 0.98, well, Steady{Success: unit.Share(share)}, "requests succeeded")
	}
	for _, within := range []time.Duration{25, 40, 45, 49, 55, 70, 100} {
		add(fmt.Sprintf("p99 %d ms of 50", within), within < 50, well, Steady{Route: "pay", P99: within * ms}, "p99 is 5")
		add(fmt.Sprintf("p50 %d ms of 50", within), within < 50, well, Steady{Route: "pay", P50: within * ms}, "p50 is 5")
	}

	backAt := func(from, to time.Duration) func(uint64, bool) *evidence.Run {
		return once(func(seed uint64, busy bool) *evidence.Run {
			run := onHost(failing(seed), busy).play()
			failing500(run, "pay", 4*time.Second, 5*time.Second)
			failing500(run, "pay", from, to)
			return run
		})
	}
	late := backAt(0, 0)
	for _, within := range []time.Duration{500, 800, 900, 990, 1100, 1250, 2000} {
		add(fmt.Sprintf("recovery within %d ms of 1000", within), within < 1000, late,
			Recovery{Route: "pay", Within: within * ms}, "goodput was back 1")
	}
	for _, lost := range []time.Duration{100, 500} {
		c := Recovery{Route: "pay", Within: 1500 * ms}
		add(fmt.Sprintf("recovery, lost for %d ms", lost), true, backAt(6500*ms, 6500*ms+lost*ms), c, "")
		add(fmt.Sprintf("recovery, lost for the last %d ms", lost), true, backAt(8*time.Second-lost*ms, 8*time.Second), c, "")
	}
	partly := once(func(seed uint64, busy bool) *evidence.Run {
		run := onHost(failing(seed), busy).play()
		n := 0
		for i := range run.Samples {
			if s := &run.Samples[i]; s.Route == 0 && s.Intended >= 4*time.Second {
				if n++; n%10 == 3 {
					s.Outcome, s.Status = load.ServerError, 503
				}
			}
		}
		return run
	})
	for _, share := range []float64{1, 0.99, 0.95, 0.92, 0.8, 0.7} {
		add(fmt.Sprintf("recovery to %v of 0.9", share), share > 0.9, partly, Recovery{Route: "pay", Within: 2 * time.Second, Goodput: unit.Share(share)}, "goodput was back")
	}
	return all
}

// TestNoFalseNumberHolds: declare a number false, by a little or much, on a
// quiet or a busy host, and it is not held; declare it true and it is, on a
// quiet host, and never refuted on either.
func TestNoFalseNumberHolds(t *testing.T) {
	seeds := *seeds
	if testing.Short() {
		seeds = 1
	}
	for _, d := range falseNumbers() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			for _, busy := range []bool{false, true} {
				for seed := uint64(1); seed <= seeds; seed++ {
					v := d.claim.Judge(d.run(seed, busy))
					switch {
					case d.false && v.Ruling == Held, !d.false && v.Ruling == Refuted, !d.false && !busy && v.Ruling != Held:
						t.Errorf("seed %d, busy %v: %s: %s", seed, busy, v.Ruling, v.Reason)
					case v.Ruling == Held && !busy && !strings.Contains(v.Reason, d.says):
						t.Errorf("seed %d: held, and does not say %q: %s", seed, d.says, v.Reason)
					}
				}
			}
		})
	}
}

// bulkheadRun is a run of the bulkheaded system, changed before it is played and
// after.
func bulkheadRun(before func(*simulation), after func(*evidence.Run)) func(seed uint64, busy bool) *evidence.Run {
	return once(func(seed uint64, busy bool) *evidence.Run {
		s := bulkheaded()
		s.seed, s.busy = seed, busy
		before(&s)
		run := s.run()
		if after != nil {
			after(run)
		}
		return run
	})
}

// once makes each run once for all that is declared about it.
func once(run func(seed uint64, busy bool) *evidence.Run) func(seed uint64, busy bool) *evidence.Run {
	type which struct {
		seed uint64
		busy bool
	}
	var made sync.Map
	return func(seed uint64, busy bool) *evidence.Run {
		one, _ := made.LoadOrStore(which{seed, busy}, sync.OnceValue(func() *evidence.Run { return run(seed, busy) }))
		return one.(func() *evidence.Run)()
	}
}

// onHost gives a world a host that is quiet, or loses its cores now and then.
func onHost(w world, busy bool) world {
	if busy {
		w.stalls, w.stall = 30, 60*ms
	}
	return w
}

// failing500 makes the requests of a route fail that were due in [from, to).
func failing500(run *evidence.Run, route string, from, to time.Duration) {
	for i := range run.Samples {
		if s := &run.Samples[i]; run.Routes[s.Route] == route && s.Intended >= from && s.Intended < to {
			s.Outcome, s.Status = load.ServerError, 503
		}
	}
}

// spoil makes one in so many requests of a route fail while faults are in force.
func spoil(run *evidence.Run, route string, every int) {
	n := 0
	inFaults(run, route, func(s *load.Sample) {
		if n++; n%every == 0 {
			s.Outcome, s.Status = load.ServerError, 503
		}
	})
}

// stretch2 makes the requests of a route take twice as long while faults are in
// force.
func stretch2(run *evidence.Run, route string) {
	inFaults(run, route, func(s *load.Sample) { s.Done += s.Done - s.Sent })
}

func inFaults(run *evidence.Run, route string, change func(*load.Sample)) {
	for i := range run.Samples {
		s := &run.Samples[i]
		for _, f := range run.Faults {
			if run.Routes[s.Route] == route && s.Intended >= f.Injected && s.Intended < f.Healed {
				change(s)
			}
		}
	}
}
