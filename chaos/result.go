package chaos

import (
	"time"

	"github.com/stormctl/stormctl/chaos/judge"
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
	Verdicts []judge.Verdict `json:"verdicts"`
	Routes   []RouteResult   `json:"routes"`
	Links    []LinkResult    `json:"links"`
	Faults   []FaultResult   `json:"faults"`
	Notes    []string        `json:"notes,omitempty"` // what happened besides, each with its time: a target that died, for one
	Harness  Harness         `json:"harness"`

	Dir string `json:"-"` // the run directory
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
	Hit      uint64  `json:"hit"`                // exchanges it touched; for restart and pause 1 when it was done
	Overflow uint64  `json:"overflow,omitempty"` // exchanges that it let go because it had hold of max_active already
	Error    string  `json:"error,omitempty"`
}

// Harness is the harness measuring itself.
type Harness struct {
	Healthy   bool     `json:"healthy"`
	Problems  []string `json:"problems,omitempty"` // why not, each with its figure
	Offered   uint64   `json:"offered"`
	Sent      uint64   `json:"sent"`
	Unsent    uint64   `json:"unsent"`
	SendLag   Spread   `json:"send_lag"`
	HiccupP99 float64  `json:"hiccup_p99_ms"` // largest of any second
	HiccupMax float64  `json:"hiccup_max_ms"`
	CPU       float64  `json:"cpu_cores"` // mean
	Steal     float64  `json:"steal_cores"`
	Pressure  float64  `json:"cpu_pressure"` // largest of any second: part of it in which some thread waited for a core; -1 if unknown
	Lost      uint64   `json:"evidence_lost"`
}
