package judge

import (
	"slices"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

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
	twice := *exchangeAt(run.Links["bank"], 300)
	twice.Begin, twice.End = twice.Begin+ms, twice.End+ms
	run.Links["bank"].Exchanges = slices.Insert(run.Links["bank"].Exchanges, 300, twice)
	if v := (Conserved{Pairs: sagaPairs}).Judge(run); v.Ruling == Held {
		t.Errorf("%v, %s", v.Ruling, v.Reason)
	}
}

func exchangeAt(l *evidence.Link, i int) *evidence.Exchange { return &l.Exchanges[i] }

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
