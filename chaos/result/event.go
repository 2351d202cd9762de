package result

import (
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Event is something that happened at a moment, and is neither load nor fault.
type Event struct {
	At     float64 `json:"at_s"`
	Kind   string  `json:"kind"`             // death: a target ended by itself; note: all else
	Target string  `json:"target,omitempty"` // of a death
	Text   string  `json:"text"`
}

// events are the notes of a run, each death among them as what it is.
func events(run *evidence.Run) []Event {
	type moment struct {
		at   time.Duration
		text string
	}
	died := map[moment]string{}
	for _, d := range run.Deaths {
		died[moment{d.At, d.Text}] = d.Target
	}
	var all []Event
	for _, n := range run.Notes {
		e := Event{At: n.At.Seconds(), Kind: evidence.KindNote, Text: n.Text}
		if target, ok := died[moment{n.At, n.Text}]; ok {
			e.Kind, e.Target = evidence.KindDeath, target
		}
		all = append(all, e)
	}
	return all
}
