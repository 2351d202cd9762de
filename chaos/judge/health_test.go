package judge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// balanced is a run of 20 s in which 300 requests a second go in turn over the links a, b and c, which lead
// to instances that all call db over the link data. The instance a is lost from 3 s to 9 s, and data from 13 s to
// 16 s. Health checks go over all links every 100 ms.
type balanced struct {
	out    time.Duration // after so long a is called no more; the others have its part
	leaks  int           // of a hundred of its calls so many reach it nevertheless
	back   time.Duration // so long after the healing it is called again
	deep   bool          // while data is lost the health checks of all fail, and none is called
	kept   int           // while data is lost so many are called; 0 is all
	kind   string        // of the fault on a; "" is errors
	beside bool          // b is lost together with a
}

func (b balanced) run() *evidence.Run {
	run := &evidence.Run{Routes: []string{"read"}, Links: map[string]*evidence.Link{}, End: 20 * time.Second}
	for _, name := range []string{"a", "b", "c"} {
		run.Links[name] = &evidence.Link{Name: name, From: "lb", To: "api" + name}
	}
	run.Links["data"] = &evidence.Link{Name: "data", From: "apia", To: "db"}
	kind := b.kind
	if kind == "" {
		kind = "errors"
	}
	run.Faults = []evidence.Injection{
		{Index: 0, Name: "a is lost", Kind: kind, Statuses: []int{503}, On: "a", Injected: 3 * time.Second, Healed: 9 * time.Second},
		{Index: 1, Name: "data is lost", Kind: "hang", On: "data", Injected: 13 * time.Second, Healed: 16 * time.Second},
	}
	if b.beside {
		run.Faults = append(run.Faults, evidence.Injection{Index: 2, Name: "b is lost", Kind: "errors", Statuses: []int{503}, On: "b", Injected: 5 * time.Second, Healed: 6 * time.Second})
	}
	for at := time.Second; at <= run.End; at += time.Second {
		run.Ticks = append(run.Ticks, evidence.Tick{At: at})
	}
	call := func(name string, id uint64, at time.Duration) {
		x := evidence.Exchange{ID: id, Begin: at, End: at + ms, Status: 200}
		for _, f := range run.Faults {
			if f.On == name && f.Active(at, at) {
				x.Faults |= 1 << f.Index
			}
		}
		run.Links[name].Exchanges = append(run.Links[name].Exchanges, x)
	}
	names := []string{"a", "b", "c"}
	for n := range 6000 {
		at := time.Duration(n) * run.End / 6000
		s := load.Sample{ID: uint64(n + 1), Intended: at, Sent: at, Done: at + 3*ms, Status: 200}
		run.Samples = append(run.Samples, s)
		to := n % 3
		if away := at >= 3*time.Second+b.out && at < 9*time.Second+b.back; away && to == 0 && n%300/3 >= b.leaks {
			to = 1 + n/3%2
		}
		lost := at >= 13*time.Second && at < 16*time.Second
		if lost && b.kept > 0 {
			to = 3 - b.kept + n%b.kept
		}
		if lost && b.deep {
			continue
		}
		call(names[to], s.ID, at+ms)
	}
	for at := time.Duration(0); at < run.End; at += 100 * ms {
		for _, name := range names {
			call(name, 0, at)
		}
	}
	for _, l := range run.Links {
		slices.SortStableFunc(l.Exchanges, func(a, b evidence.Exchange) int { return int(a.Begin - b.Begin) })
	}
	return run
}

func TestHealth(t *testing.T) {
	links := Links{"a", "b", "c"}
	sound := balanced{out: 1500 * ms, back: 2 * time.Second}
	claim := Health{Links: links, OutWithin: 2 * time.Second, BackWithin: 2500 * ms, Keeps: 2}
	change := func(b balanced, f func(*balanced)) balanced { f(&b); return b }
	for _, c := range []struct {
		name  string
		run   balanced
		claim Health
		want  Ruling
		says  string
	}{
		{"out and back", sound, claim, Held, `"a" was lost at 3.0 s and called for the last time after 1.4`},
		{"one that is never out", change(sound, func(b *balanced) { b.out = 20 * time.Second }), claim, Refuted, "called for the last time after at least 5.9"},
		{"a call in a hundred goes on", change(sound, func(b *balanced) { b.leaks = 1 }), claim, Refuted, "called for the last time after 4.9"},
		{"one that does not come back", change(sound, func(b *balanced) { b.back = 20 * time.Second }), claim, Refuted, "not called again in"},
		{"one that comes back late", change(sound, func(b *balanced) { b.back = 3 * time.Second }), claim, Refuted, "called again after 2.9"},
		{"all are out with what they share", change(sound, func(b *balanced) { b.deep = true }), claim, Refuted, "0 of 3 instances were called in each second at least"},
		{"all but one are out with what they share", change(sound, func(b *balanced) { b.kept = 1 }), claim, Refuted, "1 of 3 instances were called"},
		{"two are kept", change(sound, func(b *balanced) { b.kept = 2 }), claim, Held, "2 of 3 instances"},
		{"three are to be kept", sound, Health{Links: links, Keeps: 3}, Refuted, "2 of 3"},
		{"refused calls are not seen", change(sound, func(b *balanced) { b.kind = "down" }), Health{Links: links, OutWithin: 2 * time.Second}, Inconclusive, "leave no record"},
		{"two are lost at once", change(sound, func(b *balanced) { b.beside = true }), Health{Links: links, OutWithin: 2 * time.Second}, Inconclusive, "another instance was lost meanwhile"},
	} {
		v := c.claim.Judge(c.run.run())
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", c.name, v.Ruling, v.Reason, c.want, c.says)
		}
	}
}

func TestHealthIsNotHeldByALie(t *testing.T) {
	links := Links{"a", "b", "c"}
	run := balanced{out: 2 * time.Second, back: 2 * time.Second}.run()
	for _, step := range []float64{0.5, 0.8, 0.9, 0.99, 1.01, 1.1, 1.25, 2} {
		within := time.Duration(step * float64(2*time.Second))
		for name, claim := range map[string]Health{"out_within": {Links: links, OutWithin: within}, "back_within": {Links: links, BackWithin: within}} {
			if v := claim.Judge(run); (v.Ruling == Held) != (step > 1) {
				t.Errorf("%s x %v: %v: %s", name, step, v.Ruling, v.Reason)
			}
		}
	}
	for keeps := 1; keeps <= 3; keeps++ {
		if v := (Health{Links: links, Keeps: keeps}).Judge(run); (v.Ruling == Held) != (keeps <= 2) {
			t.Errorf("keeps %d of 2: %v: %s", keeps, v.Ruling, v.Reason)
		}
	}
}

// Without ids, calls cannot be told from health checks.
func TestHealthTakesIDs(t *testing.T) {
	run := balanced{out: time.Second, back: time.Second}.run()
	for _, l := range run.Links {
		for i := range l.Exchanges {
			l.Exchanges[i].ID = 0
		}
	}
	if v := (Health{Links: Links{"a", "b", "c"}, OutWithin: 2 * time.Second}).Judge(run); v.Ruling != Inconclusive || !strings.Contains(v.Reason, "X-Request-Id") {
		t.Errorf("%v: %s", v.Ruling, v.Reason)
	}
}
