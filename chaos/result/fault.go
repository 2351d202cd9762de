package result

import (
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Fault is one fault as it really happened.
type Fault struct {
	Name     string  `json:"name"`
	Kind     string  `json:"kind"`
	On       string  `json:"on"`
	Planned  float64 `json:"planned_s"`          // when it was to be injected
	For      float64 `json:"planned_for_s"`      // how long it was to be in force; 0 of what has no length
	Injected float64 `json:"injected_s"`         // −1 if it never was
	Healed   float64 `json:"healed_s"`           // −1 if it was not
	Hit      uint64  `json:"hit"`                // exchanges it touched; for what is not a link's own 1 when it was done
	Times    int     `json:"times,omitempty"`    // of a soak, how often it came; injected_s and healed_s are of the last time
	Overflow uint64  `json:"overflow,omitempty"` // exchanges that it let go because it had hold of max_active already
	Error    string  `json:"error,omitempty"`
}

func faults(run *evidence.Run) []Fault {
	var all []Fault
	hits := map[*evidence.Link]map[int]uint64{}
	for _, link := range run.Links {
		hits[link] = link.Hits()
	}
	for _, f := range run.Faults {
		r := Fault{Name: f.Name, Kind: f.Kind, On: f.On, Planned: f.At.Duration().Seconds(), For: f.For.Duration().Seconds(),
			Injected: seconds(f.Injected), Healed: seconds(f.Healed), Times: f.Times, Overflow: f.Overflow, Error: f.Error}
		if link := run.Links[f.On]; f.Does().Marks && link != nil {
			r.Hit = max(hits[link][f.Index], f.Hit)
		} else if f.Injected >= 0 {
			r.Hit = 1
		}
		all = append(all, r)
	}
	return all
}

func seconds(t time.Duration) float64 {
	if t < 0 {
		return -1
	}
	return t.Seconds()
}
