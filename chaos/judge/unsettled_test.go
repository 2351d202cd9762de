package judge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// What an audit found when it was asked again may be the second effect of what it had listed once: nothing has held of it.
func TestNothingIsHeldOfAnAuditThatGrows(t *testing.T) {
	raw := Links{"raw"}
	for name, claim := range map[string]Claim{
		"effects": Effects{At: Links{"booked"}, Route: "order", Delivered: raw},
		"ordered": Ordered{At: Links{"booked"}, Writes: "order", Delivered: raw},
	} {
		run := soundEvents(1).play()
		run.Audits[0].Moved = "when it was asked again, 300 of its entries were new, and 0 gone"
		if v := claim.Judge(run); v.Ruling != Inconclusive || !strings.Contains(v.Reason, "300 of its entries were new") {
			t.Errorf("%s: %v, %s", name, v.Ruling, v.Reason)
		}
		m := soundEvents(1)
		m.again, m.late = 2000, 2000
		run = m.play()
		run.Audits[0].Moved = "when it was asked again, 300 of its entries were new, and 0 gone"
		if v := claim.Judge(run); v.Ruling != Refuted || !slices.Contains(v.IDs, 2000) {
			t.Errorf("%s, with one that is wrong already: %v, %s", name, v.Ruling, v.Reason)
		}
	}
}

// An event that is neither applied nor parked may have been on its way to be parked, when one audit was asked and the other was not yet.
func TestGapsWhileEventsAreParked(t *testing.T) {
	m := soundEvents(1)
	m.lost = 2000
	for name, c := range map[string]struct {
		change func(run *evidence.Run)
		want   Ruling
	}{
		"settled": {func(*evidence.Run) {}, Refuted},
		"parked after it was asked": {func(run *evidence.Run) {
			run.Audits[1].Moved = "when it was asked again, 1 of its entries were new, and 0 gone"
		}, Inconclusive},
	} {
		run := m.play()
		c.change(run)
		v := (Ordered{At: Links{"booked"}, Writes: "order", Parked: "dead", Delivered: Links{"raw"}}).Judge(run)
		if v.Ruling != c.want {
			t.Errorf("%s: %v, %s", name, v.Ruling, v.Reason)
		}
	}
}

// A consumer that parks all that it gets has kept no order.
func TestNoOrderOfWhatIsAllParked(t *testing.T) {
	run := soundEvents(1).play()
	run.Audits[0].IDs, run.Audits[1].IDs = nil, run.Audits[0].IDs
	v := (Ordered{At: Links{"booked"}, Writes: "order", Parked: "dead", Delivered: Links{"raw"}}).Judge(run)
	if v.Ruling != Inconclusive || !strings.Contains(v.Reason, "no event of order took effect") {
		t.Errorf("%v, %s", v.Ruling, v.Reason)
	}
}

// An audit that lists the same ids in another order each time lists them in none.
func TestNoOrderOfAnAuditThatIsShuffled(t *testing.T) {
	for _, at := range []string{"booked", "raw"} {
		run := soundEvents(1).play()
		run.Audits[0].Shuffled = true
		claim := Ordered{At: Links{at}, Writes: "order", Delivered: Links{"booked"}}
		if v := claim.Judge(run); v.Ruling == Held || !strings.Contains(v.Reason, "in another order when it was asked again") {
			t.Errorf("%s: %v, %s", at, v.Ruling, v.Reason)
		}
	}
}

// Of what is to take effect twice, and did once so far, the second may be on its way as the first may.
func TestSecondEffectsMayBeOnTheirWay(t *testing.T) {
	run := booking{n: 1000, changes: func(i int, _ *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
		if i < 999 {
			return append(calls, calls[0])
		}
		return calls
	}}.run()
	run.End = 1500 * ms
	claim := once1
	claim.Exactly = 2
	if v := claim.Judge(run); v.Ruling != Inconclusive {
		t.Errorf("%v by %v: %s", v.Ruling, v.IDs, v.Reason)
	}
}

