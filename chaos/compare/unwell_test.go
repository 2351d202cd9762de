package compare

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// crowd makes a run one of a machine that others have taken: so many times slower.
func crowd(r *Run, times float64) {
	r.Unwell = []string{"the machine's cores were taken in 2 s: by others"}
	for i := range r.Routes {
		for k := range r.Routes[i].Blocks {
			b := &r.Routes[i].Blocks[k]
			slower := b.Times.Quantile(0.5)
			for range 4 * b.Requests {
				b.Times.Record(time.Duration(float64(slower) * times))
			}
		}
	}
}

// Runs on a machine that was taken are left out and told, as long as enough are left.
func TestUnwellRounds(t *testing.T) {
	for _, c := range []struct {
		name   string
		slower float64 // the new side
		change func(s *Sides)
		want   Ruling
		says   string // among reasons and notes
	}{
		{"one of the old", 1, func(s *Sides) { crowd(&s.Base[1], 3) }, NotWorse, "left out, because the harness was unwell: "},
		{"two of each", 1, func(s *Sides) {
			for i := range 2 {
				crowd(&s.Base[i], 3)
				crowd(&s.Now[i+1], 4)
			}
		}, NotWorse, "(the machine's cores were taken in 2 s)"},
		{"one of the new", 1, func(s *Sides) { crowd(&s.Now[1], 3) }, NotWorse, "left out"},
		{"two of the new", 1, func(s *Sides) { crowd(&s.Now[1], 3); crowd(&s.Now[2], 3) }, Undecided,
			"unwell in 2 runs of the new side and in 0 of the old"},
		{"two of a new one that is slower all the same", 1.1, func(s *Sides) { crowd(&s.Now[1], 1); crowd(&s.Now[2], 1) }, Worse, "left out"},
		{"too few are left", 1, func(s *Sides) {
			for i := range 3 {
				crowd(&s.Base[i], 3)
			}
		}, Undecided, "the harness was unwell in "},
		{"it did not send", 1, func(s *Sides) { crowd(&s.Base[1], 1); s.Base[1].Damaged = s.Base[1].Unwell }, Undecided,
			"the harness was unwell in "},
		{"it was cut short", 1, func(s *Sides) { crowd(&s.Now[1], 1); s.Now[1].Partial = "a limit" }, Undecided, "was cut short: a limit"},
	} {
		s := quiet.sides(rand.New(rand.NewPCG(7, 7)), 5, c.slower, 0)
		c.change(&s)
		got := Compare(s, Tolerances{"p50": {0.03, 0.2}, "p90": {0.03, 0.2}})
		if said := strings.Join(append(got.Reasons, got.Notes...), "\n"); got.Ruling != c.want || !strings.Contains(said, c.says) {
			t.Errorf("%s: %s because of\n%s\nwant %s, %q", c.name, got.Ruling, said, c.want, c.says)
		}
		if len(got.Base) != 5 || len(got.Now) != 5 {
			t.Errorf("%s: %d and %d runs are told", c.name, len(got.Base), len(got.Now))
		}
	}
}

// Where each run of two equal systems may be taken, one of them is called worse no more
// often for it.
func TestUnwellRoundsAlarmNoMore(t *testing.T) {
	worse, decided := 0, 0
	const n = 60
	for seed := range uint64(n) {
		rng := rand.New(rand.NewPCG(11, seed))
		s := steadyHost.sides(rng, 5, 1, 0)
		for _, side := range [][]Run{s.Base, s.Now} {
			for i := range side {
				if rng.Float64() < 0.15 {
					crowd(&side[i], 1.5)
				}
			}
		}
		switch Compare(s, Tolerances{"p50": {0.03, 0.2}}).Ruling {
		case Worse:
			worse++
		case NotWorse:
			decided++
		}
	}
	if worse > 1 || decided < n/2 {
		t.Errorf("of %d: %d worse, %d not worse", n, worse, decided)
	}
	t.Logf("of %d: %d worse, %d not worse", n, worse, decided)
}
