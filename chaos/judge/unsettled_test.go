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
	run := booking{n: 1000, again: true, changes: func(i int, _ *load.Sample, calls []evidence.Exchange) []evidence.Exchange {
		if i < 999 {
			return append(calls, calls[0])
		}
		return calls
	}}.run()
	for i := range run.Links["ledger"].Exchanges { // but none three times, or four
		x := &run.Links["ledger"].Exchanges[i]
		if x.ID >= 250 && x.ID <= 501 && i%2 == 0 {
			x.Status = 409
		}
	}
	run.End = 1500 * ms
	claim := once1
	claim.Exactly = 2
	if v := claim.Judge(run); v.Ruling == Refuted && slices.Contains(v.IDs, 1000) {
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
		run.Partial, run.Stopped, run.End = true, "interrupted", 4*time.Second
		run.Faults[0].Healed = 4 * time.Second
		run.Samples = slices.DeleteFunc(run.Samples, func(s load.Sample) bool { return s.Done > run.End })
		run.Ticks = run.Ticks[:4]
		l := run.Links["ledger"]
		l.Exchanges = slices.DeleteFunc(l.Exchanges, func(x evidence.Exchange) bool { return x.End > run.End })
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

// A saga that was on its way when the run was stopped is not left off halfway.
func TestNoSagaIsHalfDoneInARunThatWasStopped(t *testing.T) {
	run := selling{seed: 1, n: 1000}.play()
	at := 1200*ms + 2500*time.Microsecond // a request has reserved then, and not paid
	run.Partial, run.Stopped, run.End, run.Faults[0].Healed = true, "interrupted", at, at
	run.Samples = slices.DeleteFunc(run.Samples, func(s load.Sample) bool { return s.Done > at })
	for _, l := range run.Links {
		l.Exchanges = slices.DeleteFunc(l.Exchanges, func(x evidence.Exchange) bool { return x.Begin > at })
	}
	if v := (Conserved{Pairs: sagaPairs}).Judge(run); v.Ruling != Inconclusive {
		t.Errorf("%v, %s", v.Ruling, v.Reason)
	}
	twice := *at2(run.Links["bank"], 300)
	twice.Begin, twice.End = twice.Begin+ms, twice.End+ms
	run.Links["bank"].Exchanges = slices.Insert(run.Links["bank"].Exchanges, 300, twice)
	if v := (Conserved{Pairs: sagaPairs}).Judge(run); v.Ruling == Held {
		t.Errorf("%v, %s", v.Ruling, v.Reason)
	}
}

func at2(l *evidence.Link, i int) *evidence.Exchange { return &l.Exchanges[i] }

// What is undone before it is done stays: a refund that overtakes the payment whose answer did not come pays nothing back.
func TestWhatIsUndoneFirstIsNotUndone(t *testing.T) {
	const cut = 501
	for name, c := range map[string]struct {
		change func(do, undo *evidence.Exchange)
		want   Ruling
	}{
		"in turn":       {func(_, _ *evidence.Exchange) {}, Held},
		"undone before": {func(do, undo *evidence.Exchange) { do.Begin, do.End = undo.End+ms, undo.End+2*ms }, Refuted},
		"side by side":  {func(do, undo *evidence.Exchange) { do.End = undo.End + ms }, Inconclusive},
		"and not known": {func(do, undo *evidence.Exchange) {
			do.Begin, do.End, do.Status, do.Ending = undo.End+ms, undo.End+2*ms, 0, evidence.CallerGone
		}, Inconclusive},
		"of nothing": {func(do, undo *evidence.Exchange) { do.Begin, do.End, do.Status = undo.End+ms, undo.End+2*ms, 409 }, Held},
		"answered in vain, and not told until later": {func(do, undo *evidence.Exchange) {
			do.End, do.Status, do.Own, do.Ending = undo.Begin+ms/10, 0, 200, evidence.CallerGone
		}, Held},
		"not answered, and long ago": {func(do, undo *evidence.Exchange) {
			do.Status, do.Ending, undo.Begin, undo.End = 0, evidence.CallerGone, do.End+ms, do.End+2*ms
		}, Held},
		"not answered, and just now": {func(do, undo *evidence.Exchange) {
			do.Status, do.Ending, undo.Begin, undo.End = 0, evidence.CallerGone, do.End+ms/2, do.End+2*ms
		}, Inconclusive},
	} {
		run := selling{seed: 1, n: 1000, planted: cut, change: func(xs [][]*evidence.Exchange) bool { c.change(xs[0][0], xs[0][1]); return true }}.play()
		v := (Conserved{Pairs: sagaPairs}).Judge(run)
		if v.Ruling != c.want || c.want == Refuted && !slices.Equal(v.IDs, []uint64{cut}) {
			t.Errorf("%s: %v by %v, %s; want %v", name, v.Ruling, v.IDs, v.Reason, c.want)
		}
	}
}

// A backlog that is no larger than it was before the outage shows nothing about draining one.
func TestNoBacklogThatWasThereBefore(t *testing.T) {
	run := backlogged{seed: 1, total: 10 * time.Second, headroom: 2}.play()
	burst := 3 * time.Second // the consumer began so late, with as many in its queue
	l := run.Links["ledger"]
	for i := range run.Samples {
		s := &run.Samples[i]
		s.ID += 5000
		for _, at := range []*time.Duration{&s.Intended, &s.Sent, &s.Done} {
			*at += 2 * burst
		}
	}
	for i := range l.Exchanges {
		l.Exchanges[i].ID += 5000
		l.Exchanges[i].Begin, l.Exchanges[i].End = l.Exchanges[i].Begin+2*burst, l.Exchanges[i].End+2*burst
	}
	var before []load.Sample
	var calls []evidence.Exchange
	for i := range 1500 {
		at := time.Duration(i) * 2 * ms
		before = append(before, load.Sample{ID: uint64(i + 1), Intended: at, Sent: at, Done: at + ms, Status: 202})
		calls = append(calls, evidence.Exchange{ID: uint64(i + 1), Begin: burst + time.Duration(i)*ms, End: burst + time.Duration(i)*ms + ms/2, Method: "POST", Path: "/book", Status: 200})
	}
	run.Samples, l.Exchanges = append(before, run.Samples...), append(calls, l.Exchanges...)
	run.Faults[0].Injected, run.Faults[0].Healed = run.Faults[0].Injected+2*burst, run.Faults[0].Healed+2*burst
	run.End, run.Load, run.Audits[0].At = run.End+2*burst, run.Load+2*burst, run.Audits[0].At+2*burst
	for at := run.Ticks[len(run.Ticks)-1].At + time.Second; at <= run.End+time.Second; at += time.Second {
		run.Ticks = append(run.Ticks, evidence.Tick{At: at})
	}
	v := Drains{At: Links{"ledger"}, Route: "order", Within: 500 * ms}.Judge(run) // it took 2 s
	if v.Ruling == Held {
		t.Errorf("%v, %s", v.Ruling, v.Reason)
	}
	t.Log(v.Reason)
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
