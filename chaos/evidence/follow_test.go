package evidence

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/input/inputtest"
	"github.com/stormctl/stormctl/load/wire"
)

// growing is a run that is written bit by bit, as a recorder does it.
type growing struct {
	t       *testing.T
	dir     string
	rng     *rand.Rand
	now     time.Duration
	samples []load.Sample // all that there will be, by Done
	calls   []Exchange    // the same, by End
	events  []Event       // by At

	sampleWriter   *SampleWriter
	exchangeWriter *ExchangeWriter
	tl             *TimelineWriter
}

// grow makes a run of some length at a rate, with a step after every tenth request,
// and a fault that lasts a second every so often.
func grow(t *testing.T, seed uint64, rate int, length, every time.Duration) *growing {
	t.Helper()
	g := &growing{t: t, dir: t.TempDir(), rng: rand.New(rand.NewPCG(seed, 0))}
	if err := os.Mkdir(filepath.Join(g.dir, "evidence"), 0o755); err != nil {
		t.Fatal(err)
	}
	h := *start.Start
	h.Load, h.Faults = Seconds(length), nil
	g.events = []Event{{Kind: KindStart, Start: &h}}
	for at := every; at+time.Second < length; at += every {
		h.Faults = append(h.Faults, Injection{Index: len(h.Faults), Name: "f", Kind: "errors", On: "payments",
			At: Seconds(at), For: Seconds(time.Second)})
		n := len(h.Faults)
		g.events = append(g.events, Event{At: Seconds(at), Kind: KindInject, Fault: n},
			Event{At: Seconds(at + time.Second), Kind: KindHeal, Fault: n, Hit: 3})
	}
	for at := time.Second; at <= length; at += time.Second {
		g.events = append(g.events, Event{At: Seconds(at), Kind: KindTick, Tick: &Tick{Offered: uint64(rate), HiccupMax: Seconds(g.rng.IntN(30e6))}})
	}
	slices.SortStableFunc(g.events, func(a, b Event) int { return int(a.At - b.At) })
	call := func(s load.Sample) {
		x := Exchange{ID: s.ID, Conn: 1, Begin: s.Sent + (s.Done-s.Sent)/4, End: s.Done - (s.Done-s.Sent)/4,
			Method: "GET", Path: "/a", Status: 200}
		if i := int(x.Begin/every) - 1; i >= 0 && i < len(h.Faults) && x.Begin%every < time.Second {
			x.Faults, x.Status, x.Ending = 1<<(i%64), 503, Injected
		}
		g.calls = append(g.calls, x)
	}
	for i := range int(length.Seconds() * float64(rate)) {
		due := time.Duration(float64(i) / float64(rate) * 1e9)
		s := load.Sample{ID: uint64(i + 1), Intended: due, Sent: due + 1000, Status: 200}
		s.Done = s.Sent + time.Duration(g.rng.ExpFloat64()*2e7)
		if g.rng.IntN(500) == 0 {
			s.Done += 2 * time.Second // hangs
		}
		if g.rng.IntN(300) == 0 {
			s.Sent, s.Status, s.Outcome = 0, 0, load.Unsent
		} else {
			call(s)
		}
		g.samples = append(g.samples, s)
		if i%10 == 0 {
			step := load.Sample{ID: wire.SeqOf(s.ID, 1), Route: 1, Intended: s.Done, Sent: s.Done + 500, Done: s.Done + time.Duration(g.rng.IntN(3e7)), Status: 200}
			step.Done = max(step.Done, step.Sent)
			call(step)
			g.samples = append(g.samples, step)
		}
	}
	slices.SortStableFunc(g.samples, func(a, b load.Sample) int { return int(a.Done - b.Done) })
	slices.SortStableFunc(g.calls, func(a, b Exchange) int { return int(a.Begin - b.Begin) })
	for i := range g.calls {
		g.calls[i].Seq = uint64(i + 1)
	}
	slices.SortStableFunc(g.calls, func(a, b Exchange) int { return int(a.End - b.End) })
	var err error
	if g.sampleWriter, err = CreateSamples(filepath.Join(g.dir, SamplesFile), h.Routes, 2, 0); err != nil {
		t.Fatal(err)
	}
	if g.exchangeWriter, err = ExchangesIn(inputtest.File(t, filepath.Join(g.dir, ExchangesFile("payments"))), 0); err != nil {
		t.Fatal(err)
	}
	g.tl = TimelineIn(inputtest.File(t, filepath.Join(g.dir, TimelineFile)))
	t.Cleanup(func() { _, _, _ = g.sampleWriter.Close(), g.exchangeWriter.Close(), g.tl.Close() })
	return g
}

