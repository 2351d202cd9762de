package evidence

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// manyTicks is a run of n seconds or so on a host of the worst kind: stalls, long
// stretches without a core to spare, and seconds that are none.
func manyTicks(rng *rand.Rand, n int) *Run {
	r := &Run{}
	at, pressure := time.Duration(0), 0.0
	for range n {
		switch rng.IntN(8) {
		case 0:
			at += time.Duration(rng.IntN(3e9)) // ticks are late, or missing
		case 1:
			at += 20 * time.Millisecond
		default:
			at += time.Second
		}
		if rng.IntN(9) == 0 {
			pressure = []float64{0, 0.29, 0.3, 0.9, 0.95, 1}[rng.IntN(6)]
		}
		tick := Tick{At: at, Pressure: pressure}
		if rng.IntN(3) == 0 {
			tick.HiccupMax = Seconds(rng.IntN(8e8))
		}
		r.Ticks = append(r.Ticks, tick)
	}
	return r
}

// What is found by looking at the ticks in question is what looking at all of
// them finds.
func TestNoiseOfAStretch(t *testing.T) {
	const seed = 3
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		r := manyTicks(rng, rng.IntN(60))
		for range 200 {
			from := time.Duration(rng.IntN(70e9)) - 5*time.Second
			to := from + time.Duration(rng.IntN(20e9)) - time.Second
			if len(r.Ticks) > 0 && rng.IntN(2) == 0 { // at the very edges too
				from = r.Ticks[rng.IntN(len(r.Ticks))].At
				to = r.Ticks[rng.IntN(len(r.Ticks))].At - time.Second
			}
			if rng.IntN(20) == 0 {
				from, to = math.MinInt64, math.MaxInt64
			}
			noise, late, turned, since, n := LeastNoise, time.Duration(0), LeastNoise, time.Duration(0), 0
			before := time.Duration(0)
			for _, tick := range r.Ticks {
				in := tick.At >= from && min(before, tick.At-time.Second) <= to
				if in {
					noise, n = max(noise, tick.Noise()), n+1
				}
				if length := tick.At - before; in && length > 1500*time.Millisecond {
					noise = max(noise, length-time.Second)
				}
				before = tick.At
				if in && tick.Pressure >= contended {
					turned = turn
				}
				if tick.Pressure < piling {
					since = tick.At
				} else if in {
					late = max(late, min((tick.At-since)/4, mostLate))
				}
			}
			late = max(late, noise)
			if a, b, c := r.Noise(from, to), r.Lateness(from, to), r.Turn(from, to); a != noise || b != late || c != turned {
				t.Fatalf("seed %d: from %v to %v: noise %v, late %v, turn %v; want %v, %v, %v", seed, from, to, a, b, c, noise, late, turned)
			}
			if got := len(r.TicksIn(from, to)); got != n {
				t.Fatalf("seed %d: from %v to %v: %d ticks, want %d", seed, from, to, got, n)
			}
		}
	}
}

// The stretch of a tick that came late begins where the one before it ended, the first at 0.
func TestNoiseWhileTheHarnessStoodStill(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	r := &Run{Ticks: []Tick{{At: ms(3000)}, {At: ms(4000)}, {At: ms(8010)}, {At: ms(9000)}}}
	for _, tt := range []struct{ from, to, want time.Duration }{
		{0, ms(100), ms(2000)},
		{ms(3100), ms(3900), LeastNoise},
		{ms(5000), ms(5100), ms(3010)},
		{ms(8100), ms(9000), LeastNoise},
	} {
		if got := r.Noise(tt.from, tt.to); got != tt.want {
			t.Errorf("from %v to %v: noise %v, want %v", tt.from, tt.to, got, tt.want)
		}
	}
	if still, at := r.StoodStill(ms(4500), ms(5000)); still != ms(3010) || at != ms(8010) {
		t.Errorf("it stood still for %v until %v", still, at)
	}
	if still, _ := r.StoodStill(ms(9100), ms(10000)); still != 0 {
		t.Errorf("it stood still for %v long after it went on", still)
	}
	if begin, end, is := r.Unseen(ms(3500), ms(7000)); !is || begin != ms(4000) || end != ms(7000) {
		t.Errorf("unseen from %v to %v, %v", begin, end, is)
	}
}

// The ticks are not remembered: one that changes is seen.
func TestNoiseSeesATickThatChanges(t *testing.T) {
	r := &Run{Ticks: []Tick{{At: time.Second}, {At: 2 * time.Second}}}
	before := r.Noise(1500*time.Millisecond, 1600*time.Millisecond)
	r.Ticks[1].HiccupMax = Seconds(time.Second)
	if after := r.Noise(1500*time.Millisecond, 1600*time.Millisecond); before != LeastNoise || after != time.Second {
		t.Errorf("%v, then %v; want %v and 1s", before, after, LeastNoise)
	}
}

// Targets that take a second to stop make the last tick late, and nothing else.
func TestSlowToCloseIsNoStandstill(t *testing.T) {
	for _, c := range []struct {
		last, end time.Duration
		still     bool
	}{{9600, 8000, false}, {9600, 9500, true}, {8100, 8000, false}} {
		r := &Run{hasEnd: true, End: c.end * time.Millisecond}
		for at := time.Second; at <= 7*time.Second; at += time.Second {
			r.Ticks = append(r.Ticks, Tick{At: at})
		}
		r.Ticks = append(r.Ticks, Tick{At: c.last * time.Millisecond})
		still, _ := r.StoodStill(0, r.End)
		if problems := r.Problems(0, r.End); still > 0 != c.still || len(problems) > 0 != c.still {
			t.Errorf("closed at %d ms of %d: stood still for %v, problems %v", c.last, c.end, still, problems)
		}
	}
}

// A machine that was swamped for seconds was so for as long as some thread waited all
// the time around them: how many there are is read once a second.
func TestSwamped(t *testing.T) {
	for name, c := range map[string]struct {
		pressure string // of each second: . for little, w where some thread waits all the time, W with many threads
		from, to time.Duration
		want     time.Duration
		until    int // s
	}{
		"not at all":               {"wwwwwwwwww", 0, 10 * time.Second, 0, 0},
		"for three seconds":        {"..WWW.....", 0, 10 * time.Second, 3 * time.Second, 5},
		"for two":                  {"..WW..WW..", 0, 10 * time.Second, 0, 0},
		"asked of before":          {".wwwwWWW..", time.Second, 3 * time.Second, 3 * time.Second, 4},
		"asked of after":           {".WWWwwwww.", 6 * time.Second, 9 * time.Second, 4 * time.Second, 9},
		"it let up before":         {".WWW.wwww.", 6 * time.Second, 9 * time.Second, 0, 0},
		"it let up after":          {".www.WWWw.", time.Second, 3 * time.Second, 0, 0},
		"twice, the longer counts": {"WWW..WWWww", 0, 10 * time.Second, 5 * time.Second, 10},
	} {
		run := &Run{}
		for i, p := range c.pressure {
			tick := Tick{At: time.Duration(i+1) * time.Second, Cores: 2, Runnable: 2}
			if p != '.' {
				tick.Pressure = 1
			}
			if p == 'W' {
				tick.Runnable = 8
			}
			run.Ticks = append(run.Ticks, tick)
		}
		if got, until := run.Swamped(c.from, c.to); got != c.want || until != time.Duration(c.until)*time.Second {
			t.Errorf("%s: %v up to %v, want %v up to %d s", name, got, until, c.want, c.until)
		}
	}
}
