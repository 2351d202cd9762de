package judge

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// pods is a model of so many services with a pool of so many connections each to a
// server that takes so many. They are all restarted at 4 s, which takes 500 ms; the
// load lasts for 10 s.
type pods struct {
	seed    uint64
	pods    int
	pool    int
	takes   int
	apart   time.Duration // between the restarts of two; 0 restarts all at once
	idle    time.Duration // after which connections but one are given back; 0 keeps them
	blind   bool          // nothing is read of greetings
	unread  int           // so many greetings cannot be read
	healthy bool          // there is no restart
	noise   time.Duration
}

const (
	podsKilled = 4 * time.Second
	podsBack   = 500 * time.Millisecond
	podsEnd    = 10 * time.Second
)

func (w pods) run() *evidence.Run {
	rng := rand.New(rand.NewPCG(w.seed, 3))
	link := &evidence.Link{Name: "db", From: "pods", To: "postgres"}
	run := &evidence.Run{Links: map[string]*evidence.Link{"db": link}, End: podsEnd}
	for at := time.Second; at <= run.End; at += time.Second {
		run.Ticks = append(run.Ticks, evidence.Tick{At: at, HiccupMax: evidence.Seconds(w.noise)})
	}
	open := []time.Duration{} // ends of the connections that were let in
	fill := func(at, until time.Duration) {
		slices.Sort(open)
		for i := range w.pool {
			begin := at + time.Duration(rng.IntN(int(5*ms)))
			open = slices.DeleteFunc(open, func(end time.Duration) bool { return end <= begin })
			x := evidence.Exchange{Begin: begin, End: until, Extras: &evidence.Extras{BytesDown: 400, Code: evidence.Welcome}}
			if w.idle > 0 && i > 0 {
				x.End = min(until, begin+w.idle)
			}
			if len(open) >= w.takes {
				x.End, x.Extras.Code, x.Extras.BytesDown = begin+2*ms, "53300", 86
			} else {
				open = append(open, x.End)
			}
			if w.blind {
				x.Extras.Code = ""
			}
			link.Exchanges = append(link.Exchanges, x)
		}
	}
	healed := podsKilled
	for p := range w.pods {
		killed := podsKilled + time.Duration(p)*w.apart
		healed = max(healed, killed+podsBack)
		if w.healthy {
			killed = podsEnd
		}
		fill(-time.Duration(w.pods-p)*time.Second, killed)
	}
	if !w.healthy {
		for p := range w.pods {
			fill(podsKilled+time.Duration(p)*w.apart+podsBack-20*ms, podsEnd)
		}
		run.Faults = []evidence.Injection{{Name: "restart", Kind: "restart", On: "pods", Target: true, Share: 1,
			At: evidence.Seconds(podsKilled), Injected: podsKilled + 5*ms, Healed: healed}}
	}
	slices.SortFunc(link.Exchanges, func(a, b evidence.Exchange) int { return int(a.Begin - b.Begin) })
	for i := range link.Exchanges {
		x := &link.Exchanges[i]
		x.Seq, x.Conn = uint64(i+1), uint64(i+1)
		if i < w.unread {
			x.Extras.Code = ""
		}
	}
	return run
}

func none() *int { n := 0; return &n }

// exact is a bound of refusals.
func upTo(n int) *int { return &n }

func TestConnections(t *testing.T) {
	sound := pods{pods: 5, pool: 9, takes: 47} // 45 of 47
	storm := pods{pods: 5, pool: 20, takes: 47, apart: time.Second, idle: 300 * ms}
	tests := []struct {
		name  string
		world pods
		claim Connections
		want  Ruling
		why   string
	}{
		{"within", sound, Connections{AtMost: 45, Refused: none(), SettledWithin: time.Second}, Held, "45 connections open at once at most"},
		{"one more", sound, Connections{AtMost: 44}, Refuted, "45 connections open at once at most"},
		{"keeps all", pods{pods: 5, pool: 20, takes: 47}, Connections{Refused: none()}, Refuted, "106 of 200 connections were refused (53300 106 times)"},
		{"exactly as many", pods{pods: 5, pool: 20, takes: 47}, Connections{Refused: upTo(106)}, Held, ""},
		{"one fewer", pods{pods: 5, pool: 20, takes: 47}, Connections{Refused: upTo(105)}, Refuted, ""},
		{"gives back", storm, Connections{AtMost: 47, Refused: none(), New: 200}, Held, "none of 200 connections was refused"},
		{"all at once", pods{pods: 5, pool: 20, takes: 47, idle: 300 * ms}, Connections{Refused: none()}, Refuted, "53 of 200 connections were refused"},
		{"in a burst", storm, Connections{New: 190}, Refuted, "20 connections were opened in the busiest 100 ms"},
		{"never all up", pods{pods: 5, pool: 20, takes: 47, apart: ms}, Connections{SettledWithin: 20 * time.Second}, Held, ""},
		{"blind", pods{pods: 5, pool: 9, takes: 47, blind: true}, Connections{Refused: none()}, Inconclusive, "give the link greeting:"},
		{"some unread", pods{pods: 5, pool: 9, takes: 47, unread: 3}, Connections{Refused: none()}, Inconclusive, "3 connections whose beginning could not be read"},
		{"refused all the same", pods{pods: 5, pool: 20, takes: 47, unread: 3}, Connections{Refused: none()}, Refuted, ""},
		{"nothing happens", pods{pods: 5, pool: 9, takes: 47, healthy: true}, Connections{SettledWithin: time.Second}, Inconclusive, "add a restart of one of its ends"},
		{"nothing happens to what is counted", pods{pods: 5, pool: 9, takes: 47, healthy: true}, Connections{AtMost: 45, Refused: none()}, Held, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for seed := range uint64(20) {
				test.world.seed, test.claim.Link = seed, Links{"db"}
				v := test.claim.Judge(test.world.run())
				if v.Ruling != test.want || !strings.Contains(v.Reason, test.why) {
					t.Fatalf("seed %d: %v: %s", seed, v.Ruling, v.Reason)
				}
			}
		})
	}
}

