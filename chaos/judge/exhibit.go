package judge

import (
	"embed"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// ResultSource is the source of what a result has of this package: the comments of the
// fields are the descriptions of its schema.
//
//go:embed claim.go exhibit.go exhibit_register.go interval.go numbers.go part.go
var ResultSource embed.FS

// Exhibit is bounded evidence that is shown with a verdict, so that whoever shows it
// need not judge. Of its fields behind Title and Part exactly one is set, the one that Kind
// names. Times are seconds since the start of the load, durations milliseconds. Lists are
// lists also where they are empty.
type Exhibit struct {
	Kind  string `json:"kind"`  // which of the fields below is set
	Title string `json:"title"` // what is to be seen, in a sentence with the deciding figure
	Part  string `json:"part"`  // name of the part of the verdict that it is about; "" is all of the claim

	States    *States    `json:"states,omitempty"`    // set where kind is states
	Waits     *Waits     `json:"waits,omitempty"`     // set where kind is waits
	Level     *Level     `json:"level,omitempty"`     // set where kind is level
	Attempts  *Attempts  `json:"attempts,omitempty"`  // set where kind is attempts
	Staircase *Staircase `json:"staircase,omitempty"` // set where kind is staircase
	Growth    *Trend     `json:"growth,omitempty"`    // set where kind is growth
	Register  *Register  `json:"register,omitempty"`  // set where kind is register
}

// Kinds of Exhibit.
const (
	KindStates    = "states"
	KindWaits     = "waits"
	KindLevel     = "level"
	KindAttempts  = "attempts"
	KindStaircase = "staircase"
	KindGrowth    = "growth"
	KindRegister  = "register"
)

// Kinds lists them.
var Kinds = []string{KindStates, KindWaits, KindLevel, KindAttempts, KindStaircase, KindGrowth, KindRegister}

// Bounds of exhibits: what is beyond them is counted, not shown.
const (
	MaxSpans     = 200
	MaxBins      = 60   // of a histogram, and numbers of attempts that are told apart
	MaxRanks     = 12   // retries whose waits are shown
	MaxPoints    = 1200 // of a level
	MaxSamples   = 240  // points of a figure over time
	MaxStaircase = 5    // requests
	MaxSteps     = 12   // exchanges of one of them
)

// States is what a breaker was in, as the callers and its link show it together. They
// follow one another from the start of the load to the end of the evidence.
type States struct {
	Link  string `json:"link"`           // the link that the breaker guards
	Spans []Span `json:"spans"`          // in order, without gaps
	More  int    `json:"more,omitempty"` // spans behind those that are shown
}

// States of a Span.
const (
	StateClosed   = "closed"
	StateOpen     = "open"
	StateHalfOpen = "half-open"
)

// StateNames lists them.
var StateNames = []string{StateClosed, StateOpen, StateHalfOpen}

// Span is a stretch of time in one state. Half-open lasts from the first call that was let
// through to its result, or until calls flow again.
type Span struct {
	From  evidence.Seconds `json:"from_s"` // begin
	To    evidence.Seconds `json:"to_s"`   // end, which is the begin of the next
	State string           `json:"state"`  // closed, open or half-open
	Calls int              `json:"calls"`  // exchanges that began in it
}

// Waits is how long callers waited before each retry, beside the declared law.
type Waits struct {
	Link    string `json:"link"`           // the link that the calls go over
	Retries []Wait `json:"retries"`        // by number of the retry
	More    int    `json:"more,omitempty"` // retries of higher numbers than are shown, all waits together
}

// Wait is the waits before one retry.
type Wait struct {
	Retry   int     `json:"retry"`             // 1 is the first retry, the second attempt
	Bins    []Bin   `json:"bins"`              // next to each other, all of one width
	Longer  int     `json:"longer,omitempty"`  // waits longer than the last bin has
	Median  float64 `json:"median_ms"`         // half of the waits were no longer
	Sample  int     `json:"sample"`            // how many waits there were
	Allowed *Bound  `json:"allowed,omitempty"` // from where to where the declared law has them, in ms and without tolerance
}

// Bin is one bar of a histogram.
type Bin struct {
	From  float64 `json:"from_ms"` // included
	To    float64 `json:"to_ms"`   // not included
	Count int     `json:"count"`   // waits in it
}

// Level is how many exchanges were in flight, the most in each step.
type Level struct {
	Link  string           `json:"link"`            // the link that they were in flight on
	From  evidence.Seconds `json:"from_s"`          // begin of the first step
	Step  evidence.Seconds `json:"step_s"`          // 0.1, or more where there would be too many
	Most  []int            `json:"most"`            // by step
	Limit int              `json:"limit,omitempty"` // as it was claimed; 0 if it was not
}

// Attempts is how many calls made how many attempts.
type Attempts struct {
	Link     string  `json:"link"`              // the link that they went over
	Requests []int   `json:"requests"`          // calls by number of attempts, from 1
	More     int     `json:"more,omitempty"`    // calls with more attempts than that
	Allowed  *Bound  `json:"allowed,omitempty"` // attempts that were claimed; absent if none were
	PerCall  float64 `json:"per_call"`          // attempts of a call, on average
}

// Staircase is what became of single requests, on both sides of the system.
type Staircase struct {
	Requests []Climb `json:"requests"` // by when they were due
}

// Climb is one request and the exchanges that it caused, joined by its id.
type Climb struct {
	ID      uint64           `json:"id"`               // of the request
	Route   string           `json:"route"`            // its route
	Due     evidence.Seconds `json:"due_s"`            // when the schedule has it
	Sent    evidence.Seconds `json:"sent_s"`           // when it was sent
	Done    evidence.Seconds `json:"done_s"`           // when it had ended for its caller
	Status  int              `json:"status,omitempty"` // that its caller saw; 0 if none
	Outcome string           `json:"outcome"`          // as in routes[].outcomes
	Steps   []Step           `json:"steps"`            // its exchanges on all links, by their begin
	More    int              `json:"more,omitempty"`   // further exchanges
}

// Step is one exchange at a link.
type Step struct {
	Link   string           `json:"link"`                 // where it was seen
	Begin  evidence.Seconds `json:"begin_s"`              // when its head was there
	End    evidence.Seconds `json:"end_s"`                // when its caller was given the last of the answer, or was seen gone
	Method string           `json:"method,omitempty"`     // of the request; absent where only connections are known
	Status int              `json:"status,omitempty"`     // that its caller saw; 0 if none
	Own    int              `json:"own_status,omitempty"` // that its callee answered, where its caller saw another or none
	Ending string           `json:"ending"`               // as in links[].endings
	Faults []string         `json:"faults,omitempty"`     // names of those that hit it
}

// Trend is a figure over time, and a line to compare it with: where the claim is about how
// much it grows the line through the points, otherwise the figure of the whole, which is level.
type Trend struct {
	Of      string  `json:"of"`                // what the figure is of
	Unit    string  `json:"unit"`              // of y: ms, pct, ...
	Points  []Point `json:"points"`            // in order; a stretch without a request has none
	Slope   float64 `json:"slope_per_s"`       // of the line; 0 is level
	At0     float64 `json:"at_0"`              // the line at the start of the load
	Against string  `json:"against,omitempty"` // what the line is, where it is not of the points
	Allowed *Bound  `json:"allowed,omitempty"` // what was claimed of y; absent if nothing was
}

// Point is a figure of a short stretch of time.
type Point struct {
	At evidence.Seconds `json:"at_s"` // the middle of the stretch
	Y  float64          `json:"y"`    // the figure, in the unit of its exhibit
}
