package judge

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

func TestEpisodes(t *testing.T) {
	at := func(from, to int) evidence.Injection {
		return evidence.Injection{Injected: time.Duration(from) * ms, Healed: time.Duration(to) * ms}
	}
	still := evidence.Injection{Injected: 800 * ms, Healed: -1}
	never := evidence.Injection{Injected: -1, Healed: -1}
	for _, c := range []struct {
		name   string
		faults []evidence.Injection
		gap    time.Duration
		want   [][2]time.Duration
		healed bool // the last one
	}{
		{"none", nil, 0, nil, false},
		{"never injected", []evidence.Injection{never}, 0, nil, false},
		{"one", []evidence.Injection{at(100, 200)}, 0, [][2]time.Duration{{100 * ms, 200 * ms}}, true},
		{"apart, out of order", []evidence.Injection{at(300, 400), at(100, 200)}, 0, [][2]time.Duration{{100 * ms, 200 * ms}, {300 * ms, 400 * ms}}, true},
		{"overlapping", []evidence.Injection{at(100, 300), at(200, 400)}, 0, [][2]time.Duration{{100 * ms, 400 * ms}}, true},
		{"one within the other", []evidence.Injection{at(100, 500), at(200, 300)}, 0, [][2]time.Duration{{100 * ms, 500 * ms}}, true},
		{"touching", []evidence.Injection{at(100, 200), at(200, 300)}, 0, [][2]time.Duration{{100 * ms, 300 * ms}}, true},
		{"within the gap", []evidence.Injection{at(100, 200), at(300, 400)}, 100 * ms, [][2]time.Duration{{100 * ms, 400 * ms}}, true},
		{"not healed, up to the end", []evidence.Injection{at(100, 200), still}, 0, [][2]time.Duration{{100 * ms, 200 * ms}, {800 * ms, time.Second}}, false},
	} {
		spans := episodes(&evidence.Run{End: time.Second, Faults: c.faults}, c.gap, func(evidence.Injection) bool { return true })
		var got [][2]time.Duration
		for _, s := range spans {
			got = append(got, [2]time.Duration{s.from, s.to})
		}
		if !cmp.Equal(got, c.want) || len(spans) > 0 && spans[len(spans)-1].healed != c.healed {
			t.Errorf("%s: got %v, want %v, healed %v", c.name, spans, c.want, c.healed)
		}
	}
}

func TestPercentile(t *testing.T) {
	of := func(n int) (ds []time.Duration) {
		for i := n; i > 0; i-- {
			ds = append(ds, time.Duration(i))
		}
		return ds
	}
	for _, c := range []struct {
		n    int
		q    float64
		want time.Duration
	}{
		{0, 0.5, 0},
		{1, 0, 1},
		{1, 0.99, 1},
		{4, 0.5, 2},
		{20, 0.95, 19}, // 0.95·20 is 19, whatever floats make of it
		{100, 0.99, 99},
		{101, 0.99, 100}, // rank 99.99 rounds up
		{100, 1, 100},
	} {
		if got := percentile(of(c.n), c.q); got != c.want {
			t.Errorf("%v of 1..%d: got %d, want %d", c.q, c.n, got, c.want)
		}
	}
}

