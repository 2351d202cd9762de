package load

import (
	"math/rand/v2"
	"runtime"
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
	m := StartMeter()
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
