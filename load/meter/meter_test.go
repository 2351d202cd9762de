package meter

import (
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLatenessQuantile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 1, 200).Draw(t, "values")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		var l lateness
		for _, v := range values {
			l.add(time.Duration(v))
		}
		slices.Sort(values)
		exact := values[min(int(q*float64(len(values))), len(values)-1)]
		got := int64(l.quantile(q))
		if got < exact || float64(got) > float64(exact)*1.0625+1 {
			t.Fatalf("quantile %v of %d values: got %d, want %d to 6.25%% more", q, len(values), got, exact)
		}
		if want := time.Duration(values[len(values)-1]); l.max != want || l.quantile(1) != want {
			t.Fatalf("max: got %v and %v, want %v", l.max, l.quantile(1), want)
		}
	})
}

func TestLatenessBuckets(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		v := rng.Uint64() >> rng.IntN(64) >> 1
		i := bucket(v)
		if v > upper(i) || i > 0 && v <= upper(i-1) {
			t.Fatalf("%d is in bucket %d, which is (%d, %d]", v, i, upper(i-1), upper(i))
		}
	}
	if i := bucket(1<<63 - 1); i >= len(lateness{}.count) {
		t.Errorf("the longest duration has bucket %d of %d", i, len(lateness{}.count))
	}
}

// One stall of 50 ms in a second of naps is 5% of the time: the p99 must tell.
func TestStallsAreNotOmitted(t *testing.T) {
	l := lateness{nap: Often}
	for range 950 {
		l.stall(20 * time.Microsecond)
	}
	l.stall(50 * time.Millisecond)
	// 1000 wake-ups in all: 950 on time, and of the others the 10 latest are
	// late by 41 ms and more.
	if got := l.quantile(0.99); got < 40*time.Millisecond || got > 44*time.Millisecond || l.total != 1000 {
		t.Errorf("p99 is %v of %d, want 41ms of 1000", got, l.total)
	}
	if got := l.quantile(0.94); got > time.Millisecond {
		t.Errorf("p94 is %v", got)
	}
	seldom := lateness{nap: Seldom}
	seldom.stall(50 * time.Millisecond)
	if seldom.total != 5 { // late by 50, 40, 30, 20 and 10 ms
		t.Errorf("a thread that sleeps for 10 ms counts a stall of 50 ms %d times", seldom.total)
	}
	m := Start(Often)
	m.Stop()
	m.Read()
	m.note(time.Now(), 50*time.Millisecond)
	if h := m.Read(); h.Max != 50*time.Millisecond || h.P99 < 48*time.Millisecond || m.late.total != 0 {
		t.Errorf("the meter tells of %+v", h)
	}
	m.note(time.Now(), 10*time.Second)
	for range 90_000 {
		m.note(time.Now(), 0)
	}
	if h := m.Read(); h.P99 < 8*time.Second { // 10,000 of 100,000 are late
		t.Errorf("of a stall of 10s in 100s the meter tells %+v", h)
	}
}

func TestLongestPause(t *testing.T) {
	h := &metrics.Float64Histogram{Buckets: []float64{math.Inf(-1), 0.001, 0.002, 0.004, math.Inf(1)}, Counts: []uint64{5, 1, 2, 1}}
	for _, tt := range []struct {
		before []uint64
		want   time.Duration
	}{
		{[]uint64{5, 1, 2, 1}, 0},
		{[]uint64{4, 1, 2, 1}, time.Millisecond},
		{[]uint64{0, 1, 1, 1}, 4 * time.Millisecond},
		{[]uint64{5, 1, 2, 0}, 4 * time.Millisecond}, // at least
	} {
		if got := longest(h, tt.before); got != tt.want {
			t.Errorf("since %v: got %v, want %v", tt.before, got, tt.want)
		}
	}
	p := startPauses()
	runtime.GC()
	if p.longest() <= 0 {
		t.Error("a collection without a pause")
	}
}

func TestLatenessOfNothing(t *testing.T) {
	var l lateness
	if got := l.quantile(0.99); got != 0 {
		t.Errorf("got %v, want 0", got)
	}
	l.add(-time.Millisecond) // a signal cut the sleep short: not late
	if l.max != 0 || l.total != 1 {
		t.Errorf("got max %v of %d, want 0 of 1", l.max, l.total)
	}
}

func TestMeterSeesWork(t *testing.T) {
	for _, nap := range []time.Duration{Often, Rarely} {
		seesWork(t, nap)
	}
}

func seesWork(t *testing.T, nap time.Duration) {
	t.Helper()
	m := Start(nap)
	begin := CPUTime()
	for runtime.GOOS == "linux" && CPUTime()-begin < 30*time.Millisecond {
	}
	h := m.Read()
	m.Stop()
	if h.P99 < 0 || h.Max < h.P99 {
		t.Errorf("p99 %v, max %v", h.P99, h.Max)
	}
	if runtime.GOOS == "linux" && h.CPU <= 0 {
		t.Errorf("30 ms of work, but %v cores used", h.CPU)
	}
	// Nobody measures any more, so the thread is not overdue either, however
	// long ago it woke.
	m.Read()
	if again := m.Read(); again.Max != 0 || again.P99 != 0 {
		t.Errorf("after the stop: %+v", again)
	}
}
