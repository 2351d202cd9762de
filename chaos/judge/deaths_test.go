package judge

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// sounds are runs of each kind of claim, sound and held on a quiet host.
func sounds() map[string]struct {
	run   *evidence.Run
	claim Claim
} {
	type sounding = struct {
		run   *evidence.Run
		claim Claim
	}
	full := bulkheadRun(func(*simulation) {}, nil)(1, false)
	retries := retrying()
	retries.seed = 1
	waits := backingOff()
	waits.seed = 1
	return map[string]sounding{
		"steady":   {full, Steady{Success: 0.9, P99: time.Second}},
		"limit":    {full, Bulkhead{Link: "payments", Route: "pay", Limit: 20}},
		"bulkhead": {full, Bulkhead{Link: "payments", Route: "pay", Limit: 20, Unaffected: []string{"browse"}, Slowdown: 3, RejectsWithin: 100 * ms, FreedWithin: time.Second}},
		"timeout":  {hung(1).play(), Timeout{Link: "payments", Route: "pay", Within: 500 * ms}},
		"recovery": {failing(1).play(), Recovery{Route: "pay", Within: 2 * time.Second}},
		"breaker":  {sound(1).play(), protects},
		"retry":    {retries.run(), retryClaim()},
		"backoff":  {waits.run(), Backoff{Link: "payments", Route: "pay", Base: 100 * ms, Jitter: 0.5}},
		"fanout":   {chatty{fixed: 6, abreast: 3}.run(), Fanout{Route: "page10", Calls: 6, Depth: 2}},
		"stands":   {degrading{lost: falls, faults: lossFaults()}.run(), Stands{Without: "payments", Routes: []string{"pay"}}},
		"effects":  {booking{n: 4000}.run(), once1},
		"shed": {counter{queue: 20, rejects: 2 * ms, status: 503, sparing: true}.run(),
			Shed{Route: "buy", Capacity: 200, P99: time.Second, RejectsWithin: time.Second, Spares: []string{"pay"}}},
		"health": {balanced{out: time.Second, back: time.Second}.run(),
			Health{Links: Links{"a", "b", "c"}, OutWithin: 2 * time.Second, BackWithin: 2 * time.Second, Keeps: 2}},
		"skew":      {sharded(1, 3000, [3]float64{1. / 3, 1. / 3, 1. / 3}), Skew{Links: shards, AtMost: 1.5}},
		"growth":    {grower{wobble: 0.2}.run(1), Growth{Target: "shop", RSS: ofMemory(30).RSS}},
		"alert":     {alerted(1, 2500*ms, 4800*ms), Alert{FiresWithin: time.Second, ResolvesWithin: 2 * time.Second}},
		"slo":       {degrading{lost: falls, faults: lossFaults()}.run(), SLO{Success: 0.99}},
		"unsteady":  {full, Steady{P50: time.Second}},
		"exhausted": {full, Bulkhead{Link: "payments", Route: "pay", Unaffected: []string{"browse"}, Slowdown: 3}},
	}
}

// copied is a run whose ticks and samples may be changed.
func copied(run *evidence.Run) *evidence.Run {
	return &evidence.Run{
		Name: run.Name, About: run.About, Seed: run.Seed, Started: run.Started, Load: run.Load, Skips: run.Skips, Batch: run.Batch, Warmup: run.Warmup,
		End: run.End, Partial: run.Partial, Stopped: run.Stopped, NotSteady: run.NotSteady, Routes: run.Routes, Links: run.Links, Faults: run.Faults,
		Ticks: slices.Clone(run.Ticks), Samples: slices.Clone(run.Samples), Deaths: slices.Clone(run.Deaths), Notes: run.Notes, Lost: run.Lost, Alerts: run.Alerts,
	}
}