// until records what ended by then, each tenth of a second at once: what one loop
// saw, and behind it what the other did.
func (g *growing) until(then time.Duration) {
	for g.now < then {
		g.now = min(g.now+100*time.Millisecond, then)
		for len(g.samples) > 0 && g.samples[0].Done <= g.now {
			g.sampleWriter.Record(int(g.samples[0].ID%2), g.samples[0])
			g.samples = g.samples[1:]
		}
		g.sampleWriter.Flush(nil)
		n, _ := slices.BinarySearchFunc(g.calls, g.now+1, func(x Exchange, at time.Duration) int { return int(x.End - at) })
		g.rng.Shuffle(n, func(i, j int) { g.calls[i], g.calls[j] = g.calls[j], g.calls[i] })
		g.exchangeWriter.Write(g.calls[:n])
		g.calls = g.calls[n:]
		for len(g.events) > 0 && g.events[0].At <= Seconds(g.now) {
			g.tl.Add(g.events[0])
			g.events = g.events[1:]
		}
	}
}

var ignoreFound = cmpopts.IgnoreUnexported(Run{}, Link{})

// A run of which all fits is what is on disk, at any moment, also where a line is
// only half there.
func TestFollowerOfAShortRun(t *testing.T) {
	for seed := range uint64(4) {
		g := grow(t, seed, 300, 12*time.Second, 3*time.Second)
		f := Follow(g.dir, 100_000, func() time.Duration { return g.now })
		if s, err := f.Read(); s != nil || err != nil {
			t.Fatalf("before the run there is %v, %v", s, err)
		}
		read := map[string]int{} // bytes of each file
		for g.now < 11*time.Second {
			g.until(g.now + time.Duration(1+g.rng.IntN(2e9)))
			half := filepath.Join(g.dir, []string{SamplesFile, ExchangesFile("payments"), TimelineFile}[g.rng.IntN(3)])
			whole, err := os.ReadFile(half)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(half, int64(max(len(whole)-g.rng.IntN(30), 1+bytes.IndexByte(whole, '\n'), read[half]))); err != nil {
				t.Fatal(err)
			}
			got, err := f.Read()
			if err != nil {
				t.Fatal(err)
			}
			want, err := Read(g.dir)
			if err != nil {
				t.Fatal(err)
			}
			if diff := differences(want, got.Run); diff != "" || got.Number != 1 || got.From != 0 || got.Ended {
				t.Fatalf("seed %d: at %s, stretch %d from %s (-disk +followed):\n%s", seed, g.now, got.Number, got.From, diff)
			}
			if err := os.WriteFile(half, whole, 0o644); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{SamplesFile, ExchangesFile("payments"), TimelineFile} {
				name = filepath.Join(g.dir, name)
				if info, err := os.Stat(name); err == nil && name != half {
					read[name] = int(info.Size())
				}
			}
		}
	}
}

// differences are those of two runs. Records are many: equal ones are not gone through field by field.
func differences(a, b *Run) string {
	same := slices.Equal(a.Samples, b.Samples)
	for name, l := range a.Links {
		same = same && b.Links[name] != nil && slices.Equal(l.Exchanges, b.Links[name].Exchanges)
	}
	options := []cmp.Option{ignoreFound, cmpopts.EquateEmpty()}
	if same {
		options = append(options, cmpopts.IgnoreFields(Run{}, "Samples"), cmpopts.IgnoreFields(Link{}, "Exchanges"))
	}
	return cmp.Diff(a, b, options...)
}

// Whatever the rate is, a stretch is bounded and whole: it is what the whole run
// has in its time, but for what belongs to arrivals from before it.
func TestFollowerKeepsWholeStretches(t *testing.T) {
	for seed, rate := range []int{20, 100, 300, 1000} {
		most := 3000
		if rate == 1000 {
			most = 1000 // not even what comes between two looks fits
		}
		g := grow(t, uint64(seed), rate, 40*time.Second, 9*time.Second)
		f := Follow(g.dir, most, func() time.Duration { return g.now })
		stretches, seen := 0, map[int]bool{}
		for g.now < 40*time.Second {
			g.until(g.now + time.Duration(1e9+g.rng.IntN(2e9)))
			s, err := f.Read()
			if err != nil {
				t.Fatal(err)
			}
			if s == nil {
				continue
			}
			stretches = s.Number
			n := len(s.Samples) + len(s.Links["payments"].Exchanges) + tickSize*len(s.Ticks)
			if n > most+1 {
				t.Fatalf("seed %d, %d/s: %d records at %s, more than %d", seed, rate, n, g.now, most)
			}
			checkStretch(t, g, s)
			for _, i := range s.Faults {
				if i.Injected >= 0 && i.Healed >= 0 && len(s.Window(0, i.Injected)) > 30 {
					seen[i.Index] = true
				}
			}
		}
		// Up to 300/s, a second of a fault and what is around it fit.
		if rate <= 300 && len(seen) != 4 {
			t.Errorf("seed %d, %d/s: %d episodes seen whole, want 4", seed, rate, len(seen))
		}
		if rate >= 100 && stretches < 2 {
			t.Errorf("seed %d, %d/s: %d stretches, want more", seed, rate, stretches)
		}
	}
}

