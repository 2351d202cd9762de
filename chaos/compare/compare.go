package compare

import (
	"fmt"
	"slices"
	"time"
)

// Ruling is what a comparison came to. It orders from good to bad.
type Ruling uint8

const (
	NotWorse  Ruling = iota // within its tolerance, with Confidence
	Undecided               // these runs cannot say
	Worse                   // beyond its tolerance, with Confidence
)

var rulingNames = [...]string{"not worse", "undecided", "worse"}

func (r Ruling) String() string { return rulingNames[r] }

func (r Ruling) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r *Ruling) UnmarshalText(text []byte) error {
	i := slices.Index(rulingNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("unknown ruling %q", text)
	}
	*r = Ruling(i)
	return nil
}

// Confidence is that of every bound and every ruling; of worse it is so over all
// rows together.
const Confidence = 0.95

const alpha = 1 - Confidence

// Sides are the runs that are compared.
type Sides struct {
	Base, Now []Run
	History   []Run // earlier runs of the base, for how much it differs by itself; none is not known
}

// The ways of a comparison.
const (
	Rounds = "rounds" // several runs on a side at least
	Duet   = "duet"   // one a side, at the same time under the same schedule
	Single = "single" // one a side, each at its own time
)

// Way is how these sides are compared.
func (s Sides) Way() string {
	switch {
	case len(s.Base) > 1 || len(s.Now) > 1:
		return Rounds
	case len(s.Base) == 1 && len(s.Now) == 1 && s.Base[0].Started.Equal(s.Now[0].Started) && s.Base[0].Dir != s.Now[0].Dir:
		return Duet
	}
	return Single
}

// Comparison is what was found.
type Comparison struct {
	Schema   int       `json:"schema"`
	Ruling   Ruling    `json:"ruling"`
	Reasons  []string  `json:"reasons"`            // what decided it, each a sentence
	Refusals []string  `json:"refusals,omitempty"` // why nothing can be decided, whatever the rows came to
	Way      string    `json:"way"`
	Method   string    `json:"method"` // in a sentence
	Rows     []Row     `json:"metrics"`
	Claims   []Claimed `json:"claims"`
	Notes    []string  `json:"notes,omitempty"` // what weakens it
	Base     []Summary `json:"base_runs"`
	Now      []Summary `json:"now_runs"`
}

// Schema is the version of a comparison as JSON. Fields may be added under the same
// one.
const Schema = 1

// Compare compares two sides, neither of them empty.
func Compare(s Sides, t Tolerances) *Comparison {
	length := BlockLength(s.Base[0].Length)
	all := s
	s, leftOut := s.withLikeHistory()
	s, unwell := s.withoutUnwell()
	c := &Comparison{Schema: Schema, Way: all.Way(), Claims: claims(s), Refusals: refusals(s),
		Notes: slices.Concat(notes(s), leftOut, unwell.notes())}
	c.Method = method(s, length)
	var tested []tested
	routes := s.common()
	for _, name := range routes {
		for _, m := range ofRoutes {
			d := ofRoute(m, name, s, length)
			if len(routes) > 1 {
				d.subject = name
			}
			tested = append(tested, d.test(c.Way, t))
		}
	}
	for _, name := range s.targets() {
		tested = append(tested, ofTarget(name, s).test(c.Way, t))
	}
	c.Rows = rule(tested)
	for _, r := range all.Base {
		c.Base = append(c.Base, summary(r))
	}
	for _, r := range all.Now {
		c.Now = append(c.Now, summary(r))
	}
	c.conclude(unwell)
	return c
}

// common are the routes that every run has.
func (s Sides) common() (names []string) {
	for _, r := range s.Base[0].Routes {
		if !slices.ContainsFunc(slices.Concat(s.Base, s.Now), func(other Run) bool { return len(other.route(r.Name).Blocks) == 0 }) {
			names = append(names, r.Name)
		}
	}
	return names
}

// targets are those whose CPU time every run knows.
func (s Sides) targets() (names []string) {
	for name := range s.Base[0].CPU {
		known := func(r Run) bool { return r.CPU[name] > 0 && r.requests() > 0 }
		if !slices.ContainsFunc(slices.Concat(s.Base, s.Now), func(r Run) bool { return !known(r) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// method says how it was compared.
func method(s Sides, length time.Duration) string {
	runs := fmt.Sprintf("%d + %d runs", len(s.Base), len(s.Now))
	switch {
	case s.Way() == Duet:
		return fmt.Sprintf("a duet: both at once under one schedule, compared in paired blocks of %v", length)
	case len(s.Base) > 1 && len(s.Now) > 1:
		return runs + ": Welch's t on the logarithm of each run's percentiles"
	case len(s.Base) > 1 || len(s.Now) > 1:
		return runs + ": the spread of the one run is taken for that of the others"
	case len(s.History) >= fewestHistory:
		return fmt.Sprintf("%s: the spread between runs is that of %d earlier ones", runs, len(s.History))
	}
	return runs + ": the spread between runs is not known and taken for 10%, in the tail for 50%; earlier runs of the base (--history)," +
		" several runs a side or a duet (stormctl gate) show more"
}

// conclude rules on the whole.
func (c *Comparison) conclude(leftOut unwell) {
	gated := 0
	worst := NotWorse
	var reasons [Worse + 1][]string
	tell := func(ruling Ruling, text string) {
		gated++
		worst = max(worst, ruling)
		reasons[ruling] = append(reasons[ruling], text)
	}
	for _, r := range c.Rows {
		if r.Gated {
			tell(r.Ruling, fmt.Sprintf("%s is %s: %s", r.Name(), r.Ruling, r.Reason))
		}
	}
	for _, claim := range c.Claims {
		if claim.Gated {
			tell(claim.Ruling, fmt.Sprintf("claim %s is %s: %s", claim.Name, claim.Ruling, claim.Reason))
		}
	}
	c.Reasons = reasons[worst]
	c.Ruling = worst
	switch {
	case len(c.Refusals) > 0:
		c.Ruling, c.Reasons = Undecided, slices.Clone(c.Refusals)
	case gated == 0:
		c.Ruling, c.Reasons = Undecided, []string{"there is nothing to rule on: too few requests for any percentile, and no claim"}
	case worst == NotWorse && leftOut.uneven():
		c.Ruling, c.Reasons = Undecided, []string{fmt.Sprintf("the harness was unwell in %d runs of the new side and in %d of the old: "+
			"what the new one does to the machine may be left out with them", len(leftOut.now), len(leftOut.base))}
	case worst == NotWorse:
		c.Reasons = []string{"each metric is within its tolerance, with 95% confidence"}
	}
}