// A run whose harness was not well holds no claim without the line that says
// why, whatever was wrong with it and whenever.
func TestNothingHoldsInSilence(t *testing.T) {
	all := sounds()
	for _, trouble := range []struct {
		name  string
		spoil func(t *evidence.Tick)
	}{
		{"sent 30 ms late", func(t *evidence.Tick) { t.LateP99 = evidence.Seconds(30 * ms) }},
		{"sent 300 ms late", func(t *evidence.Tick) { t.LateP99 = evidence.Seconds(300 * ms) }},
		{"no time left", func(t *evidence.Tick) { t.Busy = 1 }},
		{"stopped for 8 ms", func(t *evidence.Tick) { t.Pause, t.Ended = evidence.Seconds(8*ms), 5000 }},
		{"stopped for 80 ms", func(t *evidence.Tick) { t.Pause = evidence.Seconds(80 * ms) }},
		{"stalls", func(t *evidence.Tick) { t.HiccupP99, t.HiccupMax = evidence.Seconds(15*ms), evidence.Seconds(20*ms) }},
		{"long stalls", func(t *evidence.Tick) { t.HiccupP99, t.HiccupMax = evidence.Seconds(90*ms), evidence.Seconds(400*ms) }},
		{"crowded", func(t *evidence.Tick) { t.Pressure = 0.8 }},
		{"overloaded", func(t *evidence.Tick) { t.Pressure = 1 }},
		{"never sent", func(t *evidence.Tick) { t.Unsent = 5 }},
		{"no descriptor", func(t *evidence.Tick) { t.Unsent, t.Starved = 5, 5 }},
		{"held back", func(t *evidence.Tick) { t.DialLimited = 100 }},
		{"lost", func(t *evidence.Tick) { t.Lost = 1 }},
	} {
		for kind, s := range all {
			if v := s.claim.Judge(s.run); v.Ruling != Held || v.Despite != "" {
				t.Errorf("%s, well: %s, despite %q: %s", kind, v.Ruling, v.Despite, v.Reason)
			}
			for _, span := range []struct{ from, to time.Duration }{{0, time.Hour}, {0, 2 * time.Second}, {2 * time.Second, 4 * time.Second}, {4 * time.Second, time.Hour}} {
				run := copied(s.run)
				for i := range run.Ticks {
					if tick := &run.Ticks[i]; tick.At > span.from && tick.At <= span.to {
						trouble.spoil(tick)
						if tick.Lost > 0 {
							run.Lost = map[string]uint64{"records": tick.Lost}
						}
					}
				}
				problems := run.Problems(0, run.End)
				v := s.claim.Judge(run)
				if v.Ruling == Held && (v.Despite == "") != (len(problems) == 0) {
					t.Errorf("%s from %s, %s: %s, despite %q; the harness: %v", trouble.name, span.from, kind, v.Ruling, v.Despite, problems)
				}
				if v.Ruling == Held && trouble.name == "lost" {
					t.Errorf("%s: held on evidence that is not whole", kind)
				}
			}
		}
	}
}

// What a sentence says of a trouble is so: a claim that rests on what the
// trouble spoils is not held.
func TestUnwellWhereItCounts(t *testing.T) {
	all := sounds()
	for _, row := range []struct {
		name  string
		claim string
		spoil func(run *evidence.Run)
		held  bool
		why   string // of the reason, or of what it holds despite
	}{
		{"a timeout does not ask when a request was due", "timeout", lateBy(300 * ms), true, "nothing in it counts from when they were due"},
		{"the limit does not", "limit", lateBy(300 * ms), true, "nothing in it counts from when they were due"},
		{"goodput before and after does", "recovery", lateBy(300 * ms), false, "the load was another one"},
		{"the routes beside it do", "exhausted", lateBy(300 * ms), false, "the load was another one"},
		{"what is sent a little late only looks slower", "steady", lateBy(30 * ms), true, "met their bounds all the same"},
		{"trouble after what it rests on", "steady", func(run *evidence.Run) {
			for i := range run.Ticks[5:] {
				run.Ticks[5+i].Pressure = 1
			}
		}, true, "the harness was well from 0 µs to 2.0 s"},
		{"a request that was due before it ends in it", "steady", func(run *evidence.Run) {
			for i := range run.Ticks[5:] {
				run.Ticks[5+i].LateP99 = evidence.Seconds(300 * ms)
			}
			run.Samples[3].Done = 6 * time.Second
		}, false, "the harness was late"},
		{"an arrival that was given up in the end", "steady", func(run *evidence.Run) {
			run.Ticks[len(run.Ticks)-1].Unsent = 1
			s := &run.Samples[3]
			s.Outcome, s.Sent, s.Done = load.Unsent, 0, run.End
		}, true, "never sent count as failed"},
		{"the runtime stopped for longer than the noise", "timeout", func(run *evidence.Run) { run.Ticks[3].Pause = evidence.Seconds(80 * ms) }, false, "collect garbage"},
	} {
		run := copied(all[row.claim].run)
		row.spoil(run)
		v := all[row.claim].claim.Judge(run)
		if (v.Ruling == Held) != row.held || v.Ruling == Refuted || !strings.Contains(v.Reason+v.Despite, row.why) {
			t.Errorf("%s: %s: %s; despite %q; want %q", row.name, v.Ruling, v.Reason, v.Despite, row.why)
		}
	}
}

func lateBy(by time.Duration) func(*evidence.Run) {
	return func(run *evidence.Run) {
		for i := range run.Ticks {
			run.Ticks[i].LateP99 = evidence.Seconds(by)
		}
	}
}

