package chaos

import (
	"time"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load"
)

// ResultSchema is the version of result.json. Fields may be added under the
// same version; a change of meaning raises it.
const ResultSchema = 1

// Result is what a run came to: the content of result.json. Durations are in
// milliseconds under names ending in _ms, times since the start in seconds
// under names ending in _s.
type Result struct {
	Schema   int             `json:"schema"`
	Name     string          `json:"name"`
	About    string          `json:"about,omitempty"`
	Seed     uint64          `json:"seed"`
	Started  time.Time       `json:"started"`
	Seconds  float64         `json:"duration_s"`
	Partial  bool            `json:"partial,omitempty"` // the run ended before its time
	Stopped  string          `json:"stopped,omitempty"` // why it did
	Ruling   judge.Ruling    `json:"ruling"`            // the worst of the verdicts
	Missing  []string        `json:"missing,omitempty"` // faults that did not do their part, each a sentence: no claim has held without them
	Verdicts []judge.Verdict `json:"verdicts"`
	Routes   []RouteResult   `json:"routes"`
	Links    []LinkResult    `json:"links"`
	Faults   []FaultResult   `json:"faults"`
	Notes    []string        `json:"notes,omitempty"` // what happened besides, each with its time: a target that died, for one
	Harness  Harness         `json:"harness"`
	Warmup   *Warmup         `json:"warmup,omitempty"` // absent if there was none

	Dir string `json:"-"` // the run directory
}

// Warmup is what was sent before everything else, and is nowhere else in.
type Warmup struct {
	Seconds  float64 `json:"duration_s"`
	Requests uint64  `json:"requests"`    // sent
	Success  float64 `json:"success_pct"` // share of ok among those due
	P50      float64 `json:"p50_ms"`      // of the response time
	P99      float64 `json:"p99_ms"`
}

// NewWarmup makes it of what was due in length and how it ended.
func NewWarmup(length time.Duration, outcomes [load.Outcomes]uint64, p50, p99 time.Duration) *Warmup {
	w := &Warmup{Seconds: length.Seconds(), P50: ms(p50), P99: ms(p99)}
	for _, n := range outcomes {
		w.Requests += n
	}
	w.Success = 100 * float64(outcomes[load.OK]) / float64(max(1, w.Requests))
	w.Requests -= outcomes[load.Unsent]
	return w
}

// Spread is a distribution in milliseconds.
type Spread struct {
	P50  float64 `json:"p50_ms"`
	P90  float64 `json:"p90_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p99_9_ms"`
	Max  float64 `json:"max_ms"`
}

// RouteResult is the front of one route over the whole run.
type RouteResult struct {
	Name     string            `json:"name"`
	Follows  string            `json:"follows,omitempty"` // of a step, the route or step whose right answer it follows
	Requests uint64            `json:"requests"`
	Success  float64           `json:"success_pct"` // share of ok among the requests
	Outcomes map[string]uint64 `json:"outcomes"`    // by load.Outcome, zeros left out
	Response Spread            `json:"response"`    // done − intended
	Service  Spread            `json:"service"`     // done − sent
}

// LinkResult is the behind of one link over the whole run.
type LinkResult struct {
	Name      string            `json:"name"`
	From      string            `json:"from"`
	To        string            `json:"to"`
	Exchanges uint64            `json:"exchanges"`
	Endings   map[string]uint64 `json:"endings"`  // by evidence.Ending, zeros left out
	Statuses  map[string]uint64 `json:"statuses"` // by what the caller got
	InFlight  int               `json:"max_in_flight"`
	Duration  Spread            `json:"duration"`
}

// FaultResult is one fault as it really happened.
type FaultResult struct {
	Name     string  `json:"name"`
	Kind     string  `json:"kind"`
	On       string  `json:"on"`
	Injected float64 `json:"injected_s"`         // −1 if it never was
	Healed   float64 `json:"healed_s"`           // −1 if it was not
	Hit      uint64  `json:"hit"`                // exchanges it touched; for what is not a link's own 1 when it was done
	Overflow uint64  `json:"overflow,omitempty"` // exchanges that it let go because it had hold of max_active already
	Error    string  `json:"error,omitempty"`
}

// Harness is the harness measuring itself.
type Harness struct {
	Healthy   bool     `json:"healthy"`
	Problems  []string `json:"problems,omitempty"` // why not, each with its figure
	Effect    string   `json:"effect,omitempty"`   // what became of the claims, in a sentence; "" if it was well
	Offered   uint64   `json:"offered"`
	Sent      uint64   `json:"sent"`
	Unsent    uint64   `json:"unsent"`
	Steps     uint64   `json:"steps,omitempty"`        // of those sent, the ones that followed an answer: no arrivals of the schedule
	Stalled   string   `json:"when_stalled,omitempty"` // burst or skip, where arrivals that no connection was free for were not to wait
	SendLag   Spread   `json:"send_lag"`
	HiccupP99 float64  `json:"hiccup_p99_ms"` // largest of any second
	HiccupMax float64  `json:"hiccup_max_ms"`
	CPU       float64  `json:"cpu_cores"` // mean
	Steal     float64  `json:"steal_cores"`
	Pressure  float64  `json:"cpu_pressure"` // largest of any second: part of it in which some thread waited for a core; -1 if unknown
	Lost      uint64   `json:"evidence_lost"`
}
