package judge

import "github.com/stormctl/stormctl/chaos/evidence"

// Exhibit is bounded evidence that is shown with a verdict, so that whoever shows it
// need not judge. Of its fields behind Title exactly one is set, the one that Kind
// names. Times are seconds since the start of the load, durations milliseconds.
type Exhibit struct {
	Kind  string `json:"kind"`
	Title string `json:"title"` // what is to be seen, in a sentence with the deciding figure
	Part  string `json:"part"`  // Part.Name of the part that it is about; "" is all of the claim

	States    *States    `json:"states,omitempty"`
	Waits     *Waits     `json:"waits,omitempty"`
	Level     *Level     `json:"level,omitempty"`
	Attempts  *Attempts  `json:"attempts,omitempty"`
	Staircase *Staircase `json:"staircase,omitempty"`
	Growth    *Growth    `json:"growth,omitempty"`
}

// Kinds of Exhibit.
const (
	KindStates    = "states"
	KindWaits     = "waits"
	KindLevel     = "level"
	KindAttempts  = "attempts"
	KindStaircase = "staircase"
	KindGrowth    = "growth"
)

// Bounds of exhibits: what is beyond them is counted, not shown.
const (
	MaxSpans     = 200
	MaxBins      = 60
	MaxPoints    = 1200
	MaxStaircase = 5  // requests
	MaxSteps     = 12 // exchanges of one of them
)

// States is what a breaker was in, as its link shows it.
type States struct {
	Link  string `json:"link"`
	Spans []Span `json:"spans"`
	More  int    `json:"more,omitempty"` // spans beyond MaxSpans
}

// Span is a stretch of time in one state: closed, open or half-open.
type Span struct {
	From  evidence.Seconds `json:"from_s"`
	To    evidence.Seconds `json:"to_s"`
	State string           `json:"state"`
	Calls int              `json:"calls"` // exchanges that began in it
}

// Waits is how long callers waited before each retry, beside the declared law.
type Waits struct {
	Link    string `json:"link"`
	Retries []Wait `json:"retries"`
}

// Wait is the waits before one retry.
type Wait struct {
	Retry   int     `json:"retry"` // 1 is the first retry, the second attempt
	Bins    []Bin   `json:"bins"`
	Median  float64 `json:"median_ms"`
	Sample  int     `json:"sample"`
	Allowed *Bound  `json:"allowed,omitempty"` // of the declared law, in ms; absent where none is declared
}

// Bin is one bar of a histogram.
type Bin struct {
	From  float64 `json:"from_ms"`
	To    float64 `json:"to_ms"`
	Count int     `json:"count"`
}

// Level is how many exchanges were in flight, the most in each step.
type Level struct {
	Link  string           `json:"link"`
	From  evidence.Seconds `json:"from_s"`
	Step  evidence.Seconds `json:"step_s"` // 100 ms, or more where there would be more than MaxPoints
	Most  []int            `json:"most"`
	Limit int              `json:"limit,omitempty"` // as it was claimed; 0 if it was not
}

// Attempts is how many requests made how many attempts.
type Attempts struct {
	Link     string  `json:"link"`
	Requests []int   `json:"requests"` // by number of attempts, from 1
	Allowed  *Bound  `json:"allowed,omitempty"`
	PerCall  float64 `json:"per_call"` // mean
}

// Staircase is what became of single requests, on both sides of the system.
type Staircase struct {
	Requests []Climb `json:"requests"`
}

// Climb is one request and the exchanges that it caused, in their order.
type Climb struct {
	ID      uint64           `json:"id"`
	Route   string           `json:"route"`
	Due     evidence.Seconds `json:"due_s"`
	Sent    evidence.Seconds `json:"sent_s"`
	Done    evidence.Seconds `json:"done_s"`
	Status  int              `json:"status,omitempty"`
	Outcome string           `json:"outcome"`
	Steps   []Step           `json:"steps"`
	More    int              `json:"more,omitempty"` // steps beyond MaxSteps
}

// Step is one exchange at a link.
type Step struct {
	Link   string           `json:"link"`
	Begin  evidence.Seconds `json:"begin_s"`
	End    evidence.Seconds `json:"end_s"`
	Method string           `json:"method,omitempty"`
	Status int              `json:"status,omitempty"`
	Ending string           `json:"ending"`
	Faults []string         `json:"faults,omitempty"` // names of those that hit it
}

// Growth is a figure over time with the line through it.
type Growth struct {
	Of      string  `json:"of"`   // what grows
	Unit    string  `json:"unit"` // of y
	Points  []Point `json:"points"`
	Slope   float64 `json:"slope_per_s"`
	At0     float64 `json:"at_0"` // the line at the start of the load
	Allowed *Bound  `json:"allowed,omitempty"`
}

// Point is a figure at a time.
type Point struct {
	At evidence.Seconds `json:"at_s"`
	Y  float64          `json:"y"`
}
