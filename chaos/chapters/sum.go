package chapters

import (
	"fmt"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Sum is what claims came to over all chapters: refuted if any chapter refutes it;
// otherwise inconclusive if it held in none, or more than mostOpen of the chapters that
// speak of it could not tell; otherwise held. A chapter in which no fault was planned,
// of an experiment that has some, does not speak where it cannot tell: there was nothing
// to show.
//
// A claim of what a target takes is ruled on over all chapters, as soon as they are enough:
// what grows by little in an hour does not show in one of them.
//
// A Sum is made of what names the claims and how it is to be ruled; it does not grow
// with the chapters, but for what targets took in each.
type Sum struct {
	Claims   []judge.Verdict // of which only what names the claim counts
	Chaos    bool            // the experiment has faults
	MostOpen unit.Share
	Growth   []judge.Claim // in the place of Claims, those that are judge.Growth; others may be nil
	Seed     uint64

	troughs map[string][]judge.Trough // by target
	tallies []tally
	rulings [judge.Refuted + 1]int
}

// Add takes in what a chapter came to.
func (s *Sum) Add(e *Entry) {
	if s.tallies == nil {
		s.tallies = make([]tally, len(s.Claims))
	}
	s.rulings[e.Ruling]++
	for name, least := range e.Least {
		if s.troughs == nil {
			s.troughs = map[string][]judge.Trough{}
		}
		s.troughs[name] = append(s.troughs[name], judge.Trough{From: e.From.Duration(), To: e.To.Duration(), Least: least})
	}
	for i := range s.Claims {
		if i < len(e.Verdicts) {
			s.tallies[i].add(e, &e.Verdicts[i], s.Chaos)
		}
	}
}

// Count is how many chapters came to a ruling.
func (s *Sum) Count(r judge.Ruling) int { return s.rulings[r] }

// Verdicts are what the claims have come to.
func (s *Sum) Verdicts() []judge.Verdict {
	var all []judge.Verdict
	for i, c := range s.Claims {
		v := judge.Verdict{Claim: c.Claim, Kind: c.Kind, Name: c.Name, Line: c.Line}
		t := tally{}
		if i < len(s.tallies) {
			t = s.tallies[i]
		}
		if whole, ok := s.whole(i); ok {
			whole.Claim, whole.Kind, whole.Name, whole.Line = v.Claim, v.Kind, v.Name, v.Line
			v = whole
		} else {
			t.rule(&v, s.MostOpen)
		}
		all = append(all, v)
	}
	return all
}

// whole is what a claim comes to over all chapters, if it is one that is ruled on so.
func (s *Sum) whole(claim int) (v judge.Verdict, ok bool) {
	if claim >= len(s.Growth) {
		return v, false
	}
	c, ok := s.Growth[claim].(judge.Growth)
	if !ok {
		return v, false
	}
	return c.Whole(s.Seed, s.troughs[c.Target])
}

// tally is what chapters say of one claim.
type tally struct {
	held, open, refuted, silent int
	firstOpen, firstRefuted     *found
	ids                         []uint64
}

type found struct {
	number   int
	from, to time.Duration
	reason   string
}

func (t *tally) add(e *Entry, v *Verdict, chaos bool) {
	switch {
	case v.Ruling == judge.Refuted:
		t.refuted++
		if len(t.ids) < judge.MaxIDs {
			t.ids = append(t.ids, v.IDs...)
		}
		if t.firstRefuted == nil {
			t.firstRefuted = &found{e.Number, e.From.Duration(), e.To.Duration(), v.Reason}
		}
	case v.Ruling == judge.Held:
		t.held++
	case chaos && e.Faults == 0 && e.Blank == "":
		t.silent++
	default:
		t.open++
		if t.firstOpen == nil {
			t.firstOpen = &found{e.Number, e.From.Duration(), e.To.Duration(), v.Reason}
		}
	}
}

func (t *tally) rule(v *judge.Verdict, mostOpen unit.Share) {
	n := t.held + t.open + t.refuted
	v.Numbers.Add("chapters", float64(n))
	v.Numbers.Add("chapters_held", float64(t.held))
	v.Numbers.Add("chapters_inconclusive", float64(t.open))
	v.Numbers.Add("chapters_refuted", float64(t.refuted))
	switch {
	case t.refuted > 0:
		v.Ruling = judge.Refuted
		v.Reason = fmt.Sprintf("refuted in %d of %d chapters; the first is %s", t.refuted, n, t.firstRefuted.text())
		ids := slices.Compact(slices.Sorted(slices.Values(t.ids)))
		v.IDs = ids[:min(len(ids), judge.MaxIDs)]
	case n == 0:
		v.Ruling, v.Reason = judge.Inconclusive,
			"no chapter was judged in which a fault was planned: let the soak go on for longer than one"
	case t.held == 0:
		v.Ruling, v.Reason = judge.Inconclusive, fmt.Sprintf("inconclusive in all of %d chapters; the first is %s", n, t.firstOpen.text())
	case float64(t.open) > float64(mostOpen)*float64(n):
		v.Ruling = judge.Inconclusive
		v.Reason = fmt.Sprintf("held in %d of %d chapters, inconclusive in %d, which is more than the %s of max_inconclusive; "+
			"the first is %s", t.held, n, t.open, mostOpen, t.firstOpen.text())
	case t.open > 0:
		v.Ruling = judge.Held
		v.Reason = fmt.Sprintf("held in %d of %d chapters, inconclusive in %d; the first is %s", t.held, n, t.open, t.firstOpen.text())
	default:
		v.Ruling, v.Reason = judge.Held, fmt.Sprintf("held in all of %d chapters", n)
	}
	if t.silent > 0 {
		v.Reason += fmt.Sprintf(" (%d more had no fault in them, and say nothing of it)", t.silent)
	}
}

// text names a chapter and what it says.
func (f *found) text() string {
	return fmt.Sprintf("chapter %d (%s to %s): %s", f.number, short(f.from), short(f.to), f.reason)
}

func short(d time.Duration) string { return unit.FormatDuration(d.Round(time.Second / 10)) }
