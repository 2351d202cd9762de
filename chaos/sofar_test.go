package chaos

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/chaos/proxy/http"
	"github.com/stormctl/stormctl/load"
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
	rec, err := newRecorder(dir, h, 0, load.Constant(10, 20*time.Second), 2, map[string]proxy.Relay{"bank": new(http.Relay)})
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
			rec.sync() // a ring holds no more
		}
	}
	rec.add(evidence.Event{At: evidence.Seconds(9 * time.Second), Kind: evidence.KindDeath, Target: "b", Text: "b ended"})
	rec.sync()
	rec.stop()
	rec.tick(10100 * time.Millisecond)
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
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(evidence.Link{}, "Exchanges"), cmpopts.EquateEmpty()); diff != "" {
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
	if again, err := rec.sofar(); err != nil || len(again.Front) != len(want.Front) {
		t.Errorf("from disk after that: %v", err)
	}
}

// What is too much to remember is read back.
func TestGateRemembersSoMuch(t *testing.T) {
	for n, kept := range map[int]bool{3: true, 4: false} {
		w, err := evidence.CreateFront(filepath.Join(t.TempDir(), "front.csv"), []string{"pay"}, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		m := evidence.NewMemory(1, 3)
		m.Event(evidence.Event{Kind: evidence.KindStart, Start: &evidence.Header{Routes: []string{"pay"}}})
		for range n {
			w.Record(0, load.Sample{})
			w.Flush(m)
		}
		if run := m.Take(); (run != nil) != kept || kept && len(run.Front) != n {
			t.Errorf("of %d samples it keeps %v", n, run)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
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
				run, err := rec.sofar()
				if err != nil || len(run.Front) != 600_000 {
					b.Fatal(err)
				}
				claim.Ready(run, 10*time.Second)
			}
		})
	}
}
