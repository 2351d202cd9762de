package compare

import (
	"fmt"
	"slices"

	"github.com/stormctl/stormctl/chaos/judge"
)

// Claimed is a claim on both sides: in how many runs it came to what.
type Claimed struct {
	Name   string  `json:"claim"`
	Base   Rulings `json:"base"`
	Now    Rulings `json:"now"`
	Ruling Ruling  `json:"ruling"`
	Gated  bool    `json:"gated"` // the ruling counts
	Reason string  `json:"reason"`
}

// Rulings counts them.
type Rulings struct {
	Held         int `json:"held"`
	Inconclusive int `json:"inconclusive"`
	Refuted      int `json:"refuted"`
}

func (r Rulings) runs() int { return r.Held + r.Inconclusive + r.Refuted }

// String is for people: held, or "held in 4 of 5, refuted in 1".
func (r Rulings) String() string {
	switch r.runs() {
	case r.Held:
		return judge.Held.String()
	case r.Refuted:
		return judge.Refuted.String()
	case r.Inconclusive:
		return judge.Inconclusive.String()
	}
	text := ""
	for _, part := range []struct {
		n    int
		what judge.Ruling
	}{{r.Held, judge.Held}, {r.Inconclusive, judge.Inconclusive}, {r.Refuted, judge.Refuted}} {
		switch {
		case part.n == 0:
		case text == "":
			text = fmt.Sprintf("%s in %d of %d", part.what, part.n, r.runs())
		default:
			text += fmt.Sprintf(", %s in %d", part.what, part.n)
		}
	}
	return text
}

// claims compares the claims that all runs have.
func claims(s Sides) []Claimed {
	all := []Claimed{}
	for _, first := range s.Base[0].Claims {
		base, inBase := count(s.Base, first.Name)
		now, inNow := count(s.Now, first.Name)
		if !inBase || !inNow {
			continue
		}
		c := Claimed{Name: first.Name, Base: base, Now: now}
		c.Ruling, c.Gated, c.Reason = compareRulings(base, now)
		all = append(all, c)
	}
	return all
}

// count counts the rulings of a claim; whole is false if a run does not have it.
func count(runs []Run, name string) (n Rulings, whole bool) {
	for _, r := range runs {
		i := slices.IndexFunc(r.Claims, func(c Claim) bool { return c.Name == name })
		if i < 0 {
			return n, false
		}
		switch r.Claims[i].Ruling {
		case judge.Held:
			n.Held++
		case judge.Inconclusive:
			n.Inconclusive++
		default:
			n.Refuted++
		}
	}
	return n, true
}

// compareRulings says whether a claim is worse. A ruling has its confidence already:
// what was held and is refuted in half of the runs or more is worse. A claim that
// neither side could tell decides nothing.
func compareRulings(base, now Rulings) (Ruling, bool, string) {
	part := func(n int, r Rulings) float64 { return float64(n) / float64(r.runs()) }
	switch {
	case base.Held == 0 && base.Refuted == 0 && now.Held == 0 && now.Refuted == 0:
		return Undecided, false, "inconclusive on both sides"
	case base.Refuted == 0 && base.Held > 0 && 2*now.Refuted >= now.runs():
		return Worse, true, fmt.Sprintf("it was %s, and is %s", base, now)
	case part(now.Refuted, now) > part(base.Refuted, base):
		return Undecided, true, fmt.Sprintf("it was %s, and is %s", base, now)
	case base.Held > 0 && now.Held == 0 && now.Refuted == 0:
		return Undecided, true, fmt.Sprintf("it was %s, and is inconclusive", base)
	}
	return NotWorse, true, "no worse than it was"
}
