package chapters

import (
	"fmt"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Add gives an event of the soak's timeline to the chapters that it is about.
func (w *Writer) Add(e evidence.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.open) == 0 {
		return
	}
	at := e.At.Duration()
	ch := w.of(0, at)
	if ch == nil {
		ch = w.open[0] // before the clock began
	}
	switch e.Kind {
	case evidence.KindStart, evidence.KindTick, evidence.KindEnd:
		return
	case evidence.KindInject:
		w.inject(ch, e)
	case evidence.KindHeal:
		w.heal(ch, e)
	case evidence.KindGap:
		for _, ch := range w.open {
			ch.Add(e)
			ch.blank(at, "the harness was not there for all of it: "+e.Gap.Why)
		}
	case evidence.KindStop, evidence.KindGate:
		for _, ch := range w.open {
			ch.Add(e)
		}
	case evidence.KindDeath:
		w.dead = append(slices.DeleteFunc(w.dead, func(d evidence.Event) bool { return d.Target == e.Target }), e)
		ch.Add(e)
	default:
		ch.Add(e)
	}
}

// inject takes note of a fault that came, or could not be made to.
func (w *Writer) inject(ch *chapter, e evidence.Event) {
	ch.Add(e)
	planned := slices.ContainsFunc(ch.faults, func(f evidence.Injection) bool { return f.Index == e.Fault-1 })
	switch {
	case ch.seen[e.Fault]:
		ch.blank(e.At.Duration(), fmt.Sprintf("%s came twice in it, because something was in force where it was to be cut", e.Text))
	case !planned:
		ch.blank(e.At.Duration(), e.Text+" came in it late, and was planned for the chapter before")
	}
	ch.seen[e.Fault] = true
	if e.Error == "" {
		w.inForce[e.Fault] = ch
	}
}

// heal takes note of a fault that went. What could not be healed leaves nothing to be
// told until a later one of the same is.
func (w *Writer) heal(ch *chapter, e evidence.Event) {
	if own := w.inForce[e.Fault]; own != nil {
		ch = own
	}
	delete(w.inForce, e.Fault)
	ch.Add(e)
	delete(w.unhealed, e.Fault)
	if e.Error != "" {
		w.unhealed[e.Fault] = fmt.Sprintf("%s could not be healed at %s, and may be in force: %s",
			e.Text, e.At.Duration().Round(time.Second), e.Error)
		for _, other := range w.open {
			if other != ch {
				other.blank(e.At.Duration(), w.unhealed[e.Fault])
			}
		}
	}
}
