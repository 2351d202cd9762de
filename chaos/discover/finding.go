package discover

import (
	"fmt"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/judge"
)

// Subject is what is asked about: the calls that a route makes over a link.
type Subject struct{ Link, Route string }

// Figure is a measured setting. Times are in milliseconds.
type Figure struct {
	judge.Interval
	Sample int // how many observations it rests on
}

// between is a figure that lies within two times.
func between(low, high time.Duration, sample int) *Figure {
	return &Figure{judge.Interval{Low: inMS(max(0, low)), High: inMS(high)}, sample}
}

// inMS is a time in milliseconds.
func inMS(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Cause is why an attempt failed: a status, or 0 for an answer that never came.
type Cause int

func (c Cause) String() string {
	if c == 0 {
		return "a timeout"
	}
	return fmt.Sprintf("%d", int(c))
}

// Retried is what became of the calls that failed by one cause.
type Retried struct {
	Calls   int // that failed at their first attempt
	Retried int // of them
}

// often reports whether it was the rule that these calls were tried again. One of them
// may be for another reason, also where it is the only one: its caller gave up before it
// heard the answer.
func (r Retried) often() bool { return r.Retried > 1 && 2*r.Retried >= r.Calls }

// Wait is the waits before one retry, over all calls.
type Wait struct {
	Low, High *Figure // where the range of the waits begins and ends
	Sample    int
	Usual     float64 // half of the waits are as short, in ms: a busy host makes some longer, and hardly half of them
}

// Findings are what is known of a service so far. A nil figure was not seen: the field
// with its name and UpTo says up to where it was looked for.
type Findings struct {
	Subject
	Done []string // trials that were made, by name

	RPC       bool // its calls are gRPC, which are all POST and have no Idempotency-Key
	Anonymous bool // no call carries the request's id: attempts cannot be told apart

	// In the calm.
	Success   float64 // part of the requests
	P50       float64 // ms
	Calls     float64 // over the link per request, on average
	Depth     int     // most calls of one request of which each began after the one before had ended
	Sequences int     // requests that it is of

	// While the dependency failed at once.
	Fallback float64 // part of the requests that succeeded all the same
	Failing  int     // requests that it is of

	Attempts    *Figure
	Causes      map[Cause]Retried
	Waits       []Wait  // by retry, from the first
	RetryAfter  *Figure // waits before a retry that was told to wait RetryAfterOf
	Unkeyed     int     // POST and PATCH that were sent again without an Idempotency-Key
	KeysChanged int     // calls of which an attempt had another key than the first

	Opened   bool // a breaker was seen open
	Failures *Figure
	ByShare  *bool   // it opened although every second call succeeded: no failures in a row; nil was not tried
	Later    *bool   // it took more failures to open after more successes; nil was not tried
	Share    *Figure // of failures that opens it, 0 to 1; nil if it counts them
	Window   *Figure // over which the share is taken
	Open     *Figure
	OpenUpTo time.Duration
	Probes   *Figure
	Rejects  *Figure // how long a caller of the open breaker waits
	Closes   *Figure // from the healing
	Counts   string  // what it counts: request or attempt, where that makes a difference

	Timeout     *Figure
	TimeoutUpTo time.Duration
	Abandoned   int     // calls that were still in progress when their callers had been answered
	Longest     *Figure // the longest wait of a caller while the dependency hung

	Limit     *Figure // calls in progress
	LimitUpTo int     // there were as many, and none was turned away

	StillOut time.Duration // so long after the healing callers were turned away; 0 if they were not

	way      time.Duration // that nine of ten requests of the calm took beside their calls; 0 is not known
	openings []opening     // of a breaker, for its share and window
}

// RetryAfterOf is what a 429 asks callers to wait.
const RetryAfterOf = time.Second

func (f *Findings) did(trial string) bool { return slices.Contains(f.Done, trial) }

// unprobed reports whether nothing was let through again while the dependency failed, for
// as long as one waited: a breaker that stays open for longer, or a bulkhead that lost its
// places, whose losses look like a share.
func (f *Findings) unprobed() bool { return f.Opened && f.Open == nil && f.OpenUpTo > 0 }

// byShare reports whether the breaker opens by the share of failures, as far as it is
// known. One that opens although every second call succeeds may also count failures
// whatever comes between, as nginx does: then a longer calm makes no difference.
func (f *Findings) byShare() bool {
	if f.Later != nil {
		return *f.Later
	}
	return f.ByShare != nil && *f.ByShare
}
