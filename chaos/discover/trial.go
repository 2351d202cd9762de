package discover

import (
	"fmt"
	"strings"
	"time"
)

// Trial is one run that something is to be learnt from.
type Trial struct {
	Name     string
	About    string // what it looks for, for people
	Rate     int    // requests a second
	Duration time.Duration
	Chaos    []string // events of the experiment file
}

// Names of trials.
const (
	Quick    = "quick errors"
	Slow     = "slow errors"
	Hang     = "hang"
	LongHang = "long hang"
	Statuses = "statuses"
	Half     = "every second call"
	Long     = "long calm"
)

// Bounds are how far it may go.
type Bounds struct {
	Rate     int           // requests a second
	Patience time.Duration // longest time that is waited for one setting: an open time, a timeout
}

const (
	calm       = 3 * time.Second        // before the first fault
	quickFor   = 4 * time.Second        // of errors that come at once
	slowBy     = 150 * time.Millisecond // so that a probe takes time
	hangFor    = 6 * time.Second
	statusFor  = time.Second
	statusRest = 500 * time.Millisecond
	settle     = 8 * time.Second // after the last fault
	longCalm   = 14 * time.Second
	fewInRow   = 10 // failures that open a breaker which counts them; a share of some seconds are more
)

// statuses are what a call is answered with, one after the other.
var statuses = []int{500, 502, 504, 429, 400, 401, 403, 404, 409}

// Next is the trial that tells most of what is not known yet; false if all that can be
// found has been looked for.
func Next(f *Findings, b Bounds) (Trial, bool) {
	settled := settle
	if f.Open != nil {
		settled = max(settle, (2 * time.Duration(f.Open.High*float64(time.Millisecond))).Round(time.Second))
	}
	switch {
	case !f.did(Quick):
		return Trial{Quick, "what callers get while the dependency fails at once, how often it is tried again, whether a breaker opens",
			b.Rate, calm + quickFor + settle, []string{event(calm, quickFor, f.Link, "errors: {status: 503}")}}, true
	case f.Opened && !f.did(Slow):
		wait := min(b.Patience, 15*time.Second)
		return slowTrial(f, b, wait), true
	case f.Opened && f.Open == nil && f.OpenUpTo < b.Patience:
		return slowTrial(f, b, b.Patience), true
	case f.Opened && !f.did(Half):
		return Trial{Half, "whether the breaker counts failures in a row, or their share", b.Rate, calm + quickFor + settled,
			[]string{event(calm, quickFor, f.Link, "errors: {status: 503, every: 2}")}}, true
	case f.Opened && !f.did(Long) && (f.byShare() || f.Failures != nil && f.Failures.High > fewInRow):
		return Trial{Long, "over how long the breaker takes the share", b.Rate, 2*longCalm + settled,
			[]string{event(longCalm, longCalm, f.Link, "errors: {status: 503}")}}, true
	case !f.did(Hang):
		return Trial{Hang, "how long a call may take, and how many may be in progress", b.Rate, calm + hangFor + settled,
			[]string{event(calm, hangFor, f.Link, "partition: {}")}}, true
	case f.Timeout == nil && !f.did(LongHang) && f.TimeoutUpTo < b.Patience:
		long := min(b.Patience, 35*time.Second)
		return Trial{LongHang, "a timeout longer than " + hangFor.String(), max(1, b.Rate/5), calm + long + settled,
			[]string{event(calm, long, f.Link, "partition: {}")}}, true
	case !f.did(Statuses):
		return statusTrial(f, b, settled), true
	}
	return Trial{}, false
}

// slowTrial fails for longer than a breaker may stay open, so that it is seen to probe.
func slowTrial(f *Findings, b Bounds, wait time.Duration) Trial {
	length := wait
	if f.Open != nil {
		length = min(wait, (3*time.Duration(f.Open.High*float64(time.Millisecond)) + time.Second).Round(time.Second))
	}
	return Trial{Slow, fmt.Sprintf("how long the breaker stays open (up to %v), and how many probes it lets through", length), b.Rate,
		calm + length + max(settle, length), []string{
			event(calm, length, f.Link, "errors: {status: 503}"),
			event(calm, length, f.Link, fmt.Sprintf("latency: {delay: %v}", slowBy)),
		}}
}

// statusTrial answers a few calls with each status: so few that a breaker stays closed.
func statusTrial(f *Findings, b Bounds, settled time.Duration) Trial {
	few := 5
	if f.Opened && f.Failures != nil {
		few = min(few, max(1, int(f.Failures.Low)-1))
	}
	at := calm
	var chaos []string
	for _, status := range statuses {
		fault := fmt.Sprintf("errors: {status: %d, first: %d}", status, few)
		length := statusFor
		if status == 429 {
			fault = fmt.Sprintf("errors: {status: 429, retry_after: %v, first: %d}", RetryAfterOf, few)
			length += RetryAfterOf
		}
		chaos = append(chaos, event(at, length, f.Link, fault))
		at += length + statusRest
	}
	return Trial{Statuses, "which answers are tried again, and whether Retry-After is heard", b.Rate, at + settled/2, chaos}
}

// event is one event of the chaos section.
func event(at, length time.Duration, link, fault string) string {
	return fmt.Sprintf("{at: %v, for: %v, on: %s, %s}", at, length, link, fault)
}

// Set is the trial as changes of an experiment that has targets, links and routes.
func (t Trial) Set(s Subject) []string {
	return []string{
		"name=" + "discover-" + strings.ReplaceAll(t.Name, " ", "-"),
		fmt.Sprintf("load.rate=%d/s", t.Rate),
		"load.duration=" + t.Duration.String(),
		"chaos=[" + strings.Join(t.Chaos, ", ") + "]",
		fmt.Sprintf("claims=[{recovery: {route: %s, within: %v}}]", s.Route, t.Duration),
	}
}
