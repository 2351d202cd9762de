package series

import "github.com/stormctl/stormctl/chaos/evidence"

// MaxColumns bounds the columns of a series at any length of a run.
const MaxColumns = 1200

// MaxRoutes bounds the routes that have columns of their own; MaxLinks the links.
const (
	MaxRoutes = 50
	MaxLinks  = 50
)

// MaxWindows bounds the windows around faults, WindowColumns each of them, and
// WindowRows its routes, and its links.
const (
	MaxWindows    = 40
	WindowColumns = 120
	WindowRows    = 10
)

// MaxBytes bounds a View as JSON without white space: what would be beyond it has no
// rows of its own, and is counted in OtherRoutes and OtherLinks.
const MaxBytes = 2 << 20

// Series is a run over its length. A column is Step whole seconds merged: counts are
// summed, percentiles are of the merged histograms, gauges are the least and the most.
// All columns of a series are of one length, and column i begins at From + i × Step
// seconds since the start of the load; the last may be shorter. Times are seconds,
// durations milliseconds. A percentile of nothing is null, and all have 4 digits: the
// histograms know 3.
//
// What was counted and timed from one moment to the next belongs to the column in
// which it began: the harness looks about once a second, some milliseconds late.
type Series struct {
	From    evidence.Seconds `json:"from_s"`
	To      evidence.Seconds `json:"to_s"` // the end of the last column
	Step    int              `json:"step_s"`
	Offered []uint64         `json:"offered"` // arrivals that were due
	Ended   []uint64         `json:"ended"`
	Unsent  []uint64         `json:"unsent"`

	// What ended, by outcome, Unsent apart; an outcome that never came is absent.
	Outcomes map[string][]uint64 `json:"outcomes"`
	Response Percentiles         `json:"response"` // over all routes

	Routes      []Route `json:"routes"`                 // the MaxRoutes with the most requests, in the order of the experiment
	OtherRoutes int     `json:"other_routes,omitempty"` // that have no columns
	Links       []Link  `json:"links"`
	OtherLinks  int     `json:"other_links,omitempty"`
	Harness     Harness `json:"harness"`

	Targets []Target `json:"targets,omitempty"` // the MaxTargets first by name that the run has started; none in windows
}

// Percentiles are of what ended in each column, in milliseconds.
type Percentiles struct {
	P50  []*float64 `json:"p50_ms"`
	P99  []*float64 `json:"p99_ms"`
	P999 []*float64 `json:"p99_9_ms"`
	Max  []*float64 `json:"max_ms"`
}

// Route is one route.
type Route struct {
	Name     string      `json:"name"`
	Ended    []uint64    `json:"ended"`
	Bad      []uint64    `json:"bad"` // of them not ok
	Response Percentiles `json:"response"`
}

// Link is one link.
type Link struct {
	Name     string      `json:"name"`
	Ended    []uint64    `json:"ended"`
	Errors   []uint64    `json:"errors"`    // status 500 or more, or no response
	InFlight Gauge       `json:"in_flight"` // the least at the end of a second, the most at any moment
	Took     Percentiles `json:"took"`
}

// Gauge is the least and the most of a figure in each column.
type Gauge struct {
	Least []float64 `json:"least"`
	Most  []float64 `json:"most"`
}

// Harness is how the harness and its host were, the worst of each column.
type Harness struct {
	LagP99   []float64 `json:"lag_p99_ms"`
	LagMax   []float64 `json:"lag_max_ms"`
	Hiccup   []float64 `json:"hiccup_max_ms"`
	Pressure []float64 `json:"cpu_pressure"` // part of a second; -1 is unknown
	CPU      []float64 `json:"cpu_cores"`
	Lost     []uint64  `json:"lost"`   // records, so far
	Unwell   []bool    `json:"unwell"` // it was not well in a second of it
}

// Window is a stretch around a fault in columns of one second: from 30 s before its
// injection to 60 s after its healing. Where that is more than WindowColumns there are
// two, one around each, the latter to 60 s after it.
type Window struct {
	Fault  string  `json:"fault"`
	Index  int     `json:"index"` // of the fault: its place in the experiment
	Series *Series `json:"series"`
}

// Phase is the response times of one stretch of a run, merged. Every second is in
// exactly one: a second in which a fault was in force, if only for a moment, is
// during; between is what was sound between two faults.
type Phase struct {
	Name     string           `json:"name"` // before, during, between, after: of the faults; all if nothing was injected
	From     evidence.Seconds `json:"from_s"`
	To       evidence.Seconds `json:"to_s"`
	Count    int64            `json:"count"`
	Spectrum []Quantile       `json:"spectrum"`
	Links    []LinkPhase      `json:"links,omitempty"`
}

// LinkPhase is the same of a link's exchanges.
type LinkPhase struct {
	Link     string     `json:"link"`
	Count    int64      `json:"count"`
	Spectrum []Quantile `json:"spectrum"`
}

// Quantile is a point of a spectrum: a share Q of all took at most MS.
type Quantile struct {
	Q  float64 `json:"q"`
	MS float64 `json:"ms"`
}

// View is all that a report draws over time.
type View struct {
	Whole *Series `json:"whole"`

	// By From. Of more than MaxWindows those that have a call in them that proves a
	// refutation, and the earliest. None where Whole has columns of one second itself.
	Windows []Window `json:"windows,omitempty"`
	Phases  []Phase  `json:"phases,omitempty"`
}
