package chaos

import (
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/chaos/proxy/http"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
)

// filled is a recorder that has seen n samples over 10 s, and as many exchanges,
// and writes no more.
func filled(t testing.TB, n int, remember bool) *recorder {
	t.Helper()
	dir := t.TempDir()
	if err := subdirs(dir); err != nil {
		t.Fatal(err)
	}
	h := evidence.Header{Name: "x", Started: time.Now(), Load: evidence.Seconds(20 * time.Second), Routes: []string{"pay", "browse"},
		Links: []evidence.Link{{Name: "bank", From: "a", To: "b"}}, Faults: []evidence.Injection{{Name: "f", Kind: "errors", On: "bank", At: evidence.Seconds(10 * time.Second)}}}
	rec, err := newRecorder(dir, h, 0, arrivals.Constant(10, 20*time.Second), 2, map[string]proxy.Relay{"bank": new(http.Relay)})
	if err != nil {
		t.Fatal(err)
	}
	if remember {
		rec.remember(uint64(n))
	}
	rec.begin(time.Now(), load.NewStats(2, time.Now()), nil)
	rng, exchange := rand.New(rand.NewPCG(1, 1)), rec.exchange("bank")
	for i := range n {
		due := time.Duration(float64(i) / float64(n) * 1e10)
		s := load.Sample{ID: uint64(i + 1), Route: i % 2, Intended: due, Sent: due + time.Duration(rng.IntN(1e6)), Status: 200, Late: 3, Received: 9}
		s.Done = s.Sent + time.Duration(rng.IntN(30e6))
		if i%500 == 0 {
			s.Outcome, s.Status, s.Skipped = load.Unsent, 0, true
		}
		rec.observe(i%2, s)
		exchange(evidence.Exchange{Seq: uint64(i + 1), ID: s.ID, Begin: s.Sent, End: s.Sent + time.Duration(rng.IntN(50e6)), Status: 200})
		if i%10_000 == 0 {
			rec.watch.Sync() // a ring holds no more
		}
	}
	rec.add(evidence.Event{At: evidence.Seconds(9 * time.Second), Kind: evidence.KindDeath, Target: "b", Text: "b ended"})
	rec.watch.Sync()
	rec.stop()
	rec.watch.Rest(10100 * time.Millisecond)
	return rec
}

