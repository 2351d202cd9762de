package load

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestPacerSleep(t *testing.T) {
	us, ms := time.Microsecond, time.Millisecond
	for _, tt := range []struct {
		name                  string
		margin, now, due, gap time.Duration
		want                  time.Duration
	}{
		{"wakes a margin early", 60 * us, 0, ms, ms, 940 * us},
		{"within the margin it spins", 60 * us, 0, 59 * us, ms, 0},
		{"what is overdue is not slept for", 60 * us, ms, 0, ms, 0},
		{"at most an eighth of a gap is spun: 160/8", 60 * us, 0, 160 * us, 160 * us, 140 * us},
		{"nothing learned, nothing spun", 0, 0, ms, ms, ms},
		{"before the start", 60 * us, -ms, 0, 0, ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := pacer{margin: tt.margin}
			if got := p.sleep(tt.now, tt.due, tt.gap); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// The margin settles where one wake-up of four is later, wherever that is.
func TestPacerLearns(t *testing.T) {
	us := float64(time.Microsecond)
	for _, tt := range []struct {
		name string
		late func(*rand.Rand) float64 // in µs
		want float64                  // third quartile
	}{
		{"on time", func(*rand.Rand) float64 { return 0 }, 0},
		{"uniform in 0..80: 60", func(r *rand.Rand) float64 { return 80 * r.Float64() }, 60},
		{"exponential of mean 30: 30·ln 4 = 41.6", func(r *rand.Rand) float64 { return 30 * r.ExpFloat64() }, 41.6},
		{"hopeless: the bound", func(*rand.Rand) float64 { return 10_000 }, 150},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 1))
			p := pacer{margin: firstMargin}
			sum, n := 0.0, 0
			for i := range 20_000 {
				p.woke(time.Duration(tt.late(rng) * us))
				if i >= 2000 {
					sum += float64(p.margin) / us
					n++
				}
			}
			if got := sum / float64(n); got < tt.want-6 || got > tt.want+6 {
				t.Errorf("margin %.1f µs on average, want %.1f ± 6", got, tt.want)
			}
		})
	}
}
