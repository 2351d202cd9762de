package arrivals

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
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
		{
			"a spike of 4/s in 1/s, from 2 s for 1 s: 2 before it, 4 in it, 1 behind it",
			Spike(1, 4, 2*time.Second, time.Second, 4*time.Second),
			times(0, 1000, 2000, 2250, 2500, 2750, 3000),
		},
		{"a spike that reaches past the end", Spike(1, 2, time.Second, time.Hour, 2*time.Second), times(0, 1000, 1500)},
		{"a spike behind the end", Spike(1, 100, time.Hour, time.Hour, 2*time.Second), times(0, 1000)},
		{"a spike before the start has its whole length", Spike(1, 2, -time.Second, time.Second, 2*time.Second), times(0, 500, 1000)},
		{"a spike of nothing", Spike(1, 2, 0, 0, -1), nil},
		{
			// Λ(t) = 2t + (1 − cos 2πt)/2π·2: Λ(1/2) = 1 + 2/π, Λ(1) = 2, and by symmetry Λ is i at whole seconds for even i.
			// Arrival 1: t + (1 − cos 2πt)/2π = 1/2 ⇒ t = 0.2877… by bisection to 20 digits.
			"sine of 2/s ± 2/s around 1 s", Sine(2, 2, time.Second, 2*time.Second), []time.Duration{0, sineAt(1), time.Second, time.Second + sineAt(1)},
		},
		{"a flat sine is constant", Sine(10, 0, time.Second, 400*ms), times(0, 100, 200, 300)},
		{"a sine without a period is constant", Sine(10, 5, 0, 400*ms), times(0, 100, 200, 300)},
		{"a sine of nothing", Sine(0, 5, time.Second, time.Second), nil},
		{"a sine without time", Sine(5, 5, time.Second, -1), nil},
		{"a sine cannot go below 0: 2/s ± 9/s is 2/s ± 2/s", Sine(2, 9, time.Second, time.Second), []time.Duration{0, sineAt(1)}},
		{"a replay", mustReplay(t, 5, 5, time.Second), []time.Duration{5, 5, time.Second}},
		{"a replay of nothing", mustReplay(t), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, slices.Collect(tt.s.Arrivals())); diff != "" {
				t.Errorf("arrivals (-want +got):\n%s", diff)
			}
		})
	}
}

// sineAt is when the count-th arrival of 2/s ± 2/s around 1 s is due, by
// bisection of what the rate integrates to.
func sineAt(count float64) time.Duration {
	low, high := 0.0, 1.0
	for range 100 {
		t := (low + high) / 2
		if 2*t+(1-math.Cos(2*math.Pi*t))/math.Pi < count {
			low = t
		} else {
			high = t
		}
	}
	return time.Duration(math.Round(low * 1e9))
}

