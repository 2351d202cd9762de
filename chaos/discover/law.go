package discover

import (
	"cmp"
	"fmt"
	"strings"
)

// leastBase is the shortest first wait that is told from none, in ms.
const leastBase = 20

// vague is what part of a number may be uncertain and the number be claimed.
const vague = 0.25

// Law is by which rule waits grow and how far they are spread, as the claim about
// backoff has it (judge.Backoff): a wait d becomes d to d·(1+jitter), d being base,
// base·factor, base·factor², ... up to cap. Where waits begin at nothing it is full
// jitter: 0 to d. Where they are spread by the same time however long they are, that is
// noise.
type Law struct {
	Name   string // add, full, constant; "" if the host hides which
	Base   *Figure
	Factor *Figure // nil of one wait, and of a constant
	Cap    *Figure // nil if waits grew all along
	Jitter *Figure // of add: part of d; nil if it is noise
	Noise  *Figure // of add: ms
	Middle *Figure // of add: the first wait with half of its jitter
	Either bool    // whether it is jitter or noise cannot be told: both fit what was seen, or neither does
}

// LawOf is the law of waits; false if there are none.
func LawOf(waits []Wait) (Law, bool) {
	if len(waits) == 0 {
		return Law{}, false
	}
	full := true
	for _, w := range waits {
		full = full && w.Low.High < 0.2*w.High.Low && w.Usual > w.High.Low/8 // half are below the half of 0 to d
	}
	at := func(w Wait) *Figure { return w.Low }
	l := Law{Name: "add", Base: waits[0].Low}
	if full {
		at = func(w Wait) *Figure { return w.High }
		l = Law{Name: "full", Base: waits[0].High}
	} else {
		l.Jitter, l.Noise, l.Either = spreadOf(waits)
		l.Middle = &Figure{Sample: waits[0].Sample}
		l.Middle.Low = (waits[0].Low.Low + waits[0].High.Low) / 2
		l.Middle.High = (waits[0].Low.High + waits[0].High.High) / 2
	}
	grown, compared := 0, false
	for k := 1; k < len(waits); k++ {
		before, after := at(waits[k-1]), at(waits[k])
		if before.Low <= 0 {
			continue // what came at once has no growth
		}
		compared = true
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
	if compared && grown == 0 {
		l.Name = "constant"
	}
	if !full && l.Base.Low <= 0 && !l.atOnce() {
		l = Law{Base: l.Base}
	}
	return l, true
}

// spreadOf is how far the waits are spread: as a part of the shortest, or, if they are
// several of which no part fits all, as a time that does.
func spreadOf(waits []Wait) (jitter, noise *Figure, either bool) {
	var parts, times []*Figure
	for _, w := range waits {
		if w.Low.Low <= 0 {
			continue
		}
		part, by := &Figure{Sample: w.Sample}, &Figure{Sample: w.Sample}
		part.Low, part.High = max(0, w.High.Low/w.Low.High-1), w.High.High/w.Low.Low-1
		by.Low, by.High = max(0, w.High.Low-w.Low.High), w.High.High-w.Low.Low
		parts, times = append(parts, part), append(times, by)
	}
	if len(parts) == 0 {
		return nil, nil, false
	}
	jitter, isPart := common(parts)
	noise, isTime := common(times)
	switch either = isPart == isTime && len(parts) > 1 && jitter.High > noSpread; {
	case either:
	case isPart || !isTime:
		noise = nil
	default:
		jitter = nil
	}
	return jitter, noise, either
}

// common is what figures of one thing have in common. Where that is nothing, the host held
// up more than it seemed: it makes waits longer and none shorter, so that what they are
// spread by is at most what each of them is.
func common(all []*Figure) (f *Figure, is bool) {
	f = &Figure{Sample: all[0].Sample, Interval: all[0].Interval}
	least := f.Low
	for _, a := range all[1:] {
		f.Low, f.High, f.Sample = max(f.Low, a.Low), min(f.High, a.High), f.Sample+a.Sample
		least = min(least, a.Low)
	}
	if f.Low <= f.High {
		return f, true
	}
	f.Low = least
	return f, false
}

// parts are its numbers, each with what it may be.
func (l Law) parts() (rows []Row) {
	add := func(name string, figure *Figure, text string) {
		rows = append(rows, Row{Name: name, Text: text, Figure: figure})
	}
	add("base", l.Base, l.Base.span())
	if l.Factor != nil {
		add("factor", l.Factor, fmt.Sprintf("%.3g to %.3g", l.Factor.Low, l.Factor.High))
	}
	if l.Cap != nil {
		add("cap", l.Cap, l.Cap.span())
	}
	if l.Noise != nil {
		add("noise", l.Noise, l.Noise.span())
	}
	if l.Jitter != nil {
		add("jitter", l.Jitter, fmt.Sprintf("%.0f%% to %.0f%%", 100*l.Jitter.Low, 100*l.Jitter.High))
	}
	return rows
}

// atOnce reports whether the first retry comes without a wait, or with one too short to
// be told from none: then there is no base to claim.
func (l Law) atOnce() bool { return l.Name != "full" && l.Base.High < leastBase || l.Base.High <= 0 }

// sure reports whether its numbers are known well enough to be claimed.
func (l Law) sure() bool {
	switch {
	case l.atOnce() || l.Either || !narrow(l.Base, vague), l.Factor != nil && !narrow(l.Factor, vague),
		l.Cap != nil && !narrow(l.Cap, vague):
		return false
	case l.Noise != nil:
		return narrow(l.Noise, vague)
	case l.Jitter != nil:
		return l.Jitter.High-l.Jitter.Low <= vague*(1+l.Jitter.High)
	}
	return true
}

// text is the law as it is read: what may be claimed as a claim has it, and else what
// each number may be.
func (l Law) text() string {
	switch {
	case l.atOnce():
		return "the first retry comes at once"
	case l.sure() && l.either() != "":
		return strings.Join(l.keys(), ", ") + ", " + l.either()
	case l.sure():
		return strings.Join(l.keys(), ", ")
	}
	text := cmp.Or(l.Name, "cannot be told")
	for _, part := range l.parts() {
		and := ", "
		if l.Either && part.Name == "jitter" {
			and = " or "
		}
		text += and + part.Name + " " + part.Text
	}
	return text
}

// either is the same law, said as a middle and a part to either side of it; "" if that
// makes no difference.
func (l Law) either() string {
	if l.Name != "add" || l.Middle == nil || l.Jitter == nil || l.Jitter.High <= noSpread || l.wide() {
		return ""
	}
	return fmt.Sprintf("which is %v ± %g%%", millis(round(l.Middle.Low, l.Middle.High)), l.side())
}

// side is the jitter to either side of the middle, in percent.
func (l Law) side() float64 {
	half := func(j float64) float64 { return 100 * j / (2 + j) }
	return round(half(l.Jitter.Low), half(l.Jitter.High))
}

// wide reports whether the jitter is more than the wait itself: as a claim it has to be
// one to either side.
func (l Law) wide() bool { return l.Jitter != nil && round(l.Jitter.Low, l.Jitter.High) > 1 }
