package arrivals

import (
	"fmt"
	"iter"
	"math"
	"sort"
	"time"

	"golang.org/x/time/rate"
)

// Stage is one part of a load: the rate goes in a straight line from that of
// the stage before (0 at first) to To, and then stays there.
type Stage struct {
	To   rate.Limit    // rate at the end of the ramp; a stage that is only a hold repeats the To before it
	Over time.Duration // how long the ramp takes; 0 jumps
	Hold time.Duration // how long To stays
}

// Spacing is how arrivals spread under the curve of the offered rate.
type Spacing struct {
	Poisson bool   // exponential gaps; otherwise one arrival at every whole number of the integrated rate
	Seed    uint64 // for Poisson: the same seed gives the same arrivals
}

// Stages offers one stage after the other.
//
//	rate      ┌──────hold──────┐
//	  │     ╱ │                │ ╲
//	  │   ╱   │                │   ╲ over
//	  │ ╱ over│                │     ╲
//	  └───────┴────────────────┴───────▶ time
//
// The area under the curve, Λ(t), counts the arrivals that are due by t. So
// arrival i is due at Λ⁻¹(i), which is exact however long the load lasts: no
// gap is ever added to another. Within one straight piece that starts at rate r
// and changes by a per second, c arrivals into the piece,
//
//	r·t + a·t²/2 = c   ⇒   t = 2c / (r + √(r² + 2ac))
//
// the root that does not cancel, which also holds for a = 0 (t = c/r) and for
// r = 0. For Poisson arrivals i is replaced by the sum of i+1 unit
// exponentials: a Poisson process of rate 1, seen through Λ⁻¹, is the one of
// the offered rate (time change; Çınlar, Introduction to Stochastic
// Processes, ch. 4.7).
func Stages(stages []Stage, spacing Spacing) Schedule {
	s := &profile{spacing: spacing}
	at := 0.0
	for _, st := range stages {
		to := bounded(st.To)
		s.add(at, to, st.Over)
		s.add(to, to, st.Hold)
		at = to
	}
	return s
}

// Spaced is a schedule of Constant, Stages, Spike or Sine with its arrivals
// spread in another way under the same rate.
func Spaced(s Schedule, spacing Spacing) (Schedule, error) {
	switch s := s.(type) {
	case *profile:
		other := *s
		other.spacing = spacing
		return &other, nil
	case *sine:
		other := *s
		other.spacing = spacing
		return &other, nil
	default:
		return nil, fmt.Errorf("arrivals of %T are not spread under a rate", s)
	}
}

// maxRate is one arrival per nanosecond: time has no finer grain.
const maxRate = 1e9

func bounded(l rate.Limit) float64 {
	if !(l > 0) { // NaN too
		return 0
	}
	return min(float64(l), maxRate)
}

// profile is a rate in straight pieces, and how arrivals spread under it.
type profile struct {
	pieces  []piece
	spacing Spacing
	length  time.Duration
	total   float64 // area under all pieces
}

// piece is a stretch of time in which the rate changes evenly.
type piece struct {
	begin  time.Duration
	length time.Duration
	rate   float64 // per second, at the beginning
	slope  float64 // per second and second
	before float64 // arrivals due before this piece
	count  float64 // arrivals due within it
}

func (s *profile) add(from, to float64, length time.Duration) {
	if length <= 0 {
		return
	}
	sec := length.Seconds()
	p := piece{begin: s.length, length: length, rate: from, slope: (to - from) / sec, before: s.total, count: (from + to) / 2 * sec}
	s.pieces = append(s.pieces, p)
	s.length += length
	s.total += p.count
}

// after returns when, counted from the beginning of the piece, c arrivals have
// been due in it.
func (p *piece) after(c float64) time.Duration {
	if c == 0 {
		return 0 // and not 0/0 if the rate begins at 0
	}
	root := math.Sqrt(max(0, p.rate*p.rate+2*p.slope*c))
	return time.Duration(math.Round(2e9 * c / (p.rate + root)))
}

func (s *profile) Arrivals() iter.Seq[time.Duration] { return sequence(s) }

func (s *profile) Duration() time.Duration { return s.length }

func (s *profile) Rate(t time.Duration) rate.Limit {
	if t < 0 || t >= s.length {
		return 0
	}
	i := sort.Search(len(s.pieces), func(i int) bool { return s.pieces[i].begin > t }) - 1
	p := s.pieces[i]
	return rate.Limit(p.rate + p.slope*(t-p.begin).Seconds())
}

func (s *profile) stripe(k, n int) Cursor { return s.spacing.stripe(&walk{profile: s}, k, n) }

func (s Spacing) stripe(under inverse, k, n int) Cursor {
	if s.Poisson {
		return &poisson{inverse: under, rng: newExponential(s.Seed), skip: k, gap: n - 1}
	}
	return &even{inverse: under, i: uint64(k), n: uint64(n)}
}

// inverse is Λ⁻¹ for arguments that only grow.
type inverse interface {
	// due returns when the integrated rate reaches area, and false if it never does.
	due(area float64) (time.Duration, bool)
}

// walk is the inverse of a profile: the piece need not be searched for.
type walk struct {
	profile *profile
	at      int // index of the current piece
}

func (v *walk) due(area float64) (time.Duration, bool) {
	for ; v.at < len(v.profile.pieces); v.at++ {
		p := &v.profile.pieces[v.at]
		if area < p.before+p.count {
			t := p.after(area - p.before)
			if t < p.length {
				return p.begin + t, true
			}
			// It rounds up to the instant at which the piece is over: it
			// belongs there if something follows, and is not due at all if not.
			return p.begin + p.length, p.begin+p.length < v.profile.length
		}
	}
	return 0, false
}

// even has an arrival at every whole number of the integrated rate.
type even struct {
	inverse
	i, n uint64
}

func (e *even) Next() (time.Duration, bool) {
	t, ok := e.due(float64(e.i))
	e.i += e.n
	return t, ok
}
