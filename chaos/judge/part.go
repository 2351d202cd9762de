package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Part is one sentence of a claim with a ruling of its own, so that one that
// cannot be told hides none that held. In files its figures are in Unit.
type Part struct {
	Name    string    `json:"name"`              // the key of the claim that it is about, or the field's word where no key has it
	Ruling  Ruling    `json:"ruling"`            // of this sentence alone
	Note    bool      `json:"note,omitempty"`    // not claimed: it is shown, and the ruling does not depend on it
	Reason  string    `json:"reason"`            // a clause with the deciding figures in it
	Unit    string    `json:"unit,omitempty"`    // ms, pct, times; absent for counts
	Seen    *Interval `json:"seen,omitempty"`    // absent if there was nothing to measure
	Allowed *Bound    `json:"allowed,omitempty"` // absent if nothing is claimed
	Sample  int       `json:"sample,omitempty"`  // how many observations it rests on
	IDs     []uint64  `json:"ids,omitempty"`     // request ids that prove it, at most MaxIDs
}

// measure is what a part rests on. Its ruling follows from Seen and Allowed and
// from nothing else.
type measure struct {
	name    string
	unit    Unit
	seen    Interval
	allowed Bound
	sample  int      // how many observations it rests on
	note    bool     // it is not claimed
	ids     []uint64 // the requests that a refutation is shown by
	says    string   // the clause for what was seen; the bound is added where it decides or is far away
	refutes string   // the clause where it is refuted; "" means says
	// what would settle it where it cannot be told: "offer less than 100/s, or add latency"; "" is what narrows any
	// such figure
	settle string
	hidden string // by what it cannot be told: "10 ms of noise"; "" is not said
}

// far is a share of a bound: of a figure below that the reason names the bound as well, as
// it is so far away.
const far = 0.8

// part rules on a measure.
func (m measure) part() Part {
	p := Part{Name: m.name, Ruling: m.seen.against(m.allowed), Note: m.note, Reason: m.says, Unit: unitNames[m.unit], Sample: m.sample}
	p.Seen = &Interval{m.unit.written(m.seen.Low), m.unit.written(m.seen.High)}
	claimed := !math.IsInf(m.allowed.Low, -1) || !math.IsInf(m.allowed.High, 1)
	if claimed {
		p.Allowed = &Bound{m.unit.written(m.allowed.Low), m.unit.written(m.allowed.High)}
	}
	switch p.Ruling {
	case Refuted:
		p.IDs = firstIDs(m.ids)
		if m.refutes != "" {
			p.Reason = m.refutes
		}
		p.Reason += ", " + m.unit.bound(m.allowed) + " claimed"
	case Inconclusive:
		p.Reason += fmt.Sprintf(": it cannot be told whether %s was kept, because the figure may be %s",
			m.unit.bound(m.allowed), m.unit.span(m.seen))
		if m.hidden != "" {
			p.Reason += ", hidden by " + m.hidden
		}
		p.Reason += ": " + cmp.Or(m.settle, m.nextStep())
	case Held:
		if claimed && math.IsInf(m.allowed.Low, -1) && m.seen.High < far*m.allowed.High {
			p.Reason += fmt.Sprintf(" (%s claimed)", m.unit.bound(m.allowed))
		}
	}
	return p
}

// nextStep is what narrows a figure of which nothing better is known.
func (m measure) nextStep() string {
	if m.unit == timed {
		return quieter
	}
	return "more requests would tell: a longer run, or a higher rate"
}

// quieter is the next step where the host's noise hides a time.
const quieter = "a host with cores to spare, or a bound further from the figure, would tell"

// rule adds a part whose ruling follows from what was seen. Nothing else makes
// a part held.
func (f *finding) rule(m measure) Ruling {
	p := m.part()
	f.parts = append(f.parts, p)
	return p.Ruling
}

// open adds a part that was claimed and that nothing was seen of.
func (f *finding) open(name, format string, args ...any) {
	f.parts = append(f.parts, Part{Name: name, Ruling: Inconclusive, Reason: fmt.Sprintf(format, args...)})
}

// remark adds what is worth reporting and was not claimed.
func (f *finding) remark(name, format string, args ...any) {
	f.parts = append(f.parts, Part{Name: name, Note: true, Reason: fmt.Sprintf(format, args...)})
}

// rulingOf is the worst ruling of the parts that were claimed. A claim without
// one has shown nothing.
func rulingOf(parts []Part) Ruling {
	ruling, claimed := Held, false
	for _, p := range parts {
		if !p.Note {
			claimed = true
			ruling = max(ruling, p.Ruling)
		}
	}
	if !claimed {
		return Inconclusive
	}
	return ruling
}

// reasonOf joins the clauses that decide, then the others.
func reasonOf(parts []Part, ruling Ruling) string {
	var deciding, besides []string
	for _, p := range parts {
		if p.Reason == "" || slices.Contains(deciding, p.Reason) || slices.Contains(besides, p.Reason) {
			continue // several parts may be open for one reason
		}
		if !p.Note && p.Ruling == ruling {
			deciding = append(deciding, p.Reason)
		} else {
			besides = append(besides, p.Reason)
		}
	}
	switch {
	case len(deciding) == 0:
		return strings.Join(besides, "; ")
	case len(besides) == 0:
		return strings.Join(deciding, "; ")
	case ruling == Held:
		return strings.Join(deciding, "; ") + "; " + strings.Join(besides, "; ")
	}
	return strings.Join(deciding, "; ") + ". Seen besides: " + strings.Join(besides, "; ")
}

// noiseText names noise as what hides a figure.
func noiseText(noise time.Duration) string { return short(noise) + " of noise" }
