package hist

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestSampler draws from three times, each of which the histogram keeps to a
// thousandth.
func TestSampler(t *testing.T) {
	h := New()
	for range 70 {
		h.Record(time.Millisecond)
	}
	for range 29 {
		h.Record(50 * time.Millisecond)
	}
	h.Record(2 * time.Second)
	d := h.Sampler()
	near := func(got, want time.Duration) bool {
		return got > want-want/1000-time.Microsecond && got < want+want/1000+time.Microsecond
	}
	for _, tt := range []struct {
		u    float64
		want time.Duration
	}{
		{0, time.Millisecond}, {0.699, time.Millisecond}, {0.701, 50 * time.Millisecond},
		{0.989, 50 * time.Millisecond}, {0.991, 2 * time.Second}, {1, 2 * time.Second},
	} {
		if got := d.Sample(tt.u); !near(got, tt.want) {
			t.Errorf("at %v: %v, want %v", tt.u, got, tt.want)
		}
	}
	if got := d.Mean(); !near(got, 35200*time.Microsecond) { // (70·1 + 29·50 + 2000) / 100 ms
		t.Errorf("the mean is %v, want 35.2ms", got)
	}

	// What is drawn is distributed like what was recorded.
	rng, back := rand.New(rand.NewPCG(7, 7)), New()
	for range 100_000 {
		back.Record(d.Sample(rng.Float64()))
	}
	for _, q := range []float64{0.5, 0.9, 0.999} {
		if got, want := back.Quantile(q), h.Quantile(q); !near(got, want) {
			t.Errorf("quantile %v is %v, was recorded as %v", q, got, want)
		}
	}
}

func TestSamplerOfNothing(t *testing.T) {
	d := New().Sampler()
	if d != nil || d.Sample(0.5) != 0 || d.Mean() != 0 {
		t.Errorf("an empty histogram draws %v", d.Sample(0.5))
	}
}
