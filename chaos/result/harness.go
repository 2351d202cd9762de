package result

import (
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
)

// Harness is the harness measuring itself.
type Harness struct {
	Healthy   bool     `json:"healthy"`                // it was well in every second of the load
	Problems  []string `json:"problems,omitempty"`     // why not, each with its figure
	Effect    string   `json:"effect,omitempty"`       // what became of the claims, in a sentence; "" if it was well
	Offered   uint64   `json:"offered"`                // sent or unsent
	Sent      uint64   `json:"sent"`                   // requests that were sent and ended
	Unsent    uint64   `json:"unsent"`                 // arrivals that were given up
	Steps     uint64   `json:"steps,omitempty"`        // of those sent, the ones that followed an answer: no arrivals of the schedule
	Stalled   string   `json:"when_stalled,omitempty"` // burst or skip, where arrivals that no connection was free for were not to wait
	SendLag   Spread   `json:"send_lag"`               // sent − intended
	HiccupP99 float64  `json:"hiccup_p99_ms"`          // largest of any second
	HiccupMax float64  `json:"hiccup_max_ms"`          // largest of any second: a sleeping thread woke up so late
	CPU       float64  `json:"cpu_cores"`              // mean
	Steal     float64  `json:"steal_cores"`            // mean, taken away by the hypervisor; -1 if unknown
	// largest of any second: part of it in which some thread waited for a core; -1 if unknown
	Pressure float64 `json:"cpu_pressure"`
	Lost     uint64  `json:"evidence_lost"` // records that are missing
}

// harness is how the harness did, with the send lag of its samples.
func harness(run *evidence.Run, lag *hist.Histogram) Harness {
	h := Harness{Steal: -1, Pressure: -1, SendLag: NewSpread(lag)}
	var steal float64
	var before time.Duration
	for _, t := range run.Ticks {
		part := float64(t.At-before) / float64(max(1, run.Ticks[len(run.Ticks)-1].At))
		before = t.At
		h.Unsent += t.Unsent
		h.Sent += t.Ended
		h.Steps += t.Steps
		h.HiccupP99 = max(h.HiccupP99, ms(t.HiccupP99.Duration()))
		h.HiccupMax = max(h.HiccupMax, ms(t.HiccupMax.Duration()))
		h.CPU += t.CPU * part
		steal += t.Steal * part
		h.Pressure = max(h.Pressure, t.Pressure)
	}
	h.Offered = h.Sent + h.Unsent // each arrival that was due is one of the two
	if len(run.Ticks) > 0 && steal >= 0 {
		h.Steal = steal
	}
	for _, n := range run.Lost {
		h.Lost += n
	}
	h.Problems = load.Texts(run.Problems(0, run.End))
	h.Healthy = len(h.Problems) == 0
	return h
}
