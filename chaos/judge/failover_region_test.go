package judge

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// twoRegions is a model of callers in eu and us, 6 of 10 and 4 of 10, and of an edge that
// sends those of eu to us once eu is lost, from 3 s to 9 s. It shares no code with the
// judge: what fails is drawn here, and counted there.
type twoRegions struct {
	seed   uint64
	rate   int           // requests a second; 0 is 300
	after  time.Duration // that callers from eu are served again
	never  bool          // they are not, until eu is back
	loses  float64       // of those that are sent elsewhere
	up     time.Duration // so long after they are served they are lost again,
	down   time.Duration // for so long, again and again; 0 is never
	harm   float64       // of the requests from us that fail while eu is lost
	slower time.Duration // that requests from us take longer then
	usual  float64       // of all requests that fail at any time
	unsent float64       // of all requests that are not sent while eu is lost
	twice  bool          // eu is lost once more, from 11 s to 15 s
	missed bool          // nothing went over the links of eu while they were cut off
	stall  bool          // the host stands still for 300 ms at 6 s, and what is under way fails
}

func (m twoRegions) run() *evidence.Run {
	rng := rand.New(rand.NewPCG(m.seed, 5))
	run := &evidence.Run{Name: "regions", Seed: m.seed, End: 12 * time.Second, Routes: []string{"buy@eu", "buy@us"}}
	lost := func(i int, from, to time.Duration) evidence.Injection {
		return evidence.Injection{Index: i, Name: "loss of region eu", Kind: "region_loss", On: "region eu", Target: true,
			Others: []string{"shop-eu"}, Links: []string{"eu"}, Injected: from, Healed: to, Effects: &evidence.Effects{Holds: true}}
	}
	run.Faults = []evidence.Injection{lost(0, 3*time.Second, 9*time.Second)}
	if m.twice {
		run.End, run.Faults = 18*time.Second, append(run.Faults, lost(1, 11*time.Second, 15*time.Second))
	}
	for i := range run.Faults {
		if !m.missed {
			run.Faults[i].Hit = 40
		}
	}
	run.Load = run.End
	for at := time.Second; at <= run.End+time.Second; at += time.Second {
		tick := evidence.Tick{At: at}
		if m.stall && at == 7*time.Second {
			tick.HiccupMax = evidence.Seconds(300 * ms)
		}
		run.Ticks = append(run.Ticks, tick)
	}
	if m.rate == 0 {
		m.rate = 300
	}
	gap := time.Second / time.Duration(m.rate)
	for i := range int(run.End / gap) {
		at := time.Duration(i) * gap
		s := load.Sample{ID: uint64(i + 1), Intended: at, Sent: at, Done: at + ms + time.Duration(rng.ExpFloat64()*float64(ms/4)), Status: 200}
		if i%5 == 1 || i%5 == 3 {
			s.Route = 1
		}
		if m.fails(run, &s, rng) {
			s.Status, s.Outcome, s.Done = 504, load.ServerError, at+400*ms
		}
		if m.stall && at >= 6*time.Second && at < 6300*ms {
			s.Status, s.Outcome, s.Done = 504, load.ServerError, 6350*ms
		}
		if m.unsent > 0 && at >= run.Faults[0].Injected && at < run.Faults[0].Healed && rng.Float64() < m.unsent {
			s.Status, s.Outcome, s.Sent, s.Done = 0, load.Unsent, 0, at+ms
		}
		run.Samples = append(run.Samples, s)
	}
	return run
}

// fails says what becomes of a request, and makes it slower.
func (m twoRegions) fails(run *evidence.Run, s *load.Sample, rng *rand.Rand) bool {
	if rng.Float64() < m.usual {
		return true
	}
	for _, x := range run.Faults {
		switch since := s.Intended - x.Injected; {
		case since < 0 || s.Intended >= x.Healed:
		case s.Route == 1:
			s.Done += m.slower
			return rng.Float64() < m.harm
		case m.never || since < m.after:
			return true
		case m.down > 0 && (since-m.after)%(m.up+m.down) >= m.up:
			return true
		default:
			return rng.Float64() < m.loses
		}
	}
	return false
}

func ofEU(within time.Duration, success float64) Failover {
	return Failover{Region: "eu", Within: within, Success: unit.Share(success), OtherRegions: "unaffected"}
}