// An audit that has entries, and not one with the id of a request, lists something else.
func TestNoEffectsOfAnAuditOfSomethingElse(t *testing.T) {
	run := soundEvents(1).play()
	for i := range run.Audits[0].IDs {
		run.Audits[0].IDs[i] = load.ForeignValue
	}
	v := Effects{At: Links{"booked"}, Route: "order", Delivered: Links{"raw"}}.Judge(run)
	if v.Ruling != Inconclusive || !strings.Contains(v.Reason, "ids") {
		t.Errorf("%v, %s", v.Ruling, v.Reason)
	}
}

// In a run that was stopped nothing has settled: what a consumer that died had in hand is delivered again later than what others
// had in theirs.
func TestNothingIsLostInARunThatWasStopped(t *testing.T) {
	m := backlogged{seed: 1, total: 10 * time.Second, headroom: 2, lost: 500}
	stopped := func(run *evidence.Run) {
		run.Partial, run.Stopped, run.End = true, "interrupted", 6*time.Second
		run.Faults[0].Healed = run.End
		run.Samples = slices.DeleteFunc(run.Samples, func(s load.Sample) bool { return s.Done > run.End })
		run.Ticks = run.Ticks[:6]
		l := run.Links["ledger"]
		l.Exchanges = slices.DeleteFunc(l.Exchanges, func(x evidence.Exchange) bool { return x.End > run.Faults[0].Injected })
		run.Audits = nil
	}
	for name, claim := range map[string]Claim{
		"drains":  Drains{At: Links{"ledger"}, Route: "order", Within: 3 * time.Second},
		"effects": Effects{At: Links{"ledger"}, Route: "order"},
	} {
		run := m.play()
		stopped(run)
		if v := claim.Judge(run); v.Ruling == Refuted {
			t.Errorf("%s: %v, %s", name, v.Ruling, v.Reason)
		}
	}
}

// A call that never came to the service was no delivery: one that is called again after such has been given nothing twice.
func TestCallsThatNeverCameAreNoDeliveries(t *testing.T) {
	run := booking{n: 1000}.run()
	run.Faults[0] = evidence.Injection{Name: "errors on orders", Kind: "errors", On: "orders", Statuses: []int{503}, Injected: 250 * ms, Healed: 500 * ms}
	front := run.Links["orders"]
	var all []evidence.Exchange
	for _, x := range front.Exchanges {
		if x.Begin >= 250*ms && x.Begin < 500*ms {
			y := x
			y.Begin, y.End, y.Status, y.Ending, y.Faults = x.Begin-ms/2, x.Begin-ms/4, 503, evidence.Injected, 1
			x.Faults = 0
			all = append(all, y)
		}
		all = append(all, x)
	}
	front.Exchanges = all
	v := once1.Judge(run)
	if v.Ruling != Inconclusive || !strings.Contains(v.Reason, "only 0 requests were delivered twice") {
		t.Errorf("%v, %s", v.Ruling, v.Reason)
	}
	for name, c := range map[string]struct {
		x    evidence.Exchange
		want effectCount
	}{
		"answered":             {evidence.Exchange{Status: 200}, effectCount{1, 1}},
		"answered 500":         {evidence.Exchange{Status: 500}, effectCount{1, 1}},
		"answered in vain":     {evidence.Exchange{Own: 200, Ending: evidence.Broken}, effectCount{1, 1}},
		"answered by a fault":  {evidence.Exchange{Status: 503, Ending: evidence.Injected}, effectCount{}},
		"not waited for":       {evidence.Exchange{Ending: evidence.CallerGone}, effectCount{1, 1}},
		"swallowed, perhaps":   {evidence.Exchange{Ending: evidence.CallerGone, Faults: 1}, effectCount{0, 1}},
		"connection was reset": {evidence.Exchange{Ending: evidence.Failed}, effectCount{0, 1}},
	} {
		c.x.Method = "POST"
		if got := delivery(&c.x); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
