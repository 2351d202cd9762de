package load

import (
	"math"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"
	"pgregory.net/rapid"
)

func times(ms ...float64) []time.Duration {
	out := make([]time.Duration, len(ms))
	for i, m := range ms {
		out[i] = time.Duration(math.Round(m * 1e6))
	}
	return out
}

func TestScheduleArrivals(t *testing.T) {
	ms := time.Millisecond
	tests := []struct {
		name string
		s    Schedule
		want []time.Duration
	}{
		{"i/10 s for i below 10·0.5 s", Constant(10, 500*ms), times(0, 100, 200, 300, 400)},
		{"a part of a gap at the end still begins with an arrival: 10·0.41 = 4.1", Constant(10, 410*ms), times(0, 100, 200, 300, 400)},
		{"thirds are rounded to the nearest nanosecond, each by itself", Constant(3, time.Second), []time.Duration{0, 333333333, 666666667}},
		{"slower than one per duration", Constant(0.5, time.Second), times(0)},
		{"no rate", Constant(0, time.Second), nil},
		{"a negative rate is none", Constant(-1, time.Second), nil},
		{"NaN is none", Constant(rate.Limit(math.NaN()), time.Second), nil},
		{"no time", Constant(10, 0), nil},
		{"negative time", Constant(10, -time.Second), nil},
		{"infinite is one per nanosecond", Constant(rate.Inf, 4), []time.Duration{0, 1, 2, 3}},
		{
			"ramp from 0 to 8/s in 1 s: 8·t²/2 = i ⇒ t = √(i/4)",
			Stages([]Stage{{To: 8, Over: time.Second}}, Spacing{}),
			[]time.Duration{0, 500 * ms, 707106781, 866025404},
		},
		{
			"ramp from 8/s to 0 in 1 s is the mirror image: 8t − 4t² = i ⇒ t = 1 − √(1 − i/4)",
			Stages([]Stage{{To: 8}, {To: 0, Over: time.Second}}, Spacing{}),
			[]time.Duration{0, 133974596, 292893219, 500 * ms},
		},
		{
			"2/s for 1 s, 4/s for 1 s: arrivals 2..5 at 1 s + (i−2)/4",
			Stages([]Stage{{To: 2, Hold: time.Second}, {To: 4, Hold: time.Second}}, Spacing{}),
			times(0, 500, 1000, 1250, 1500, 1750),
		},
		{
			"silence in between, in which nothing is due",
			Stages([]Stage{{To: 2, Hold: time.Second}, {To: 0, Hold: time.Second}, {To: 2, Hold: time.Second}}, Spacing{}),
			times(0, 500, 2000, 2500),
		},
		{
			"half an arrival is carried into the next stage: 1.5 + 2·t = 2 ⇒ t = 0.25 s",
			Stages([]Stage{{To: 3, Hold: 500 * ms}, {To: 2, Hold: 500 * ms}}, Spacing{}),
			[]time.Duration{0, 333333333, 750 * ms},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, slices.Collect(tt.s.Arrivals())); diff != "" {
				t.Errorf("arrivals (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScheduleRate(t *testing.T) {
	s := Stages([]Stage{{To: 100, Over: 2 * time.Second, Hold: time.Second}, {To: 40, Hold: time.Second}}, Spacing{})
	if got, want := s.Duration(), 4*time.Second; got != want {
		t.Errorf("duration: got %v, want %v", got, want)
	}
	for _, tt := range []struct {
		at   time.Duration
		want rate.Limit
	}{
		{-1, 0}, {0, 0}, {time.Second, 50}, {2 * time.Second, 100}, {3*time.Second - 1, 100}, {3 * time.Second, 40}, {4*time.Second - 1, 40}, {4 * time.Second, 0},
	} {
		if got := s.Rate(tt.at); math.Abs(float64(got-tt.want)) > 1e-6 {
			t.Errorf("rate at %v: got %v, want %v", tt.at, got, tt.want)
		}
	}
}

// A million seconds into a load the schedule is as exact as at its beginning.
func TestScheduleDoesNotDrift(t *testing.T) {
	const hz, seconds = 30, 1e6
	c := &even{inverse: inverse{profile: Constant(hz, 2*seconds*time.Second).(*profile)}, i: hz * seconds, n: 1}
	got, ok := c.next()
	if want := seconds * time.Second; !ok || got != want {
		t.Errorf("arrival %d: got %v, want %v", int(hz*seconds), got, want)
	}
}

func anySchedule(t *rapid.T) Schedule {
	var stages []Stage
	for range rapid.IntRange(1, 4).Draw(t, "stages") {
		stages = append(stages, Stage{
			To:   rate.Limit(rapid.Float64Range(0, 500).Draw(t, "to")),
			Over: time.Duration(rapid.Int64Range(0, 2e9).Draw(t, "over")),
			Hold: time.Duration(rapid.Int64Range(0, 2e9).Draw(t, "hold")),
		})
	}
	return Stages(stages, Spacing{Poisson: rapid.Bool().Draw(t, "poisson"), Seed: rapid.Uint64().Draw(t, "seed")})
}

// foreign hides what this package knows of a schedule.
type foreign struct{ Schedule }

// A rate split in stripes is the rate: dealt out to n loops and put together
// again, every arrival is there, once, and where it was.
func TestStripesAreTheSchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySchedule(t)
		want := slices.Collect(s.Arrivals())
		if rapid.Bool().Draw(t, "foreign") {
			s = foreign{s}
		}
		n := rapid.IntRange(1, 7).Draw(t, "n")
		got := make([]time.Duration, len(want))
		seen := 0
		for k := range n {
			c, stop := stripe(s, k, n)
			for i := k; ; i += n {
				at, ok := c.next()
				if !ok {
					break
				}
				if i >= len(want) {
					t.Fatalf("stripe %d of %d has arrival %d of %d", k, n, i, len(want))
				}
				got[i] = at
				seen++
			}
			stop()
		}
		if seen != len(want) || !slices.Equal(got, want) {
			t.Fatalf("%d stripes have %d arrivals, the schedule has %d, or they differ", n, seen, len(want))
		}
	})
}

