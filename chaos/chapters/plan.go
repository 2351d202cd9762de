package chapters

import "time"

// Length is how long a chapter is where neither the faults nor the experiment say.
const Length = 10 * time.Minute

// Span is a stretch in which a fault is planned to be in force.
type Span struct{ From, To time.Duration }

// Plan is where a soak is to be cut.
type Plan struct {
	Length time.Duration // of a chapter
	End    time.Duration // of the load

	// Repeats is that the faults come again after each Length: then it is cut there and
	// nowhere else, so that each chapter has the same.
	Repeats bool
	Faults  []Span // otherwise, when the faults are; in any order
}

// How calm it is to be around a border that can be moved: what a fault did must show in
// its chapter, and what the next one meets must be sound. Of short chapters it is less.
const (
	calmBefore = time.Minute
	calmAfter  = 10 * time.Second
)

// Next is where the chapter that began at from is to end; false if it is the last. One
// that was to be shorter than half of the others is part of the one before, unless the
// faults repeat.
func (p Plan) Next(from time.Duration) (time.Duration, bool) {
	if p.Length <= 0 {
		return 0, false
	}
	if p.Repeats {
		to := (from/p.Length + 1) * p.Length
		return to, to < p.End
	}
	to := from + p.Length
	before, after := min(calmBefore, p.Length/4), min(calmAfter, p.Length/10)
	for moved := true; moved; {
		moved = false
		for _, f := range p.Faults {
			if f.From-after < to && to < f.To+before {
				to, moved = f.To+before, true
			}
		}
	}
	return to, p.End-to >= p.Length/2
}

// Count is how many chapters that makes.
func (p Plan) Count() int {
	n := 1
	for from, more := p.Next(0); more; from, more = p.Next(from) {
		n++
	}
	return n
}