func mustReplay(t *testing.T, times ...time.Duration) Schedule {
	t.Helper()
	s, err := Replay(times)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReplayRefuses(t *testing.T) {
	for _, times := range [][]time.Duration{{-1}, {0, 2, 1}} {
		if s, err := Replay(times); err == nil {
			t.Errorf("%v: got %v and no error", times, s)
		}
	}
}

// However long a sine lasts, arrival i is where the integrated rate is i: after
// 10,000 hours, with 36 billion arrivals before, as in the first period.
func TestSineDoesNotDrift(t *testing.T) {
	const before = 600_000 // periods of a minute, each with 60,000 arrivals
	s := Sine(1000, 900, time.Minute, 2*before*time.Minute).(*sine)
	first, later := &even{s, 0, 1}, &even{s, before * 60_000, 1}
	for i := range 60_000 {
		a, _ := first.Next()
		b, ok := later.Next()
		if d := b - a - before*time.Minute; !ok || d != 0 {
			t.Fatalf("arrival %d of the period: %v into the first, %v off in period %d", i, a, d, before)
		}
	}
}

// Where the rate is 0 for a moment hardly anything is due, and the inverse of
// its integral is steep: nothing may come out of order there.
func TestSineIsMonotone(t *testing.T) {
	for _, tt := range []struct {
		mid     rate.Limit
		periods int
	}{{0.1, 3}, {7, 3}, {1e3, 3}, {1e5, 1}} { // a million arrivals take seconds; the next period is like it, or it drifts
		mid, total := tt.mid, time.Duration(tt.periods)*10*time.Second
		s := Sine(mid, mid, 10*time.Second, total)
		n, last := 0, time.Duration(-1)
		for at := range s.Arrivals() {
			if at < last {
				t.Fatalf("%v/s: arrival %d at %v, after one at %v", mid, n, at, last)
			}
			last = at
			n++
		}
		if want := int(math.Ceil(float64(mid) * total.Seconds())); n != want {
			t.Errorf("%v/s: %d arrivals in %d periods of 10 s, want %d", mid, n, tt.periods, want)
		}
	}
}

func TestSineRate(t *testing.T) {
	s := Sine(100, 50, 4*time.Second, 9*time.Second)
	for _, tt := range []struct {
		at   time.Duration
		want rate.Limit
	}{
		{-1, 0}, {0, 100}, {time.Second, 150}, {2 * time.Second, 100}, {3 * time.Second, 50}, {5 * time.Second, 150}, {9*time.Second - 1, 150}, {9 * time.Second, 0},
	} {
		if got := s.Rate(tt.at); math.Abs(float64(got-tt.want)) > 1e-6 {
			t.Errorf("rate at %v: got %v, want %v", tt.at, got, tt.want)
		}
	}
}

func TestReplayRate(t *testing.T) {
	s := mustReplay(t, 0, 999*time.Millisecond, time.Second, 3500*time.Millisecond)
	if got, want := s.Duration(), 4*time.Second; got != want {
		t.Errorf("duration: got %v, want %v", got, want)
	}
	for at, want := range map[time.Duration]rate.Limit{-1: 0, 0: 2, time.Second - 1: 2, time.Second: 1, 2 * time.Second: 0, 4*time.Second - 1: 1, 4 * time.Second: 0} {
		if got := s.Rate(at); got != want {
			t.Errorf("rate at %v: got %v, want %v", at, got, want)
		}
	}
}

func TestReadTimes(t *testing.T) {
	for text, want := range map[string][]time.Duration{
		"0\n0.25\n\n# more\n 1e1 \r\n": times(0, 250, 10_000),
		"0s\n250ms\n250ms\n1m":         times(0, 250, 250, 60_000),
		"2026-11-24T03:00:00Z\n2026-11-24T03:00:00.5Z\n2026-11-24T04:00:01+01:00\n": times(0, 500, 1000),
	} {
		got, err := ReadTimes(strings.NewReader(text))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: error %v, -want +got:\n%s", text, err, diff)
		}
	}
}

func TestReadTimesRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "there are no times",
		"# 1\n\n":                 "there are no times",
		"now":                     `line 1: "now" is neither seconds`,
		"NaN":                     `line 1: "NaN" is neither seconds`,
		"-1":                      `line 1: "-1" is before the start`,
		"-1s":                     `line 1: "-1s" is before the start`,
		"1\n\n0.5":                `line 3: "0.5" is before the line above it`,
		"0\n-1e300":               `line 2: "-1e300" is before the line above it`,
		"1700000000":              `line 1: "1700000000" is more than a year after the start`,
		"0\n1e300":                "line 2: \"1e300\" is more than a year",
		"9000h":                   "line 1: \"9000h\" is more than a year",
		"1\n250ms":                `line 2: "250ms" is neither`,
		"1s\n2":                   `line 2: "2" is not a duration`,
		"2026-11-24T03:00:00Z\n5": `line 2: "5" is not a timestamp`,
		"2026-11-24T03:00:00Z\n2026-11-23T03:00:00Z": "line 2: ",
		"1\n" + strings.Repeat("1", 100_000):         "line 2: ",
	} {
		if got, err := ReadTimes(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v and error %v, want %q in it", text, got, err, want)
		}
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
	c := &even{inverse: &walk{profile: Constant(hz, 2*seconds*time.Second).(*profile)}, i: hz * seconds, n: 1}
	got, ok := c.Next()
	if want := seconds * time.Second; !ok || got != want {
		t.Errorf("arrival %d: got %v, want %v", int(hz*seconds), got, want)
	}
}