// However the stages look: in order, within the schedule, the same each time,
// and up to any moment as many as the area under the rate.
func TestArrivalsFollowTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySchedule(t)
		got := slices.Collect(s.Arrivals())
		if again := slices.Collect(s.Arrivals()); !slices.Equal(got, again) {
			t.Fatal("a second walk differs from the first")
		}
		if !slices.IsSorted(got) {
			t.Fatal("out of order")
		}
		if len(got) > 0 && (got[0] < 0 || got[len(got)-1] >= s.Duration()) {
			t.Fatalf("arrivals from %v to %v are not within [0, %v)", got[0], got[len(got)-1], s.Duration())
		}
		if p := s.(*profile); !p.spacing.Poisson {
			at := time.Duration(rapid.Int64Range(0, int64(s.Duration())).Draw(t, "at"))
			due, _ := slices.BinarySearch(got, at)
			// Arrival i comes when the area reaches i: by then there are ⌈area⌉.
			if area := area(p, at); math.Abs(float64(due)-area) > 1+1e-6 {
				t.Fatalf("%d arrivals before %v, area under the rate %.3f", due, at, area)
			}
		}
	})
}

// area sums the rate up in small steps, to be independent of the closed form.
func area(p *profile, until time.Duration) float64 {
	sum := 0.0
	for _, piece := range p.pieces {
		end := min(until, piece.begin+piece.length)
		if end <= piece.begin {
			continue
		}
		const steps = 64 // exact for straight lines by the midpoint rule, whatever their number
		h := (end - piece.begin).Seconds() / steps
		for i := range steps {
			sum += h * (piece.rate + piece.slope*h*(float64(i)+0.5))
		}
	}
	return sum
}

// Kolmogorov-Smirnov: gaps of a Poisson process are exponential. With n gaps
// the largest distance exceeds 1.95/√n in 1 of 1,000 seeds; this seed is fixed.
func TestPoissonGapsAreExponential(t *testing.T) {
	const hz = 1000.0
	var gaps []float64
	last := time.Duration(0)
	for at := range Poisson(hz, 20*time.Second, 1).Arrivals() {
		gaps = append(gaps, (at - last).Seconds())
		last = at
	}
	sort.Float64s(gaps)
	worst := 0.0
	for i, g := range gaps {
		p := 1 - math.Exp(-hz*g)
		worst = max(worst, p-float64(i)/float64(len(gaps)), float64(i+1)/float64(len(gaps))-p)
	}
	if limit := 1.95 / math.Sqrt(float64(len(gaps))); worst > limit {
		t.Errorf("%d gaps: distance %.4f from the exponential law, want at most %.4f", len(gaps), worst, limit)
	}
	// 20,000 expected; the standard deviation of a Poisson count is its root, 141.
	if n := len(gaps); n < 20000-4*141 || n > 20000+4*141 {
		t.Errorf("%d arrivals, want 20000 ± 564", n)
	}
}

// Time-changed: in a ramp from 0, a quarter of the arrivals fall in the first half.
func TestPoissonFollowsRamp(t *testing.T) {
	s := Stages([]Stage{{To: 2000, Over: 20 * time.Second}}, Spacing{Poisson: true, Seed: 3})
	first, all := 0, 0
	for at := range s.Arrivals() {
		if at < 10*time.Second {
			first++
		}
		all++
	}
	// 2000·20/2 = 20,000 in all, 5,000 in the first half; four deviations of √n.
	if math.Abs(float64(all-20000)) > 566 || math.Abs(float64(first-5000)) > 283 {
		t.Errorf("got %d in the first half of %d, want 5000±283 of 20000±566", first, all)
	}
}

func TestPoissonSeeds(t *testing.T) {
	one := slices.Collect(Poisson(100, time.Second, 1).Arrivals())
	two := slices.Collect(Poisson(100, time.Second, 2).Arrivals())
	if slices.Equal(one, two) {
		t.Error("seeds 1 and 2 give the same arrivals")
	}
}

func TestArrivalsCanBeLeftEarly(t *testing.T) {
	for _, s := range []Schedule{Constant(10, time.Second), Poisson(10, time.Second, 1)} {
		n := 0
		for range s.Arrivals() {
			if n++; n == 3 {
				break
			}
		}
		if n != 3 {
			t.Errorf("got %d arrivals, want 3", n)
		}
	}
}

func BenchmarkStripe(b *testing.B) {
	long := 1000 * time.Hour
	for _, bb := range []struct {
		name string
		s    Schedule
	}{
		{"constant", Constant(1e5, long)},
		{"poisson", Poisson(1e5, long, 1)},
		{"ramp", Stages([]Stage{{To: 1e5, Over: long}}, Spacing{})},
		{"foreign", foreign{Constant(1e5, long)}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			c, stop := stripe(bb.s, 0, 1)
			defer stop()
			b.ReportAllocs()
			for b.Loop() {
				c.next()
			}
		})
	}
}