// A pool that is not filled again is not settled: it is refuted once the run went on
// for longer than the bound, and open before.
func TestConnectionsThatDoNotComeBack(t *testing.T) {
	run := pods{pods: 5, pool: 9, takes: 47}.run()
	link := run.Links["db"]
	last := slices.IndexFunc(link.Exchanges, func(x evidence.Exchange) bool { return x.Begin > podsKilled })
	link.Exchanges = slices.Delete(link.Exchanges, last, last+1)
	for within, want := range map[time.Duration]Ruling{time.Second: Refuted, 5 * time.Second: Refuted, 6 * time.Second: Inconclusive} {
		v := Connections{Link: Links{"db"}, SettledWithin: within}.Judge(run)
		if v.Ruling != want || want == Refuted && !strings.Contains(v.Reason, "45 were open before, and at most 44 within") {
			t.Errorf("within %v: %v: %s", within, v.Ruling, v.Reason)
		}
	}
	// Nobody comes back at all: what was counted before shows nothing of the storm.
	link.Exchanges = link.Exchanges[:last]
	if v := (Connections{Link: Links{"db"}, AtMost: 45, Refused: none()}).Judge(run); v.Ruling != Inconclusive ||
		!strings.Contains(v.Reason, "nobody opened a connection anew") {
		t.Errorf("%v: %s", v.Ruling, v.Reason)
	}
}

// However the figures are declared, what is false is never held, on a busy host
// neither; and what is true is never refuted.
func TestConnectionsLies(t *testing.T) {
	for seed := range uint64(30) {
		for _, noise := range []time.Duration{0, 20 * ms, 150 * ms} {
			w := pods{seed: seed, pods: 5, pool: 20, takes: 47, idle: 300 * ms, noise: noise}
			if seed%2 == 0 {
				w.apart = time.Second
			}
			run := w.run()
			refused, open := 0, profileOf(run.Links["db"].Exchanges, asSeen.of).top()
			for _, x := range run.Links["db"].Exchanges {
				if x.Refused() {
					refused++
				}
			}
			for _, lie := range []int{-5, -1, 0, 1, 5} {
				check := func(c Connections, truth bool) {
					c.Link = Links{"db"}
					v := c.Judge(run)
					if !truth && v.Ruling == Held || truth && v.Ruling == Refuted {
						t.Errorf("seed %d, noise %v: %v: %v: %s", seed, noise, c, v.Ruling, v.Reason)
					}
				}
				if n := refused + lie; n >= 0 {
					check(Connections{Refused: upTo(n)}, lie >= 0)
				}
				check(Connections{AtMost: open + lie}, lie >= 0)
			}
		}
	}
}

func TestConnectionsPower(t *testing.T) {
	plan := func(faults ...PlannedFault) Plan {
		return Plan{End: 10 * time.Second, LengthKey: "load.duration", Links: map[string]PlannedLink{"db": {From: "pods", To: "postgres"}}, Faults: faults}
	}
	restart := PlannedFault{Injection: evidence.Injection{Kind: "restart", On: "pods", Target: true, Injected: 4 * time.Second, Healed: 5 * time.Second}}
	other := restart
	other.On = "else"
	c := Connections{Link: Links{"db"}, SettledWithin: 3 * time.Second}
	for _, test := range []struct {
		plan  Plan
		claim Connections
		want  string
	}{
		{plan(restart), c, ""},
		{plan(other), c, "no fault ends the connections on db"},
		{plan(), Connections{Link: Links{"db"}, AtMost: 1}, ""},
		{plan(restart), Connections{Link: Links{"db"}, SettledWithin: 6 * time.Second}, "the load ends 5s after the last healing, and the bound is 6s"},
	} {
		found := test.claim.Power(test.plan)
		if len(found) > 1 || (len(found) == 1) != (test.want != "") || len(found) == 1 && !strings.Contains(found[0].Why, test.want) {
			t.Errorf("%v: %+v, want %q", test.claim, found, test.want)
		}
	}
}
