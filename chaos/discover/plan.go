package discover

import (
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	planCalm  = 3 * time.Second // before the first fault
	planRest  = 2 * time.Second // between faults, of a service without a breaker
	planFor   = 4 * time.Second // of errors
	planNever = 300 * time.Millisecond
)

// plan is the load and the faults that decide the claims about what was found: each
// fault alone, with time after it to become well again.
type plan struct {
	*Findings
	at     time.Duration
	events []string
}

// Plan is the events of an experiment in which the claims can be decided, and how long
// its load goes on and its callers wait.
func (f *Findings) Plan() (chaos []string, duration, timeout time.Duration) {
	p := plan{Findings: f, at: planCalm}
	on, not := f.split()
	not = slices.DeleteFunc(not, func(c Cause) bool { return !slices.Contains(never, c) })
	switch {
	case f.byShare():
		p.byShare()
	case f.Opened:
		p.add(2*p.open()+2*time.Second, "errors: {status: 503}", fmt.Sprintf("latency: {delay: %v}", slowBy))
		p.add(time.Second, "errors: {status: 503}")
	default:
		status := 503
		if len(on) > 0 && !slices.Contains(on, 503) {
			status = int(on[0])
		}
		p.add(max(planFor, 2*millis(f.waited())+planFor/2).Round(time.Second), fmt.Sprintf("errors: {status: %d}", status))
	}
	if len(not) > 0 { // later, for the service may take them for failures that open its breaker
		p.add(planNever*time.Duration(len(not)), fmt.Sprintf("errors: {status: %s}", list(not)))
	}
	if f.RetryAfter != nil {
		p.add(500*time.Millisecond, fmt.Sprintf("errors: {status: 429, retry_after: %v}", RetryAfterOf))
	}
	if f.Timeout != nil || f.Limit != nil {
		p.add((max(p.longest(), p.within()) + 2*time.Second).Round(time.Second), "partition: {}")
	}
	duration = (p.at + f.recovers()).Round(time.Second) + time.Second
	return p.events, duration, max(20*time.Second, 3*p.longest())
}

// add has faults of one length at one time, and a rest after them.
func (p *plan) add(length time.Duration, faults ...string) {
	for _, fault := range faults {
		p.events = append(p.events, event(p.at, length, p.Link, fault))
	}
	rest := planRest + millis(2*p.waited())
	if p.Opened {
		rest = max(rest, p.recovers()+1500*time.Millisecond)
	}
	p.at += (length + rest).Round(100 * time.Millisecond)
}

// byShare fails once before the window is full, which tells the share, and once after.
func (p *plan) byShare() {
	share, window := 0.5, 10*time.Second
	if p.Share != nil && p.Window != nil {
		share = min(p.Share.High, 0.8)
		window = millis(min(p.Window.High, inMS(longest)))
	}
	more := 1500 * time.Millisecond
	p.add((time.Duration(share/(1-share)*float64(p.at)) + more).Round(100*time.Millisecond), "errors: {status: 503}")
	p.at += window.Round(100 * time.Millisecond)
	p.add((time.Duration(share*float64(window)) + more).Round(100*time.Millisecond), "errors: {status: 503}")
}

// open is the open time of the breaker, and longest what the longest call may take; 0
// where there is none.
func (p *plan) open() time.Duration {
	if p.Open == nil {
		return 0
	}
	return millis(p.Open.High).Round(100 * time.Millisecond)
}

func (p *plan) longest() (d time.Duration) {
	for _, figure := range []*Figure{p.Timeout, p.Longest} {
		if figure != nil && !math.IsInf(figure.High, 1) {
			d = max(d, millis(figure.High).Round(100*time.Millisecond))
		}
	}
	return d
}
