package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load/hist"
)

// host is a machine that runs are made on, as it is seen in practice: runs differ
// although nothing has changed, and the seconds of one are not independent.
type host struct {
	between float64 // from run to run, as a standard deviation of the logarithm
	own     float64 // the part of it that two runs at the same time do not share
	second  float64 // of the disturbance of a second
	lasting float64 // how much of a second's disturbance is left in the next one
	rate    int     // requests per second
	seconds int
}

// shared is what happens to the host in the course of a run: a factor for each
// second.
func (h host) shared(rng *rand.Rand) []float64 {
	factors := make([]float64, h.seconds)
	run, noise := h.between*rng.NormFloat64(), h.second*rng.NormFloat64()
	for i := range factors {
		factors[i] = math.Exp(run + noise)
		noise = h.lasting*noise + h.second*math.Sqrt(1-h.lasting*h.lasting)*rng.NormFloat64()
	}
	return factors
}

// run is a run of a service whose response time is so many times 10 ms to 30 ms, of
// which a share fails.
func (h host) run(rng *rand.Rand, shared []float64, times, fails float64) Run {
	length := time.Duration(h.seconds) * time.Second
	block := BlockLength(length)
	r := Run{Dir: fmt.Sprint(rng.Uint64()), Started: time.Unix(rng.Int64N(1e9), 0), Length: length,
		Conditions: []Condition{{"load.rate", fmt.Sprint(h.rate)}, {"host", "a"}},
		Claims:     []Claim{{Name: "steady", Ruling: judge.Held}}}
	route := Route{Name: "get"}
	own := math.Exp(h.own * rng.NormFloat64())
	for second, factor := range shared {
		at := time.Duration(second) * time.Second
		if at%block == 0 {
			route.Blocks = append(route.Blocks, Block{From: at, To: min(at+block, length), Times: hist.New()})
		}
		b := &route.Blocks[len(route.Blocks)-1]
		for range h.rate {
			took := 10e6 + min(rng.ExpFloat64()*2e6, 20e6)
			b.Times.Record(time.Duration(took * factor * own * times))
			b.Requests++
			if rng.Float64() >= fails {
				b.OK++
			}
		}
	}
	r.Routes = []Route{route}
	return r
}

// sides are so many runs on each side, now being so many times slower.
func (h host) sides(rng *rand.Rand, runs int, times, fails float64) (s Sides) {
	for range runs {
		s.Base = append(s.Base, h.run(rng, h.shared(rng), 1, 0))
		s.Now = append(s.Now, h.run(rng, h.shared(rng), times, fails))
	}
	return s
}

func (h host) duet(rng *rand.Rand, times, fails float64) Sides {
	shared := h.shared(rng)
	s := Sides{Base: []Run{h.run(rng, shared, 1, 0)}, Now: []Run{h.run(rng, shared, times, fails)}}
	s.Now[0].Started = s.Base[0].Started
	return s
}

var (
	steadyHost = host{between: 0.01, own: 0.003, second: 0.03, lasting: 0.8, rate: 60, seconds: 30}
	shakyHost  = host{between: 0.03, own: 0.005, second: 0.1, lasting: 0.8, rate: 60, seconds: 30}
	busyLoad   = host{between: 0.03, own: 0.005, second: 0.1, lasting: 0.8, rate: 400, seconds: 30}
)

// oneOfEach is whether a simulation is made once, and says nothing of how often.
var oneOfEach bool

// counted is how often comparisons came to what.
func counted(n int, sides func(rng *rand.Rand) Sides) (count [Worse + 1]int) {
	for seed := range n {
		count[Compare(sides(rand.New(rand.NewPCG(1, uint64(seed)))), Defaults()).Ruling]++
	}
	return count
}

// TestHowOftenItIsWrong: equal systems are called worse by chance hardly ever, and
// a tenth more is found, where the way of comparing can.
func TestHowOftenItIsWrong(t *testing.T) {
	rounds := func(h host, times, fails float64) func(*rand.Rand) Sides {
		return func(rng *rand.Rand) Sides { return h.sides(rng, 5, times, fails) }
	}
	duet := func(h host, times, fails float64) func(*rand.Rand) Sides {
		return func(rng *rand.Rand) Sides { return h.duet(rng, times, fails) }
	}
	single := func(h host, times, fails float64) func(*rand.Rand) Sides {
		return func(rng *rand.Rand) Sides { return h.sides(rng, 1, times, fails) }
	}
	withHistory := func(h host, times float64) func(*rand.Rand) Sides {
		return func(rng *rand.Rand) Sides {
			s := h.sides(rng, 1, times, 0)
			s.History = h.sides(rng, 8, 1, 0).Base
			return s
		}
	}
	for _, c := range []struct {
		name        string
		sides       func(*rand.Rand) Sides
		n           int
		most, least int // called worse
	}{
		{"equal rounds, steady", rounds(steadyHost, 1, 0), 10, 0, 0},
		{"equal rounds, shaky", rounds(shakyHost, 1, 0), 30, 1, 0},
		{"rounds +10%, steady", rounds(steadyHost, 1.1, 0), 10, 10, 10},
		{"rounds, 1% fails", rounds(steadyHost, 1, 0.01), 10, 10, 10},
		{"equal duets, steady", duet(steadyHost, 1, 0), 20, 0, 0},
		{"equal duets, shaky", duet(shakyHost, 1, 0), 100, 2, 0},
		{"duets +10%, steady", duet(steadyHost, 1.1, 0), 20, 20, 20},
		{"equal duets with a p99", duet(busyLoad, 1, 0), 10, 1, 0},
		{"duets +10%, shaky", duet(shakyHost, 1.1, 0), 20, 20, 20},
		{"duets, 2% fails", duet(shakyHost, 1, 0.02), 20, 20, 20},
		{"equal single pairs, shaky", single(shakyHost, 1, 0), 100, 0, 0},
		{"single pairs, twice as slow", single(shakyHost, 2, 0), 20, 20, 20},
		{"equal single pairs with a history", withHistory(shakyHost, 1), 20, 1, 0},
		{"single pairs +30% with a history", withHistory(steadyHost, 1.3), 20, 20, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if oneOfEach {
				c.n, c.most, c.least = 1, 1, 0
			}
			got := counted(c.n, c.sides)
			t.Logf("of %d: %d worse, %d undecided, %d not worse", c.n, got[Worse], got[Undecided], got[NotWorse])
			if got[Worse] > c.most || got[Worse] < c.least {
				t.Errorf("%d of %d are called worse, want %d to %d", got[Worse], c.n, c.least, c.most)
			}
		})
	}
}
