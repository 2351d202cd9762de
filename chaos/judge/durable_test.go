package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// orders is a run in which an order is written every 2 ms for 4 s, while its database
// dies at 2 s: 20 orders then are not acknowledged, half of which are there all the same.
func orders() (*evidence.Run, *evidence.Audit) {
	run := dataRun(4 * time.Second)
	run.Routes = []string{"order"}
	run.Access = []evidence.Access{{Route: "order", To: "shop", Data: "order", Writes: true, NotDone: []int{429}}}
	run.Faults[0] = evidence.Injection{Name: "kill of db", Kind: "kill", On: "db", Target: true, Injected: 2 * time.Second, Healed: 2200 * ms,
		Effects: &evidence.Effects{}}
	audit := evidence.Audit{Name: "orders", At: 5 * time.Second, Status: 200, Whole: true}
	for n := range 2000 {
		at := time.Duration(n) * 2 * ms
		s := load.Sample{ID: uint64(n + 1), Intended: at, Sent: at, Done: at + ms, Status: 200}
		if n >= 1000 && n < 1020 {
			s.Status, s.Outcome = 503, load.ServerError
		}
		if s.Outcome == load.OK || n%2 == 0 {
			audit.IDs = append(audit.IDs, s.ID)
		}
		run.Samples = append(run.Samples, s)
	}
	run.Audits = []evidence.Audit{audit}
	return run, &run.Audits[0]
}

func TestDurable(t *testing.T) {
	claim := Durable{Writes: "order", In: "orders"}
	without := func(a *evidence.Audit, id uint64) {
		for i := range a.IDs {
			if a.IDs[i] == id {
				a.IDs = append(a.IDs[:i], a.IDs[i+1:]...)
				return
			}
		}
	}
	for name, c := range map[string]struct {
		change func(run *evidence.Run, a *evidence.Audit)
		want   Ruling
		says   string
	}{
		"sound":    {func(*evidence.Run, *evidence.Audit) {}, Held, "0 of 1980 acknowledged writes are lost, none of 500 that were at risk: the true share of those is at most 0.6%"},
		"in doubt": {func(*evidence.Run, *evidence.Audit) {}, Held, "of 20 writes that were not acknowledged, 10 are there all the same"},
		"one is lost": {func(_ *evidence.Run, a *evidence.Audit) { without(a, 990) }, Refuted,
			"1 of 1980 acknowledged writes are lost, 1 of them of the 500 at risk"},
		"one is lost that was not at risk": {func(_ *evidence.Run, a *evidence.Audit) { without(a, 7) }, Refuted, "0 of them of the 500 at risk"},
		"one twice":                        {func(_ *evidence.Run, a *evidence.Audit) { a.IDs = append(a.IDs, 7) }, Held, ""},
		"one that nobody wrote":            {func(_ *evidence.Run, a *evidence.Audit) { a.IDs = append(a.IDs, 5000) }, Refuted, "1 that nobody wrote"},
		"one that was refused": {func(run *evidence.Run, a *evidence.Audit) {
			run.Samples[1000].Status, run.Samples[1000].Outcome = 429, load.ClientError
		},
			Refuted, "or that were refused"},
		"what an earlier run left": {func(_ *evidence.Run, a *evidence.Audit) { a.IDs = append(a.IDs, load.ForeignValue) }, Held, "1 entry of the audit are not of this run"},
		"no crash":                 {func(run *evidence.Run, _ *evidence.Audit) { run.Faults = nil }, Inconclusive, "add a kill"},
		"a fault of a link":        {func(run *evidence.Run, _ *evidence.Audit) { run.Faults[0].Target = false }, Inconclusive, "add a kill"},
		"a crash that did not come": {func(run *evidence.Run, _ *evidence.Audit) { run.Faults[0].Injected = -1 }, Inconclusive,
			"add a kill"},
		"too little at risk": {func(run *evidence.Run, a *evidence.Audit) { run.Faults[0].Injected = 100 * ms }, Inconclusive,
			"only 55 writes were acknowledged within 1.0 s before a crash"},
		"one may yet come": {func(_ *evidence.Run, a *evidence.Audit) { without(a, 990); a.Moved = "1 new" }, Inconclusive, "let load.settle be longer"},
		"one that nobody wrote, and more to come": {func(_ *evidence.Run, a *evidence.Audit) { a.IDs, a.Moved = append(a.IDs, 5000), "1 new" },
			Refuted, "1 that nobody wrote"},
		"no audit":      {func(run *evidence.Run, _ *evidence.Audit) { run.Audits = nil }, Inconclusive, "was not asked"},
		"a torn audit":  {func(_ *evidence.Run, a *evidence.Audit) { a.Whole, a.Why, a.IDs = false, "the answer broke off", nil }, Inconclusive, "the answer broke off"},
		"while it runs": {func(_ *evidence.Run, a *evidence.Audit) { a.During = true }, Inconclusive, "was not asked"},
	} {
		run, audit := orders()
		c.change(run, audit)
		if v := claim.Judge(run); v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", name, v.Ruling, v.Reason, c.want, c.says)
		}
	}
}

// An audit that finds entries, and none of them a request of this run, looks elsewhere than
// the ids are: nothing is known to be lost.
func TestAuditOfSomethingElseLosesNothing(t *testing.T) {
	run := dataRun(4 * time.Second)
	run.Faults[0].Kind, run.Faults[0].Target, run.Faults[0].On = "kill", true, "shop"
	a := evidence.Audit{Name: "prices", To: "shop", At: run.End, Whole: true}
	for id := range uint64(2000) {
		at := time.Duration(id) * 2 * ms
		run.Samples = append(run.Samples, load.Sample{ID: id + 1, Intended: at, Sent: at, Done: at + ms, Status: 200})
		run.Values = append(run.Values, evidence.Value{ID: id + 1, Key: 1, Value: id + 1})
		a.IDs = append(a.IDs, load.ForeignValue)
	}
	run.Audits = []evidence.Audit{a}
	claim := Durable{Writes: "price", In: "prices"}
	if v := claim.Judge(run); v.Ruling != Inconclusive || !strings.Contains(v.Reason, "none of 2000 entries of audit prices is an id of this run") {
		t.Errorf("%v: %s", v.Ruling, v.Reason)
	}
	run.Audits[0].IDs = nil
	if v := claim.Judge(run); v.Ruling != Refuted {
		t.Errorf("an audit that finds nothing: %v: %s", v.Ruling, v.Reason)
	}
}