// What the gate is told from memory is what it would be told from disk.
func TestGateSeesWhatIsOnDisk(t *testing.T) {
	rec := filled(t, 1000, true)
	want, err := evidence.Read(rec.dir)
	if err != nil {
		t.Fatal(err)
	}
	got := rec.memory.Take()
	if got == nil {
		t.Fatal("nothing is remembered")
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(evidence.Link{}, "Exchanges"), cmpopts.IgnoreUnexported(evidence.Run{}, evidence.Link{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-disk +memory:\n%s", diff)
	}
	for _, claim := range []judge.Steady{
		{Success: 0.99, P50: 20 * time.Millisecond, P99: 40 * time.Millisecond}, // holds but for the death
		{Route: "pay", Success: 0.999},
		{Route: "browse", P50: 5 * time.Millisecond, P99: 10 * time.Millisecond},
	} {
		for _, until := range []time.Duration{5 * time.Second, 10 * time.Second, 15 * time.Second} {
			if diff := cmp.Diff(claim.Ready(want, until), claim.Ready(got, until)); diff != "" {
				t.Errorf("%s, until %s: -disk +memory:\n%s", claim, until, diff)
			}
		}
	}
	if rec.memory.Take() != nil {
		t.Error("it is remembered for ever")
	}
	if again, err := rec.observed(); err != nil || len(again.Samples) != len(want.Samples) {
		t.Errorf("from disk after that: %v", err)
	}
}

// What is too much to remember is read back.
func TestGateRemembersSoMuch(t *testing.T) {
	for n, kept := range map[int]bool{3: true, 4: false} {
		w, err := evidence.CreateSamples(filepath.Join(t.TempDir(), "front.csv"), []string{"pay"}, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		m := evidence.NewMemory(1, 3)
		m.Event(evidence.Event{Kind: evidence.KindStart, Start: &evidence.Header{Routes: []string{"pay"}}})
		for range n {
			w.Record(0, load.Sample{})
			w.Flush(m)
		}
		if run := m.Take(); (run != nil) != kept || kept && len(run.Samples) != n {
			t.Errorf("of %d samples it keeps %v", n, run)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The claims of a run are told of to its end, in memory that does not grow.
func TestProvisionalToTheEnd(t *testing.T) {
	x, err := experiment.Parse("x.yaml", []byte(`
name: x
targets: {a: {url: "http://127.0.0.1:1"}, b: {url: "http://127.0.0.1:2"}}
links: {bank: {from: a, to: b}}
load: {rate: 1k/s, duration: 160s, routes: [{name: pay, to: a, get: /}]}
chaos: [{at: 20s, for: 2s, on: bank, errors: {status: 503, share: 100%}}, {at: 130s, for: 2s, on: bank, errors: {status: 503, share: 100%}}]
claims:
  - steady: {route: pay, success: 99%}
  - recovery: {route: pay, within: 1s}
  - timeout: {link: bank, route: pay, within: 1s}
`), experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := subdirs(dir); err != nil {
		t.Fatal(err)
	}
	h := evidence.Header{Name: "x", Load: evidence.Seconds(160 * time.Second), Routes: []string{"pay"}, Links: []evidence.Link{{Name: "bank", From: "a", To: "b"}}}
	for i, at := range []time.Duration{20 * time.Second, 130 * time.Second} {
		h.Faults = append(h.Faults, evidence.Injection{Index: i, Name: "f", Kind: "errors", On: "bank", Statuses: []int{503}, Share: 1, At: evidence.Seconds(at), For: evidence.Seconds(2 * time.Second)})
	}
	rec, err := newRecorder(dir, h, 0, arrivals.Constant(1000, 160*time.Second), 1, map[string]proxy.Relay{"bank": new(http.Relay)})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.closeFiles()
	var now time.Duration
	s := &provisional{x: x, dir: dir, now: rec.now, follower: evidence.Follow(dir, judgedAtOnce, func() time.Duration { return now })}
	exchange, most := rec.exchange("bank"), uint64(0)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rulings := map[time.Duration]string{}
	id := uint64(0)
	for now = 0; now < 160*time.Second; {
		for due := now; due < now+time.Second; due += time.Millisecond {
			id++
			r := load.Sample{ID: id, Intended: due, Sent: due, Done: due + 5*time.Millisecond, Status: 200}
			e := evidence.Exchange{Seq: id, ID: id, Begin: due + time.Millisecond, End: due + 4*time.Millisecond, Status: 200}
			for i, f := range h.Faults {
				if due >= f.At.Duration() && due < f.At.Duration()+2*time.Second {
					r.Status, r.Outcome, e.Status, e.Ending, e.Faults = 503, load.ServerError, 503, evidence.Injected, 1<<i
				}
			}
			rec.observe(0, r)
			exchange(e)
		}
		rec.flush()
		now += time.Second
		rec.add(evidence.Event{At: evidence.Seconds(now), Kind: evidence.KindTick, Tick: &evidence.Tick{Offered: 1000}})
		for i, f := range h.Faults {
			switch now {
			case f.At.Duration():
				rec.add(evidence.Event{At: f.At, Kind: evidence.KindInject, Fault: i + 1})
			case f.At.Duration() + 2*time.Second:
				rec.add(evidence.Event{At: evidence.Seconds(now), Kind: evidence.KindHeal, Fault: i + 1, Hit: 2000})
			}
		}
		if int(now.Seconds())%2 > 0 {
			continue
		}
		for _, v := range s.judge() {
			rulings[now] += v.Ruling.String() + " "
			if len(v.Exhibits) > 0 {
				t.Errorf("at %s %s pays for what nobody is shown: %+v", now, v.Claim, v.Exhibits[0])
			}
		}
		if int(now.Seconds())%20 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&after)
			most = max(most, after.HeapAlloc-min(before.HeapAlloc, after.HeapAlloc))
		}
	}
	for at, want := range map[time.Duration]string{
		18 * time.Second:  "held inconclusive inconclusive ", // there was no fault yet
		32 * time.Second:  "held held inconclusive ",         // errors do not hang
		128 * time.Second: "held held inconclusive ",         // it is remembered, 200,000 records later
		158 * time.Second: "held held inconclusive ",
	} {
		if rulings[at] != want {
			t.Errorf("at %s the claims are %q, want %q", at, rulings[at], want)
		}
	}
	if most > 24<<20 {
		t.Errorf("%d MiB are in use, want about 5 and a wide margin", most>>20)
	}
}

// What an earlier stretch has shown is not forgotten, and held less than refuted.
func TestStanding(t *testing.T) {
	const h, q, r = judge.Held, judge.Inconclusive, judge.Refuted
	for _, c := range []struct{ before, now, want judge.Ruling }{
		{h, h, h}, {h, q, h}, {h, r, r}, {q, h, h}, {q, q, q}, {q, r, r}, {r, h, r}, {r, q, r}, {r, r, r},
	} {
		got := standing([]judge.Verdict{{Ruling: c.before, Reason: "before"}}, []judge.Verdict{{Ruling: c.now, Reason: "now"}})
		if len(got) != 1 || got[0].Ruling != c.want || (got[0].Reason == "now") != (c.now == c.want) {
			t.Errorf("%s and then %s is %v, want %s", c.before, c.now, got, c.want)
		}
	}
	one := []judge.Verdict{{Ruling: r}}
	if len(standing(nil, one)) != 1 || len(standing(one, nil)) != 1 || standing(nil, nil) != nil {
		t.Error("nothing is more than what there is")
	}
}

// BenchmarkGate is how late the first injection comes for what is judged before
// it, with 20,000/s for half a minute before: from memory, and from disk.
func BenchmarkGate(b *testing.B) {
	claim := judge.Steady{Success: 0.5, P99: 40 * time.Millisecond}
	for _, from := range []string{"memory", "disk"} {
		b.Run(from, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				rec := filled(b, 600_000, from == "memory")
				b.StartTimer()
				run, err := rec.observed()
				if err != nil || len(run.Samples) != 600_000 {
					b.Fatal(err)
				}
				claim.Ready(run, 10*time.Second)
			}
		})
	}
}