// 400 samples over two seconds, of which the host stalled in the second: those
// that touch it are left out, unless too little would remain.
func TestCalmly(t *testing.T) {
	run := &evidence.Run{Ticks: []evidence.Tick{{At: time.Second, HiccupMax: evidence.Seconds(2 * ms)}, {At: 2 * time.Second, HiccupMax: evidence.Seconds(40 * ms)}}}
	var samples []load.Sample
	for i := range 400 {
		at := time.Duration(i) * 5 * ms
		samples = append(samples, load.Sample{ID: uint64(i + 1), Intended: at, Sent: at, Done: at + 12*ms})
	}
	for _, c := range []struct {
		name    string
		samples []load.Sample
		limit   time.Duration
		want    int
	}{
		{"no limit", samples, 0, 400},
		{"stalls well below the limit", samples, 100 * ms, 400},
		// Of the first second's 200, those due at 990 and 995 ms end at 1002 and 1007 ms.
		{"a stall", samples, 20 * ms, 198},
		{"too few without it", samples[120:], 20 * ms, 280}, // 78 would remain
		{"everything stalls", samples, 2 * ms, 400},
	} {
		if got := withoutHostStalls(run, every(c.samples), c.limit).len(); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestShort(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0 µs"}, {830 * time.Microsecond, "830 µs"}, {4 * ms, "4.0 ms"}, {212 * ms, "212 ms"}, {2010 * ms, "2.01 s"}, {1300 * ms, "1.3 s"}, {-5 * ms, "-5.0 ms"},
	} {
		if got := short(c.d); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// A run that was cut is trusted up to a flush before its last record.
func TestHorizon(t *testing.T) {
	run := &evidence.Run{End: 5 * time.Second, Samples: []load.Sample{{Done: 4 * time.Second}},
		Links: map[string]*evidence.Link{"payments": {Exchanges: []evidence.Exchange{{End: 4200 * ms}}}, "stock": nil}}
	if got := horizon(run); got != 5*time.Second {
		t.Errorf("whole: got %s, want 5s", got)
	}
	run.Partial = true
	if got := horizon(run); got != 2700*ms {
		t.Errorf("cut: got %s, want 2.7s", got)
	}
	if got := horizon(&evidence.Run{Partial: true, End: time.Second}); got != 0 {
		t.Errorf("empty: got %s, want 0", got)
	}
}

// A fault on a target concerns the calls that go there, whatever the link is
// called; a command concerns the link or target that it is said of.
func TestFaultsOnTargetsAreOnThePath(t *testing.T) {
	link := &evidence.Link{Name: "payments", From: "checkout", To: "bank"}
	during := evidence.Exchange{Begin: 3 * time.Second, End: 4 * time.Second}
	after := evidence.Exchange{Begin: 6 * time.Second, End: 7 * time.Second}
	for _, row := range []struct {
		fault          evidence.Injection
		onPath, during bool
	}{
		{evidence.Injection{Kind: "pause", On: "bank"}, true, true}, // from before there was Target
		{evidence.Injection{Kind: "cpu", On: "bank", Target: true}, true, true},
		{evidence.Injection{Kind: "cpu", On: "checkout", Target: true}, false, true},
		{evidence.Injection{Kind: "cpu", On: "payments", Target: true}, false, true}, // a target of the link's name
		{evidence.Injection{Kind: "restart", On: "other", Others: []string{"bank"}, Target: true}, true, true},
		{evidence.Injection{Kind: "exec", On: "payments"}, true, true},
		{evidence.Injection{Kind: "exec", On: "bank", Target: true}, true, true},
		{evidence.Injection{Kind: "errors", On: "payments"}, true, false}, // the link says which it hit: none
		{evidence.Injection{Kind: "errors", On: "bank"}, false, false},
	} {
		f := row.fault
		f.Injected, f.Healed = 2*time.Second, 5*time.Second
		if got := onPath(link, f); got != row.onPath {
			t.Errorf("%+v on the path: %v, want %v", f, got, row.onPath)
		}
		if got := f.Touched(&during); got != row.during || f.Touched(&after) {
			t.Errorf("%+v touches what was on its way: %v, want %v; what began after it: %v", f, got, row.during, f.Touched(&after))
		}
	}
}

// What is found by a search among the noisy ticks is what looking at every tick
// for every sample finds.
func TestCalmOfAnySamples(t *testing.T) {
	const seed = 4
	rng := rand.New(rand.NewPCG(seed, 0))
	underWay := func(s load.Sample, t evidence.Tick, before time.Duration) bool {
		return s.Intended < t.At && s.Done > min(before, t.At-time.Second)
	}
	for range 300 {
		run := &evidence.Run{}
		at := time.Duration(0)
		for range rng.IntN(30) {
			at += time.Duration(1+rng.IntN(8)) * 200 * time.Millisecond
			run.Ticks = append(run.Ticks, evidence.Tick{At: at, HiccupMax: evidence.Seconds(rng.IntN(5)) * evidence.Seconds(7*time.Millisecond), Pressure: float64(rng.IntN(12)) / 10})
		}
		samples := make([]load.Sample, rng.IntN(400))
		for i := range samples { // in any order, and at the very edges
			from := time.Duration(rng.IntN(200)) * 100 * time.Millisecond
			samples[i] = load.Sample{ID: uint64(i), Intended: from, Done: from + time.Duration(rng.IntN(30)-1)*100*time.Millisecond}
		}
		limit := time.Duration(rng.IntN(60)) * time.Millisecond
		var calm []load.Sample
		noise := evidence.LeastNoise
		for _, s := range samples {
			stalled := false
			before := time.Duration(0)
			for _, tick := range run.Ticks {
				own := tick.Noise()
				if length := tick.At - before; length > 1500*ms {
					own = max(own, length-time.Second)
				}
				if underWay(s, tick, before) {
					noise = max(noise, own)
					stalled = stalled || own > limit/2
				}
				before = tick.At
			}
			if !stalled {
				calm = append(calm, s)
			}
		}
		if limit == 0 || len(calm) < 100 || 4*len(calm) < len(samples) {
			calm = samples
		}
		got := make([]load.Sample, 0, len(samples))
		for _, s := range withoutHostStalls(run, every(samples), limit).all() {
			got = append(got, *s)
		}
		if !slices.Equal(got, calm) {
			t.Fatalf("seed %d: limit %s: %d samples are calm, want %d", seed, limit, len(got), len(calm))
		}
		if got := noiseAround(run, every(samples)); got != noise {
			t.Fatalf("seed %d: noise %s, want %s", seed, got, noise)
		}
	}
}
