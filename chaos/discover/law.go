package discover

// Law is by which rule waits grow and how far they are spread, as the claim about
// backoff has it (judge.Backoff): a wait d becomes d to d·(1+jitter), d being base,
// base·factor, base·factor², ... up to cap. Where waits begin at nothing it is full
// jitter: 0 to d.
type Law struct {
	Name   string // add, full, constant
	Base   *Figure
	Factor *Figure // nil of one wait, and of a constant
	Cap    *Figure // nil if waits grew all along
	Jitter *Figure // of add: part of d
}

// LawOf is the law of waits; false if there are none.
func LawOf(waits []Wait) (Law, bool) {
	if len(waits) == 0 {
		return Law{}, false
	}
	full := true
	for _, w := range waits {
		full = full && w.Low.High < 0.2*w.High.Low
	}
	at := func(w Wait) *Figure { return w.Low }
	l := Law{Name: "add", Base: waits[0].Low}
	if full {
		at = func(w Wait) *Figure { return w.High }
		l = Law{Name: "full", Base: waits[0].High}
	} else {
		l.Jitter = spreadOf(waits)
	}
	grown := 0
	for k := 1; k < len(waits); k++ {
		before, after := at(waits[k-1]), at(waits[k])
		if before.Low <= 0 {
			break
		}
		ratio := &Figure{Sample: min(before.Sample, after.Sample)}
		ratio.Low, ratio.High = after.Low/before.High, after.High/before.Low
		if ratio.Low < 1.05 && ratio.High < 1.4 { // it grows no more
			if grown > 0 {
				l.Cap = after
			}
			break
		}
		if l.Factor != nil && ratio.Low > l.Factor.High || l.Factor != nil && ratio.High < l.Factor.Low {
			l.Cap = after // it grew by less: what is above the cap is cut off
			break
		}
		grown++
		if l.Factor == nil || width(&ratio.Interval) < width(&l.Factor.Interval) {
			l.Factor = ratio
		}
	}
	if len(waits) > 1 && grown == 0 {
		l.Name = "constant"
	}
	return l, true
}

// spreadOf is how far the waits are spread as a part of the shortest, of the retry that
// shows it best.
func spreadOf(waits []Wait) (best *Figure) {
	for _, w := range waits {
		if w.Low.Low <= 0 {
			continue
		}
		part := &Figure{Sample: w.Sample}
		part.Low, part.High = max(0, w.High.Low/w.Low.High-1), w.High.High/w.Low.Low-1
		if best == nil || width(&part.Interval) < width(&best.Interval) {
			best = part
		}
	}
	return best
}
