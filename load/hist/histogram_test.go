package hist

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// near reports whether a figure may stand for an exact time: never below it, and
// above it by 0.1 % or one step of 512 ns at most.
func near(figure, exact time.Duration) bool {
	return figure >= exact && figure <= min(exact+max(exact/1000, 512), Highest)
}

func TestQuantileIsNearTheOrderStatistic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Drawn by magnitude, so that every bucket has its chance.
		times := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
			magnitude := rapid.IntRange(0, 41).Draw(t, "magnitude")
			return time.Duration(rapid.Int64Range(0, 1<<magnitude).Draw(t, "time"))
		}), 1, 300).Draw(t, "times")
		h := New()
		for _, d := range times {
			h.Record(d)
		}
		slices.Sort(times)
		// The smallest time that the share q does not exceed is number ⌈q·n⌉.
		for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999, 1} {
			rank := int(math.Ceil(q*float64(len(times)) - 1e-9))
			// hdrhistogram rounds q·n to the nearest rank.
			rounded := max(1, int(q*float64(len(times))+0.5))
			got := h.Quantile(q)
			if !near(got, times[max(rank, 1)-1]) && !near(got, times[rounded-1]) {
				t.Errorf("p%v of %d: %v, want %v or %v", q*100, len(times), got, times[max(rank, 1)-1], times[rounded-1])
			}
		}
		if h.Count() != int64(len(times)) || h.Clamped() != 0 || h.Lost() != 0 {
			t.Errorf("%d recorded: %+v", len(times), h.Summary())
		}
	})
}

func TestSummary(t *testing.T) {
	h := New()
	for ms := range 1000 {
		h.Record(time.Duration(ms+1) * time.Millisecond) // 1 to 1000 ms
	}
	s := h.Summary()
	for _, c := range []struct {
		name      string
		got, want time.Duration
	}{
		{"p50", s.P50, 500 * time.Millisecond},
		{"p90", s.P90, 900 * time.Millisecond},
		{"p99", s.P99, 990 * time.Millisecond},
		{"p99.9", s.P999, 999 * time.Millisecond},
		{"max", s.Max, time.Second},
	} {
		if !near(c.got, c.want) {
			t.Errorf("%s: %v, want %v to 0.1 %%", c.name, c.got, c.want)
		}
	}
	const mean = 500500 * time.Microsecond // (1 + 1000) / 2
	if off := (s.Mean - mean).Abs(); off > mean/1000 {
		t.Errorf("mean: %v, want %v to 0.1 %%", s.Mean, mean)
	}
	if s.Count != 1000 {
		t.Errorf("count %d, want 1000", s.Count)
	}
	if diff := cmp.Diff(Summary{}, New().Summary()); diff != "" {
		t.Errorf("of nothing: %s", diff)
	}
}

func TestOutOfRangeIsClampedAndCounted(t *testing.T) {
	h := New()
	for _, d := range []time.Duration{-1, math.MinInt64, 0, Highest, Highest + 1, math.MaxInt64} {
		h.Record(d)
	}
	if h.Count() != 6 || h.Clamped() != 4 || h.Lost() != 0 {
		t.Errorf("%+v; want all 6, 4 of them clamped", h.Summary())
	}
	if got := h.Quantile(1); got != Highest {
		t.Errorf("max %v, want %v", got, Highest)
	}
	if got := h.Quantile(0.3); got > 512 { // number 2 of 6
		t.Errorf("p30 %v, want 0", got)
	}
}

func TestMergeIsRecordingIntoOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	whole, merged, part := New(), New(), New()
	for range 10 {
		for range 1000 {
			d := time.Duration(rng.ExpFloat64() * float64(10*time.Minute)) // e^-6 of them above an hour
			whole.Record(d)
			part.Record(d)
		}
		merged.Merge(part)
		part.Reset()
	}
	if diff := cmp.Diff(whole.Summary(), merged.Summary()); diff != "" || whole.Clamped() == 0 {
		t.Errorf("clamped %d: %s", whole.Clamped(), diff)
	}
	if !equal(whole, merged) {
		t.Error("other counts")
	}
	if diff := cmp.Diff(Summary{}, part.Summary()); diff != "" {
		t.Errorf("after Reset: %s", diff)
	}
}

// equal reports whether both have the same counts.
func equal(a, b *Histogram) bool {
	return slices.Equal(slices.Collect(a.bars), slices.Collect(b.bars)) && a.Count() == b.Count()
}

// A Histogram must be hdrhistogram's dense one of the same shape in all that is asked of it.
func TestHistogramIsTheDenseOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 0))
	for n := range 300 {
		h, dense := New(), hdrhistogram.New(int64(resolution), int64(Highest), digits)
		for range n {
			d := rng.Int64N(int64(Highest)+1) >> rng.UintN(42)
			h.Record(time.Duration(d))
			if err := dense.RecordValue(d); err != nil {
				t.Fatal(err)
			}
		}
		var want []bar
		for _, b := range dense.Distribution() {
			if b.Count > 0 {
				want = append(want, bar{time.Duration(b.From), time.Duration(b.To), b.Count})
			}
		}
		if got := slices.Collect(h.bars); !slices.Equal(got, want) {
			t.Fatalf("seed 3, %d times: bars %v, want %v", n, got, want)
		}
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
			if got, want := h.Quantile(q), inRange(dense.ValueAtPercentile(100*q)); got != want {
				t.Errorf("seed 3, %d times: p%v %v, want %v", n, 100*q, got, want)
			}
		}
		if got, want := h.Summary().Mean, time.Duration(dense.Mean()); got != min(want, h.Summary().Max) {
			t.Errorf("seed 3, %d times: mean %v, want %v", n, got, want)
		}
	}
}

// heap is how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Memory goes with what is recorded, not with how many routes it may be of.
func TestRoutesTakeLittle(t *testing.T) {
	const routes, shards, each, most = 1000, 2, 16, 60 << 20 // in full they would be 2 GiB
	before := heap()
	c := NewCollector(routes, shards)
	rng := rand.New(rand.NewPCG(1, 0))
	for i := range routes * each {
		took := time.Duration(rng.ExpFloat64() * float64(20*time.Millisecond))
		c.Recorder(i%shards).Record(i%routes, Times{Response: took, Service: took, Lag: 1000, Late: 1000, Sent: true})
		if i%1000 == 0 {
			c.Delta()
		}
	}
	c.Delta()
	if took := heap() - before; took > most {
		t.Errorf("%d routes of %d requests take %d MiB", routes, each, took>>20)
	}
	if got := c.Total().AllResponse().Count(); got != routes*each {
		t.Errorf("%d of %d requests counted", got, routes*each)
	}
}

// A route whose times have come before allocates nothing more.
func TestRecordingSettles(t *testing.T) {
	c := NewCollector(1, 1)
	r := c.Recorder(0)
	times := Times{Response: 3 * time.Millisecond, Service: 2 * time.Millisecond, Lag: 1000, Late: 1000, Sent: true}
	for range 2 { // the two sets of trays
		r.Record(0, times)
		c.Delta()
	}
	if n := testing.AllocsPerRun(100, func() { r.Record(0, times) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
