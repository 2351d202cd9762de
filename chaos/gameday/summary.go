package gameday

import (
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Times is what became of one fault that somebody injected, on the clock of the run.
type Times struct {
	Fault            string
	By               string        // who injected it
	Injected, Healed time.Duration // Healed is −1 of one that was not
	Detected         *Seen         // nil if nobody said so
	Mitigated        *Seen
}

// Seen is that somebody saw something, and how long after the injection.
type Seen struct {
	After time.Duration
	By    string
}

// Mark takes note of a mark; the first of a kind counts.
func (t *Times) Mark(what string, at time.Duration, by string) {
	seen := &Seen{(at - t.Injected).Round(100 * time.Millisecond), by}
	switch {
	case what == Detected && t.Detected == nil:
		t.Detected = seen
	case what == Mitigated && t.Mitigated == nil:
		t.Mitigated = seen
	}
}

// Prediction is what somebody said a claim would come to; their last word counts.
type Prediction struct{ Who, Claim, Ruling string }

// Summary is what a journal comes to, with the times of its run.
type Summary struct {
	People      []string // by name and role, in the order in which they came
	Done        int      // what was done
	Refused     int      // what was tried and not done
	Faults      []Times
	Predictions []Prediction
}

// Summarize is what a journal comes to whose chain is whole; faults are those of its run.
func Summarize(entries []Entry, faults []evidence.Injection) Summary {
	var s Summary
	for _, e := range entries {
		by := e.Who + " (" + e.Role + ")"
		if e.Do == Enter && !slices.Contains(s.People, by) {
			s.People = append(s.People, by)
		}
		if e.Outcome != Done {
			s.Refused++
			continue
		}
		s.Done++
		switch e.Do {
		case Inject:
			s.inject(e, by, faults)
		case Detected, Mitigated:
			for i := range s.Faults {
				if s.Faults[i].Fault == e.On && e.At != nil {
					s.Faults[i].Mark(e.Do, e.At.Duration(), by)
				}
			}
		case Predict:
			s.Predictions = slices.DeleteFunc(s.Predictions, func(p Prediction) bool { return p.Who == by && p.Claim == e.On })
			s.Predictions = append(s.Predictions, Prediction{by, e.On, e.Text})
		}
	}
	return s
}

// Begun reports whether somebody began the load.
func Begun(entries []Entry) bool {
	return slices.ContainsFunc(entries, func(e Entry) bool { return e.Do == Begin && e.Outcome == Done })
}

// inject adds a fault that came into force.
func (s *Summary) inject(e Entry, by string, faults []evidence.Injection) {
	for _, f := range faults {
		if f.Name == e.On && f.Injected >= 0 {
			s.Faults = append(s.Faults, Times{Fault: f.Name, By: by, Injected: f.Injected, Healed: f.Healed})
		}
	}
}