func spaced(t *rapid.T, s Schedule) Schedule {
	s, err := Spaced(s, Spacing{Poisson: rapid.Bool().Draw(t, "poisson"), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Under a sine with Poisson arrivals most come where the rate is high, and as
// many in all as without, but for chance.
func TestSpacedSine(t *testing.T) {
	s, err := Spaced(Sine(1000, 1000, 10*time.Second, 10*time.Second), Spacing{Poisson: true, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	high, all := 0, 0
	for at := range s.Arrivals() {
		all++
		if at < 5*time.Second {
			high++
		}
	}
	if all == 10_000 || all < 9_500 || all > 10_500 { // 10,000 ± 5·√10,000
		t.Errorf("%d arrivals, want near 10,000 and not exactly that", all)
	}
	if high < 7_730 || high > 8_640 { // 5,000 + 1,000·10/π = 8,183 ± 5·√8,183
		t.Errorf("%d in the first half, want near 8,183", high)
	}
	if _, err := Spaced(mustReplay(t, 0), Spacing{}); err == nil {
		t.Error("a replay has its times and no others")
	}
}

func anySchedule(t *rapid.T) Schedule {
	// rapid prefers small numbers, of which most schedules have no arrival.
	part := func(name string) float64 {
		if rapid.IntRange(0, 9).Draw(t, name+" is 0") == 9 {
			return 0
		}
		return rand.New(rand.NewPCG(rapid.Uint64().Draw(t, name), 7)).Float64()
	}
	limit := func(name string) rate.Limit { return rate.Limit(500 * part(name)) }
	span := func(name string) time.Duration { return time.Duration(3e9 * part(name)) }
	switch rapid.SampledFrom([]string{"stages", "spike", "sine", "replay"}).Draw(t, "kind") {
	case "spike":
		return spaced(t, Spike(limit("base"), limit("peak"), span("at"), span("for"), span("duration")))
	case "sine":
		mid := limit("mid")
		return spaced(t, Sine(mid, min(mid, limit("amplitude")), 1+span("period"), span("duration")))
	case "replay":
		times := rapid.SliceOf(rapid.Map(rapid.Int64Range(0, 3e9), func(n int64) time.Duration { return time.Duration(n) })).Draw(t, "times")
		slices.Sort(times)
		s, err := Replay(times)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	var stages []Stage
	for range rapid.IntRange(1, 4).Draw(t, "stages") {
		stages = append(stages, Stage{
			To:   limit("to"),
			Over: span("over"),
			Hold: span("hold"),
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
			c, stop := Stripe(s, k, n)
			for i := k; ; i += n {
				at, ok := c.Next()
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
		at := time.Duration(rapid.Int64Range(0, int64(s.Duration())).Draw(t, "at"))
		var want float64
		switch s := s.(type) {
		case *profile:
			if s.spacing.Poisson {
				return
			}
			want = area(s, at)
		case *sine:
			if s.spacing.Poisson {
				return
			}
			want = sineArea(s, at)
		case replay:
			at = at.Truncate(time.Second)
			for second := time.Duration(0); second < at; second += time.Second {
				want += float64(s.Rate(second + 1)) // for one second
			}
		}
		due, _ := slices.BinarySearch(got, at)
		// Arrival i comes when the area reaches i: by then there are ⌈area⌉.
		if math.Abs(float64(due)-want) > 1+1e-3 {
			t.Fatalf("%d arrivals before %v, area under the rate %.3f", due, at, want)
		}
	})
}

// sineArea sums the rate up period by period, by the midpoint rule: of a whole
// period it is exact, of a part with 1000 steps good to 10⁻⁶ of what is due.
func sineArea(s *sine, until time.Duration) float64 {
	const steps = 1000
	h := (until % s.period).Seconds() / steps
	sum := s.mid * (until - until%s.period).Seconds()
	for i := range steps {
		sum += h * (s.mid + s.amplitude*math.Sin(2*math.Pi*h*(float64(i)+0.5)/s.period.Seconds()))
	}
	return sum
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
		{"sine", Sine(1e5, 9e4, time.Hour, long)},
		{"foreign", foreign{Constant(1e5, long)}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			c, stop := Stripe(bb.s, 0, 1)
			defer stop()
			b.ReportAllocs()
			for b.Loop() {
				c.Next()
			}
		})
	}
}
