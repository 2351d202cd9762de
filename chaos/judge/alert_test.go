package judge

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// alerted is a run with a fault from 2 s to 4 s, of 8 s, in which an alert fired and was
// resolved at such times; 0 is never. Another one fires all the time.
func alerted(seed uint64, fired, resolved time.Duration) *evidence.Run {
	run := failing(seed).play()
	run.Alerts = []evidence.Alert{{At: ms, Name: "Watchdog", Instance: "w", Firing: true}}
	if fired > 0 {
		run.Alerts = append(run.Alerts, evidence.Alert{At: fired, Name: "Down", Instance: "d", Firing: true})
	}
	if resolved > 0 {
		run.Alerts = append(run.Alerts, evidence.Alert{At: resolved, Name: "Down", Instance: "d"})
	}
	return run
}

func TestAlert(t *testing.T) {
	s := time.Second
	both := Alert{FiresWithin: s, ResolvesWithin: 2 * s}
	for _, c := range []struct {
		name   string
		claim  Alert
		run    *evidence.Run
		want   Ruling
		reason string
	}{
		{"in time", both, alerted(1, 2500*ms, 4800*ms), Held, "fired 500 ms after the fault"},
		{"by its name", Alert{Alertname: "Down", FiresWithin: s}, alerted(1, 2500*ms, 4800*ms), Held, "fired 500 ms"},
		{"of another name", Alert{Alertname: "Up", FiresWithin: s}, alerted(1, 2500*ms, 4800*ms), Refuted, "no alert fired"},
		{"on another link", Alert{On: "bank", FiresWithin: s}, alerted(1, 2500*ms, 4800*ms), Inconclusive, "no fault was in force on bank"},
		{"late", Alert{FiresWithin: s}, alerted(1, 3500*ms, 4800*ms), Refuted, "fired 1.5 s after"},
		{"late, and healed before", Alert{FiresWithin: 2500 * ms}, alerted(1, 4900*ms, 5500*ms), Inconclusive, "a fault that lasts for clearly more"},
		{"after the healing, in time", Alert{FiresWithin: 2500 * ms}, alerted(1, 4200*ms, 5500*ms), Held, "fired 2.2 s after"},
		{"never", Alert{FiresWithin: s}, alerted(1, 0, 0), Refuted, "no alert fired"},
		{"never, of a fault that was too short", Alert{FiresWithin: 3 * s}, alerted(1, 0, 0), Inconclusive, "no alert fired"},
		{"resolved late", Alert{ResolvesWithin: 2 * s}, alerted(1, 2500*ms, 7*s), Refuted, "resolved 3.0 s after the healing"},
		{"never resolved", Alert{ResolvesWithin: 2 * s}, alerted(1, 2500*ms, 0), Refuted, "firing still"},
		{"never resolved, in too short a time", Alert{ResolvesWithin: 5 * s}, alerted(1, 2500*ms, 0), Inconclusive, "firing still"},
		{"resolved before the healing", Alert{ResolvesWithin: 2 * s}, alerted(1, 2500*ms, 3*s), Inconclusive, "nothing was there to resolve"},
		{"nothing to resolve", Alert{ResolvesWithin: 2 * s}, alerted(1, 0, 0), Inconclusive, "nothing was there to resolve"},
		{"fires already", Alert{Alertname: "Down", FiresWithin: s}, alerted(1, 1500*ms, 4800*ms), Inconclusive, "was firing already"},
		{"fires all the time", Alert{Alertname: "Watchdog", FiresWithin: s, ResolvesWithin: s}, alerted(1, 0, 0), Inconclusive, "was firing already"},
	} {
		if v := c.claim.Judge(c.run); v.Ruling != c.want || !strings.Contains(v.Reason, c.reason) {
			t.Errorf("%s: %s: %s\nwant %s: %q", c.name, v.Ruling, v.Reason, c.want, c.reason)
		}
	}
	deaf := alerted(1, 0, 0)
	deaf.Alerts = nil
	if v := both.Judge(deaf); v.Ruling != Inconclusive || !strings.Contains(v.Reason, "nothing was heard") || len(v.Parts) != 2 {
		t.Errorf("nothing heard: %s: %s", v.Ruling, v.Reason)
	}
	calm := alerted(1, 2500*ms, 4800*ms)
	calm.Faults = nil
	if v := both.Judge(calm); v.Ruling != Inconclusive {
		t.Errorf("no fault: %s: %s", v.Ruling, v.Reason)
	}
}

// Whatever is declared of when an alert fires and resolves, what is false by more than
// the noise is never held, and what is true never refuted.
func TestAlertLies(t *testing.T) {
	run := alerted(1, 2500*ms, 4800*ms)
	fires, resolves := 500*ms, 800*ms
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		f := time.Duration(float64(fires) * (0.5 + 1.5*rng.Float64()))
		r := time.Duration(float64(resolves) * (0.5 + 1.5*rng.Float64()))
		v := Alert{FiresWithin: f, ResolvesWithin: r}.Judge(run)
		lie := f < fires || r < resolves
		if lie && v.Ruling == Held || !lie && v.Ruling == Refuted {
			t.Fatalf("fires within %s (it took %s), resolves within %s (%s): %s: %s", f, fires, r, resolves, v.Ruling, v.Reason)
		}
	}
	held := Alert{FiresWithin: 600 * ms, ResolvesWithin: time.Second}.Judge(run)
	if held.Ruling != Held {
		t.Errorf("what is true is %s: %s", held.Ruling, held.Reason)
	}
	for seed := uint64(1); seed <= 20; seed++ { // many alerts that fire and resolve, one of which stays: it is found
		run := alerted(seed, 2500*ms, 0)
		for i := range 1000 {
			name := "Other"
			run.Alerts = append(run.Alerts, evidence.Alert{At: 3 * time.Second, Name: name, Instance: string(rune('a' + i)), Firing: true},
				evidence.Alert{At: 4500 * ms, Name: name, Instance: string(rune('a' + i))})
		}
		if v := (Alert{ResolvesWithin: time.Second}).Judge(run); v.Ruling != Refuted {
			t.Errorf("seed %d: one of 1,001 is not resolved: %s: %s", seed, v.Ruling, v.Reason)
		}
	}
}