func checkStretch(t *testing.T, g *growing, s *Stretch) {
	t.Helper()
	whole, err := Read(g.dir)
	if err != nil {
		t.Fatal(err)
	}
	sure := s.To - 1500*time.Millisecond // what judge trusts of a run that was cut
	earlier := map[uint64]bool{}         // arrivals from before it
	for i := range whole.Samples {
		if x := &whole.Samples[i]; x.Intended < s.From {
			earlier[wire.ArrivalOf(x.ID)] = true
		}
	}
	samples, calls := map[uint64]load.Sample{}, map[uint64]Exchange{}
	for _, x := range s.Samples {
		samples[x.ID] = x
	}
	for _, x := range s.Links["payments"].Exchanges {
		calls[x.Seq] = x
		if earlier[wire.ArrivalOf(x.ID)] || x.Begin < 0 {
			t.Fatalf("at %s: a call of request %d is in the stretch from %s, the request is not", g.now, x.ID, s.From)
		}
	}
	for _, x := range whole.Samples {
		got, ok := samples[x.ID]
		shift(&x, s.From)
		switch {
		case earlier[wire.ArrivalOf(x.ID)]:
			if ok {
				t.Fatalf("at %s: request %d is in the stretch from %s, and from before it", g.now, x.ID, s.From)
			}
		case ok && got != x:
			t.Fatalf("at %s: %+v, want %+v", g.now, got, x)
		case !ok && x.Done+s.From <= sure:
			t.Fatalf("at %s: request %d is missing in the stretch from %s to %s", g.now, x.ID, s.From, s.To)
		}
	}
	for _, x := range whole.Links["payments"].Exchanges {
		got, ok := calls[x.Seq]
		if !ok && x.Begin >= s.From && x.End <= sure && !earlier[wire.ArrivalOf(x.ID)] {
			t.Fatalf("at %s: call %d is missing in the stretch from %s to %s", g.now, x.Seq, s.From, s.To)
		}
		if x.Begin, x.End = x.Begin-s.From, x.End-s.From; ok && got != x {
			t.Fatalf("at %s: %+v, want %+v", g.now, got, x)
		}
	}
	for _, i := range s.Faults {
		was := whole.Faults[i.Index]
		if was.Injected >= 0 && was.Injected < s.From && (was.Healed < 0 || was.Healed >= s.From) {
			t.Fatalf("at %s: the stretch from %s begins within a fault", g.now, s.From)
		}
		if i.Injected >= 0 && i.Injected+s.From != was.Injected || i.Healed >= 0 && i.Healed+s.From != was.Healed {
			t.Fatalf("at %s: %+v in the stretch from %s, %+v in the run", g.now, i, s.From, was)
		}
	}
	for i, tick := range s.Ticks {
		if tick.At <= 0 || i > 0 && tick.At-s.Ticks[i-1].At != time.Second {
			t.Fatalf("at %s: ticks at %s", g.now, tick.At)
		}
	}
}

// A fault may come while a stretch begins: then it begins after the fault.
func TestFollowerBeginsInNoFault(t *testing.T) {
	g := grow(t, 1, 50, 20*time.Second, 5*time.Second)
	f := Follow(g.dir, 100_000, func() time.Duration { return g.now })
	g.until(4 * time.Second)
	if s, err := f.Read(); s == nil || err != nil {
		t.Fatal(s, err)
	}
	f.ended = true
	g.now = 5500 * time.Millisecond // the clock goes on; that a fault came at 5 s is not on disk yet
	if s, err := f.Read(); err != nil || s.From <= 5*time.Second {
		t.Fatal(s, err)
	}
	g.now = 4 * time.Second
	g.until(5900 * time.Millisecond)
	if s, err := f.Read(); s != nil || err != nil {
		t.Errorf("within the fault: a stretch from %s (%v), want none", s.From, err)
	}
	g.until(7 * time.Second)
	if s, err := f.Read(); err != nil || s == nil || s.From < 6*time.Second || len(s.Faults) != 2 {
		t.Errorf("after the fault: %+v, %v", s, err)
	}
}
