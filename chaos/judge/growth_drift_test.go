package judge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// drifter is a service, on a host, whose times are simulated: 20 ms, and a control of 5,
// each spread by 5%.
// Shares are of what it takes at first, by the minute.
type drifter struct {
	slows       float64 // the service gets slower by
	ends        float64 // minutes after which it does so no more; 0 is never
	warms       float64 // it takes so much more at first, by less and less
	hostFactor  float64 // the host makes all slower by
	hostAdds    float64 // the host adds such a share of the service's time to both
	faultFactor float64 // what a fault, a third of each two minutes, makes of the service; 0 is none
}

func (d drifter) run(seed uint64) *evidence.Run {
	rng := rand.New(rand.NewPCG(seed, 12))
	const length = 20 * time.Minute
	run := &evidence.Run{Name: "x", Seed: seed, Load: length, End: length, Routes: []string{"pay", "echo"}}
	if d.faultFactor > 0 {
		for at := time.Minute; at < length; at += 2 * time.Minute {
			run.Faults = append(run.Faults, evidence.Injection{Index: len(run.Faults), Kind: "latency", On: "bank", Injected: at, Healed: at + 40*time.Second})
		}
	}
	for at, id := time.Duration(0), uint64(1); at < length; at, id = at+100*ms, id+1 {
		t := at.Minutes()
		base := 20.0
		if id%2 == 0 {
			base = 5
		}
		took := base * math.Exp(0.05*rng.NormFloat64()) * (1 + d.hostFactor*t)
		took += 20 * d.hostAdds * t
		if id%2 == 1 {
			slow := t
			if d.ends > 0 {
				slow = min(t, d.ends)
			}
			took *= 1 + d.slows*slow + d.warms*math.Exp(-t/2)
			for _, f := range run.Faults {
				if at >= f.Injected && at < f.Healed {
					took *= d.faultFactor
				}
			}
		}
		s := load.Sample{ID: id, Intended: at, Sent: at, Done: at + time.Duration(took*float64(ms)), Status: 200}
		if id%2 == 0 {
			s.Route = 1
		}
		run.Samples = append(run.Samples, s)
		if id%10 == 0 {
			run.Ticks = append(run.Ticks, evidence.Tick{At: at + 100*ms, Offered: 10, Ended: 10, Cores: 2})
		}
	}
	return run
}

func (d drifter) rulings(share float64, seeds int) (of [Refuted + 1]int, reasons [Refuted + 1]string) {
	p50 := unit.ShareGrowth(share)
	for seed := range seeds {
		run := d.run(uint64(seed))
		run.Brief = seed > 0
		v := Growth{P50: &p50, Route: "pay", Control: "echo"}.Judge(run)
		of[v.Ruling]++
		reasons[v.Ruling] = fmt.Sprintf("seed %d: %s", seed, v.Reason)
	}
	return of, reasons
}

// A service that slows by 1% a minute is refuted in 20 minutes, and never one that does
// not, whatever the host does.
func TestDrift(t *testing.T) {
	const seeds = 3
	for name, c := range map[string]struct {
		d     drifter
		bound float64 // in an hour
		want  Ruling
	}{
		"level":                             {drifter{}, 0.3, Held},
		"1% a minute":                       {drifter{slows: 0.01}, 0.3, Refuted},
		"1% a minute, faults now and then":  {drifter{slows: 0.01, faultFactor: 5}, 0.3, Refuted},
		"level, faults now and then":        {drifter{faultFactor: 5}, 0.4, Held},
		"the host slows all":                {drifter{hostFactor: 0.01}, 0.3, Inconclusive},
		"the host adds to all":              {drifter{hostAdds: 0.01}, 0.3, Inconclusive},
		"the host hides it":                 {drifter{slows: 0.012, hostFactor: -0.01}, 0.3, Inconclusive},
		"it ends":                           {drifter{slows: 0.02, ends: 10}, 0.3, Inconclusive},
		"it warms up":                       {drifter{warms: 1}, 0.3, Held},
		"1% a minute, and as much declared": {drifter{slows: 0.01}, 0.6, Inconclusive},
	} {
		of, reasons := c.d.rulings(c.bound, seeds)
		t.Logf("%-34s held %d, inconclusive %d, refuted %d: %s", name, of[Held], of[Inconclusive], of[Refuted], reasons[c.want])
		if of[c.want] != seeds {
			t.Errorf("%s: held %d, inconclusive %d, refuted %d, want all %v: %s", name, of[Held], of[Inconclusive], of[Refuted], c.want, reasons)
		}
	}
}

// What is declared too low of a drift is never held, and what is enough never refuted.
func TestLiesAboutDrift(t *testing.T) {
	for _, d := range []drifter{{slows: 0.01}, {slows: 0.05}, {slows: 0.01, hostFactor: 0.005}, {slows: 0.02, hostAdds: -0.002}} {
		truth := 60 * d.slows / (1 + 5*d.slows) // of what it takes behind the first quarter
		for _, by := range []float64{0.1, 0.5, 0.8, 0.9, 1.1, 1.25, 2} {
			of, reasons := d.rulings(by*truth, 2)
			if by < 1 && of[Held] > 0 || by > 1 && of[Refuted] > 0 {
				t.Errorf("%+v: %v times what it is: held %d, refuted %d: %s", d, by, of[Held], of[Refuted], reasons)
			}
		}
	}
}