func TestRegionalFailover(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name  string
		run   twoRegions
		claim Failover
		want  Ruling
		says  string
	}{
		{"sound", twoRegions{after: s}, ofEU(2*s, 0.99), Held, "callers from eu were served again 1.01 s after the loss"},
		{"unnoticed", twoRegions{}, ofEU(100*ms, 0.99), Held, "callers from eu were served all along"},
		{"nothing is lost that is used", twoRegions{missed: true}, ofEU(100*ms, 0.99), Inconclusive, "it was not put to the test"},
		{"no call was cut off, and callers noticed", twoRegions{after: s, missed: true}, ofEU(2*s, 0.99), Held, ""},
		{"sound, and fails now and then", twoRegions{after: s, usual: 0.002}, Failover{Region: "eu", Within: 2 * s, Success: 0.98}, Held, ""},
		{"sound twice", twoRegions{after: s, twice: true}, ofEU(2*s, 0.99), Held, "of 2 losses"},
		{"slow", twoRegions{after: 3 * s}, ofEU(2*s, 0.99), Refuted, "served again 3.01 s after the loss"},
		{"never", twoRegions{never: true}, ofEU(2*s, 0.99), Refuted, "were not served again in the 6.0 s"},
		{"never, and time enough is claimed", twoRegions{never: true}, ofEU(7*s, 0.99), Inconclusive, "it cannot be told"},
		{"lossy", twoRegions{after: s, loses: 0.05}, ofEU(2*s, 0.99), Refuted, "requests from eu succeeded once they were served again"},
		{"half of it is lost", twoRegions{after: s, loses: 0.5}, ofEU(2*s, 0.99), Refuted, "were not served again"},
		{"flapping", twoRegions{after: s, up: 1500 * ms, down: s}, ofEU(2*s, 0.5), Refuted,
			"lost again 2 times while the region was, the first time"},
		{"flapping once", twoRegions{after: s, up: 3500 * ms, down: 700 * ms}, ofEU(2*s, 0.5), Refuted, "lost again once"},
		{"others fail", twoRegions{after: s, harm: 0.05}, ofEU(2*s, 0.99), Refuted, "callers from us were affected: "},
		{"others wait", twoRegions{after: s, slower: 300 * ms}, ofEU(2*s, 0.99), Refuted, "the p99 of callers from us went from"},
		{"others wait a little", twoRegions{after: s, slower: 20 * ms}, ofEU(2*s, 0.99), Held, ""},
		{"others fail, of which nothing is claimed", twoRegions{after: s, harm: 0.5}, Failover{Region: "eu", Within: 2 * s}, Held, ""},
		{"of one route", twoRegions{after: s}, Failover{Region: "eu", Routes: []string{"buy"}, Within: 2 * s}, Held, ""},
		{"of a route that is not there", twoRegions{after: s}, Failover{Region: "eu", Routes: []string{"sell"}, Within: 2 * s}, Inconclusive,
			"no request of sell"},
		{"of another region", twoRegions{after: s}, Failover{Region: "us", Within: 2 * s}, Inconclusive,
			"no fault was in force that takes region us away"},
		{"too few callers", twoRegions{after: s, rate: 5}, Failover{Region: "eu", Within: 2 * s}, Inconclusive, "offer more"},
		{"never sent", twoRegions{after: s, unsent: 0.5}, ofEU(2*s, 0.99), Inconclusive, ""},
	} {
		v := c.claim.Judge(c.run.run())
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", c.name, v.Ruling, v.Reason, c.want, c.says)
		}
		if len(v.Exhibits) > 0 {
			wellFormed(t, c.name, v, v.Exhibits[0])
		} else if c.want != Inconclusive {
			t.Errorf("%s: nothing is shown", c.name)
		}
	}
}

// Ten seeds of each kind: what is sound is held, the others are refuted, and each by the
// part that is about it.
func TestRegionalFailoverByPart(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name string
		run  twoRegions
		part string
		want Ruling
	}{
		{"sound", twoRegions{after: s, usual: 0.0001}, "", Held},
		{"slow", twoRegions{after: 2500 * ms}, "within", Refuted},
		{"lossy", twoRegions{after: s, loses: 0.05}, "success", Refuted},
		{"flapping", twoRegions{after: s, up: 1500 * ms, down: s}, "stays", Refuted},
		{"harmful", twoRegions{after: s, harm: 0.06}, "other_regions", Refuted},
		{"slow for others", twoRegions{after: s, slower: 250 * ms}, "latency", Refuted},
	} {
		for seed := range uint64(10) {
			c.run.seed = seed
			v := ofEU(2*s, 0.99).Judge(c.run.run())
			shown := c.part == ""
			for _, p := range v.Parts {
				shown = shown || p.Name == c.part && p.Ruling == Refuted && (len(p.IDs) > 0)
			}
			if v.Ruling != c.want || !shown {
				t.Errorf("%s, seed %d: %v, want %v by %q: %s", c.name, seed, v.Ruling, c.want, c.part, v.Reason)
			}
		}
	}
}