// A system that ended by itself leaves nothing held that rests on the time
// after it; a dependency that did leaves nothing ruled. What rests on the time
// before says that it happened.
func TestDeaths(t *testing.T) {
	const how = " ended by itself: exit status 3; last output (all of it in out):\n  panic: no\n  more"
	for kind, s := range sounds() {
		for _, target := range []string{"checkout", "bank"} {
			for _, at := range []time.Duration{500 * ms, 3 * time.Second, s.run.End - 100*ms} {
				run := copied(s.run)
				for _, l := range run.Links {
					l.To = "bank"
				}
				run.Deaths = []evidence.Death{{At: at, Target: target, Text: target + how}}
				v := s.claim.Judge(run)
				want := strconv.Quote(target) + " ended by itself at " + short(at) + " (exit status 3)"
				if !strings.Contains(v.Reason+v.Despite, want) || strings.Contains(v.Reason+v.Despite, "panic") {
					t.Errorf("%s, %s: %s: %s; despite %q; want %q", kind, short(at), v.Ruling, v.Reason, v.Despite, want)
				}
				if early := at < time.Second; early && v.Ruling == Held || v.Ruling == Held && v.Despite == "" || v.Ruling == Refuted {
					t.Errorf("%s, %s at %s: %s, despite %q", kind, target, short(at), v.Ruling, v.Despite)
				}
			}
		}
	}
}

// What the system had done wrong before it ended is still wrong; what it did
// before its dependency ended is not known to be the faults' doing.
func TestDeathsLeaveWhatWasRefuted(t *testing.T) {
	for target, want := range map[string]Ruling{"checkout": Refuted, "payments": Inconclusive} {
		run := bulkheadRun(func(s *simulation) { s.limit = 26 }, nil)(1, false)
		run.Deaths = []evidence.Death{{At: 4 * time.Second, Target: target}}
		if v := (Bulkhead{Link: "payments", Route: "pay", Limit: 20}).Judge(run); v.Ruling != want {
			t.Errorf("%s ended: %s: %s, want %s", target, v.Ruling, v.Reason, want)
		}
	}
}

// A target that nothing leads to and nothing leads from is what the load is
// sent to: a system and nobody's dependency.
func TestWhoIsOfTheSystem(t *testing.T) {
	run := &evidence.Run{Links: map[string]*evidence.Link{"a": {From: "shop", To: "stock"}, "b": {From: "stock", To: "db"}, "?": nil}}
	for target, want := range map[string]bool{"shop": true, "stock": true, "db": false, "web": true} {
		if got := ofSystem(run, target); got != want {
			t.Errorf("%s: %v, want %v", target, got, want)
		}
	}
}

// A system that exits after it came back, or in the middle, is refuted, and its
// end is the reason.
func TestRecoveryNamesWhoEnded(t *testing.T) {
	for _, at := range []time.Duration{4200 * ms, 6 * time.Second, 7500 * ms} {
		run := failing(1).play()
		for i := range run.Samples {
			if s := &run.Samples[i]; s.Intended >= at {
				s.Outcome, s.Status = load.Refused, 0
			}
		}
		for _, deaths := range [][]evidence.Death{nil, {{At: at, Target: "checkout", Text: "checkout ended by itself: exit status 3; it wrote nothing to out"}}} {
			run.Deaths = deaths
			v := Recovery{Route: "pay", Within: 2 * time.Second}.Judge(run)
			if v.Ruling != Refuted || len(v.IDs) == 0 {
				t.Errorf("%s, %d ended: %s: %s, %d ids", short(at), len(deaths), v.Ruling, v.Reason, len(v.IDs))
			}
			if len(deaths) > 0 && !strings.HasPrefix(v.Reason, `"checkout" ended by itself at `+short(at)+" (exit status 3)") {
				t.Errorf("%s: %s", short(at), v.Reason)
			}
			if strings.Contains(v.Reason, "metastable") && at > 5*time.Second {
				t.Errorf("%s: %s: that is another thing", short(at), v.Reason)
			}
		}
	}
}

// A limit that was exceeded was exceeded, however late requests were sent.
func TestLateLoadLeavesTheLimitRefuted(t *testing.T) {
	run := bulkheadRun(func(s *simulation) { s.limit = 26 }, lateBy(300*ms))(1, false)
	v := Bulkhead{Link: "payments", Route: "pay", Limit: 20, Unaffected: []string{"browse"}, FreedWithin: time.Second}.Judge(run)
	if v.Ruling != Refuted || !strings.Contains(v.Reason, "26 calls were in progress") {
		t.Errorf("%s: %s", v.Ruling, v.Reason)
	}
}
