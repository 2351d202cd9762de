package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// frozen is what is recorded of a run whose harness, and nothing else, stood still in
// [from, to): what was due meanwhile is sent in a burst afterwards, what ended meanwhile
// is stamped afterwards, and one tick spans all of it. The hiccup may be noted in the
// tick after that only.
func frozen(run *evidence.Run, from, to time.Duration, noted bool) *evidence.Run {
	run = copied(run)
	n := 0
	thawed := func(at time.Duration) time.Duration {
		if at < from || at >= to {
			return at
		}
		n++
		return to + time.Duration(n)*50*time.Microsecond
	}
	for i := range run.Samples {
		s := &run.Samples[i]
		service := s.ServiceTime()
		if sent := thawed(s.Sent); sent != s.Sent {
			s.Sent, s.Done = sent, sent+service
		} else {
			s.Done = thawed(s.Done)
		}
	}
	links := map[string]*evidence.Link{}
	for name, l := range run.Links {
		own := &evidence.Link{Name: l.Name, From: l.From, To: l.To, Exchanges: slices.Clone(l.Exchanges)}
		for i := range own.Exchanges {
			x := &own.Exchanges[i]
			x.Begin = thawed(x.Begin)
			x.End = max(x.Begin, thawed(x.End))
		}
		slices.SortStableFunc(own.Exchanges, func(a, b evidence.Exchange) int { return cmp.Compare(a.Begin, b.Begin) })
		links[name] = own
	}
	run.Links = links
	run.Ticks = slices.DeleteFunc(run.Ticks, func(t evidence.Tick) bool { return t.At >= from && t.At < to })
	i := slices.IndexFunc(run.Ticks, func(t evidence.Tick) bool { return t.At >= to })
	if i < 0 {
		i = len(run.Ticks)
		run.Ticks = append(run.Ticks, evidence.Tick{At: to})
	}
	late := evidence.Seconds(to - from)
	run.Ticks[i].LateP99 = late
	if !noted && i+1 < len(run.Ticks) {
		i++
	}
	run.Ticks[i].HiccupMax, run.Ticks[i].HiccupP99 = late, late
	return run
}

// A sound system is not refuted for what the harness did when it went on: the burst
// that it sent made the system lose requests.
func TestRecoverySurvivesTheBurstAfterAFreeze(t *testing.T) {
	claim := Recovery{Route: "pay", Within: time.Second}
	for _, noted := range []bool{true, false} {
		w := failing(3)
		w.total = 11 * time.Second
		run := frozen(w.play(), 6*time.Second, 9900*ms, noted)
		for i := range run.Samples {
			if s := &run.Samples[i]; s.Intended >= 6*time.Second && s.Intended < 10500*ms && i%3 > 0 {
				s.Outcome, s.Status = load.ServerError, 503
			}
		}
		v := claim.Judge(run)
		if v.Ruling != Inconclusive || !strings.Contains(v.Reason, "the harness stood still for ") {
			t.Errorf("noted at once %v: %s: %s; want inconclusive: it stood still", noted, v.Ruling, v.Reason)
		}
	}
}

// A system that comes back late is not held because the harness stood still until it was.
func TestRecoveryDuringAFreezeIsNotSeen(t *testing.T) {
	for _, late := range []time.Duration{2800 * ms, 2700 * ms} {
		for _, noted := range []bool{true, false} {
			run := frozen(failing(3).play(), 4050*ms, 6800*ms, noted)
			for i := range run.Samples { // those sent in the burst succeed where it is over by then
				if s := &run.Samples[i]; s.Sent >= 4050*ms && s.Sent < 4*time.Second+late {
					s.Outcome, s.Status = load.ServerError, 503
				}
			}
			if v := (Recovery{Route: "pay", Within: time.Second}).Judge(run); v.Ruling == Held {
				t.Errorf("back %s after the healing: held: %s; %s", short(late), v.Reason, v.Despite)
			}
			all, _ := samplesOf(run, "pay")
			c := returned(run, due(all, 4*time.Second, run.End), 4*time.Second, run.End, freedWindow, Interval{0.99, 1}, freedShare)
			if c.after.High < float64(late) {
				t.Errorf("back %s after the healing: returned says by %s", short(late), time.Duration(c.after.High))
			}
		}
	}
}

// Whenever the harness stands still, no claim is refuted of a sound system, and none
// is held in silence.
func TestFreezeRefutesNothingSound(t *testing.T) {
	for kind, s := range sounds() {
		step := max(700*ms, s.run.End/40) // a soak is long
		for from := 500 * ms; from < s.run.End-time.Second; from += step {
			for _, span := range []time.Duration{700 * ms, 2 * time.Second, 3900 * ms} {
				for _, noted := range []bool{true, false} {
					run := frozen(s.run, from, from+span, noted)
					v := s.claim.Judge(run)
					if v.Ruling == Refuted || v.Ruling == Held && v.Despite == "" && len(run.Problems(0, run.End)) > 0 {
						t.Errorf("%s, frozen at %s for %s: %s, despite %q: %s", kind, short(from), short(span), v.Ruling, v.Despite, v.Reason)
					}
				}
			}
		}
	}
}

// Whenever the harness stands still, no claim is held of a system that breaks it.
func TestFreezeHoldsNothingBroken(t *testing.T) {
	unsafe := sound(1)
	unsafe.breaker.stuck = true
	endless := hung(1)
	endless.timeout = 0
	down := failing(1)
	down.backlog = true
	lossy := failing(1).play()
	for i := range lossy.Samples {
		if i%10 == 0 {
			lossy.Samples[i].Outcome, lossy.Samples[i].Status = load.ServerError, 503
		}
	}
	leaky := bulkheadRun(func(s *simulation) { s.limit = 30 }, nil)(1, false)
	for _, broken := range []struct {
		run   *evidence.Run
		claim Claim
	}{
		{unsafe.play(), protects},
		{endless.play(), Timeout{Link: "payments", Route: "pay", Within: 500 * ms}},
		{down.play(), Recovery{Route: "pay", Within: 2 * time.Second}},
		{lossy, Steady{Success: 0.99}},
		{leaky, Bulkhead{Link: "payments", Route: "pay", Limit: 20}},
	} {
		what := fmt.Sprintf("%T", broken.claim)
		if v := broken.claim.Judge(broken.run); v.Ruling == Held {
			t.Errorf("%s, not frozen: %s: %s", what, v.Ruling, v.Reason)
		}
		for from := 500 * ms; from < broken.run.End-time.Second; from += 700 * ms {
			for _, span := range []time.Duration{700 * ms, 2 * time.Second, 3900 * ms} {
				for _, noted := range []bool{true, false} {
					if v := broken.claim.Judge(frozen(broken.run, from, from+span, noted)); v.Ruling == Held {
						t.Errorf("%s, frozen at %s for %s: held: %s; %s", what, short(from), short(span), v.Reason, v.Despite)
					}
				}
			}
		}
	}
}

// A late load is another one, whether or not a hiccup explains it.
func TestNoHiccupExcusesALateLoad(t *testing.T) {
	run := failing(1).play()
	tick := &run.Ticks[5]
	tick.LateP99, tick.HiccupMax = evidence.Seconds(150*ms), evidence.Seconds(160*ms)
	v := Recovery{Route: "pay", Within: 2 * time.Second}.Judge(run)
	if v.Ruling != Inconclusive || !strings.Contains(v.Reason, "so that the load was another one") {
		t.Errorf("%s: %s", v.Ruling, v.Reason)
	}
}