// A number that is declared false, by a little or by much, is never held; and one that is
// true never refuted, also while the host stands still for a moment.
func TestRegionalFailoverIsNotHeldByALie(t *testing.T) {
	for _, after := range []time.Duration{200 * ms, time.Second, 3 * time.Second} {
		for _, factor := range []float64{0.5, 0.8, 0.9, 0.97, 1.03, 1.1, 1.5, 2} {
			for _, stall := range []bool{false, true} {
				claim := Failover{Region: "eu", Within: time.Duration(factor * float64(after))}
				v := claim.Judge(twoRegions{seed: 3, after: after, stall: stall}.run())
				if v.Ruling == Held && factor < 1 || v.Ruling == Refuted && factor > 1 {
					t.Errorf("after %v, %v claimed, a stall %v: %v, %s", after, claim.Within, stall, v.Ruling, v.Reason)
				}
			}
		}
	}
	for _, loses := range []float64{0, 0.01, 0.03, 0.08} {
		for _, off := range []float64{0.5, 0.9, 0.99, 1, 1.005, 1.02, 1.05} {
			share := min(off*(1-loses), 1)
			m := twoRegions{seed: 4, after: time.Second, loses: loses}
			run := m.run()
			ok, n := 0, 0
			for _, s := range run.Samples {
				if s.Route == 0 && s.Intended >= 4*time.Second && s.Intended < 9*time.Second {
					if n++; s.Outcome == load.OK {
						ok++
					}
				}
			}
			v := Failover{Region: "eu", Within: 2 * time.Second, Success: unit.Share(share)}.Judge(run)
			if is := float64(ok) / float64(n); v.Ruling == Held && share > is+1e-9 || v.Ruling == Refuted && share < is-1e-9 {
				t.Errorf("%v lost, %d of %d succeeded, %v claimed: %v, %s", loses, ok, n, share, v.Ruling, v.Reason)
			}
		}
	}
}

// A single loss among many requests is one that all of them succeed would hide.
func TestOneLossIsNoFullSuccess(t *testing.T) {
	run := twoRegions{after: time.Second, rate: 10_000}.run()
	claim := Failover{Region: "eu", Within: 2 * time.Second, Success: 1}
	if v := claim.Judge(run); v.Ruling != Held {
		t.Errorf("none lost: %v, %s", v.Ruling, v.Reason)
	}
	for i := range run.Samples {
		if s := &run.Samples[i]; s.Route == 0 && s.Intended > 6*time.Second {
			s.Status, s.Outcome = 503, load.ServerError
			break
		}
	}
	if v := claim.Judge(run); v.Ruling == Held {
		t.Errorf("one lost: %v, %s", v.Ruling, v.Reason)
	}
}

func TestPowerOfRegionalFailover(t *testing.T) {
	const s = time.Second
	plan := func(rate float64, end, lasts time.Duration, share float64) Plan {
		loss := evidence.Injection{Kind: "region_loss", On: "region eu", Injected: 3 * s, Healed: 3*s + lasts}
		p := planOf(rate, end, PlannedFault{Injection: loss})
		p.Routes = []PlannedRoute{{Name: "buy@eu", Share: share}, {Name: "buy@us", Share: 1 - share}}
		return p
	}
	for _, c := range []struct {
		name  string
		claim Failover
		plan  Plan
		want  string
	}{
		{"decided", ofEU(3*s, 0.99), plan(300, 12*s, 6*s, 0.6), ""},
		{"lost for as long as is claimed", ofEU(6*s, 0), plan(300, 12*s, 6*s, 0.6), "within (chaos[0].for)"},
		{"the other region is lost", Failover{Region: "us", Within: s}, plan(300, 12*s, 6*s, 0.6), " (chaos)"},
		{"few callers from it", Failover{Region: "eu", Within: s}, plan(300, 12*s, 6*s, 0.05), "within (load.rate)"},
		// 0.99 takes 381 requests of which none fails, and a fifth more to be sure to have them: 458.
		{"452 to show its success by", Failover{Region: "eu", Within: 3 * s, Success: 0.99}, plan(251, 12*s, 6*s, 0.6), "success (chaos[0].for)"},
		{"459", Failover{Region: "eu", Within: 3 * s, Success: 0.99}, plan(255, 12*s, 6*s, 0.6), ""},
		{"456 of the others", ofEU(s, 0), plan(190, 12*s, 6*s, 0.6), "other_regions (chaos[0].for)"},
		{"459 of the others", ofEU(s, 0), plan(191.5, 12*s, 6*s, 0.6), ""},
		{"no others", ofEU(s, 0), func() Plan { p := plan(300, 12*s, 6*s, 1); p.Routes = p.Routes[:1]; return p }(), "other_regions (load.from)"},
	} {
		got := ""
		for _, weak := range c.claim.Power(c.plan) {
			got += fmt.Sprintf("%s (%s)", weak.Part, weak.Key)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
