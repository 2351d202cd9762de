package discover

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
)

// never are the statuses that may not be tried again.
var never = []Cause{400, 401, 403, 404, 409}

// Claims are the claims of an experiment file that say what was found, each a kind with
// its keys. A figure that was not measured well enough to be claimed is left out.
func (f *Findings) Claims() (claims []string) {
	line := func(kind string, keys ...string) {
		claims = append(claims, fmt.Sprintf("%s: {%s}", kind, strings.Join(keys, ", ")))
	}
	link, route := "link: "+f.Link, "route: "+f.Route
	if f.Success > 0 {
		line("steady", route, fmt.Sprintf("success: %g%%", math.Floor(1000*min(0.999, f.Success))/10))
	}
	if within := f.within(); within > 0 {
		line("timeout", link, route, "within: "+within.String())
	}
	if law, ok := LawOf(f.Waits); ok || f.Attempts != nil {
		line("retry", f.retryKeys(link, route)...)
		if ok && law.sure() && f.Attempts != nil && f.Attempts.High > 1 {
			line("backoff", append([]string{link, route}, law.keys()...)...)
		}
	}
	if f.Opened {
		line("breaker", f.breakerKeys(link, route)...)
	}
	if f.Limit != nil {
		line("bulkhead", link, route, fmt.Sprintf("limit: %.0f", f.Limit.High))
	}
	line("recovery", route, "within: "+f.recovers().String())
	return claims
}

func (f *Findings) retryKeys(link, route string) []string {
	keys := []string{link, route}
	if f.Attempts != nil {
		keys = append(keys, fmt.Sprintf("attempts: %.0f", f.Attempts.High))
		if f.Attempts.Low > 1 {
			keys = append(keys, fmt.Sprintf("at_least: %.0f", f.Attempts.Low))
		}
	}
	on, not := f.split()
	if len(on) > 0 {
		keys = append(keys, "on: "+list(on))
	}
	if f.Unkeyed > 0 {
		keys = append(keys, "unkeyed: true")
	}
	if not = slices.DeleteFunc(not, func(c Cause) bool { return !slices.Contains(never, c) }); len(not) > 0 {
		keys = append(keys, "never: "+list(not))
	}
	return keys
}

// split are the statuses that were tried again, and those that never were, in order.
func (f *Findings) split() (on, not []Cause) {
	for cause, seen := range f.Causes {
		switch {
		case cause == 0:
		case seen.often():
			on = append(on, cause)
		case seen.Retried == 0:
			not = append(not, cause)
		}
	}
	slices.Sort(on)
	slices.Sort(not)
	return on, not
}

func list(causes []Cause) string {
	return "[" + unit.List(causes, ", ", Cause.String) + "]"
}

func (l Law) keys() []string {
	keys := []string{"base: " + millis(round(l.Base.Low, l.Base.High)).String()}
	if l.wide() {
		keys = []string{"base: " + millis(round(l.Middle.Low, l.Middle.High)).String(), "law: spread"}
	}
	if l.Name != "add" {
		keys = append(keys, "law: "+l.Name)
	}
	if l.Factor != nil {
		keys = append(keys, fmt.Sprintf("factor: %g", round(l.Factor.Low, l.Factor.High)))
	}
	if l.Cap != nil {
		keys = append(keys, "cap: "+millis(round(l.Cap.Low, l.Cap.High)).String())
	}
	if l.Noise != nil {
		keys = append(keys, "noise: "+millis(round(l.Noise.Low, l.Noise.High)).String())
	}
	if l.wide() {
		keys = append(keys, fmt.Sprintf("jitter: %g%%", l.side()))
	} else if l.Jitter != nil && l.Jitter.High > noSpread {
		keys = append(keys, fmt.Sprintf("jitter: %g%%", round(100*l.Jitter.Low, 100*l.Jitter.High)))
	}
	return keys
}

func (f *Findings) breakerKeys(link, route string) []string {
	keys := []string{link, route}
	switch share, window := f.Share, f.Window; {
	case f.unprobed() && f.byShare(): // may be places that are lost
	case f.byShare() && share != nil && window != nil && narrow(share, 0.1) && narrow(window, 0.2):
		keys = append(keys, fmt.Sprintf("failure_rate: %g%%", round(100*share.Low, 100*share.High)),
			"window: "+millis(round(window.Low, window.High)).String(), "buckets: 10")
	case f.Failures != nil && !f.byShare() && !math.IsInf(f.Failures.High, 1):
		keys = append(keys, fmt.Sprintf("failures: %.0f", f.Failures.High))
		if f.Counts != "" {
			keys = append(keys, "counts: "+f.Counts)
		}
	}
	if f.Open != nil && narrow(f.Open, 0.1) {
		keys = append(keys, "waits: "+millis(round(f.Open.Low, f.Open.High)).String())
	}
	if f.Probes != nil && !math.IsInf(f.Probes.High, 1) {
		keys = append(keys, fmt.Sprintf("probes: %.0f", f.Probes.High))
	}
	if f.Rejects != nil && !math.IsInf(f.Rejects.High, 1) {
		keys = append(keys, "rejects_within: "+upward(f.Rejects.High).String())
	}
	if f.Closes != nil && f.Open != nil && !math.IsInf(max(f.Closes.High, f.Open.High), 1) {
		keys = append(keys, "closes_within: "+upward(max(f.Closes.High, f.Open.High)).String())
	}
	return keys
}

// recovers is how long it may take until all is well again: what is left of an open
// time, or of a call that hangs.
func (f *Findings) recovers() time.Duration {
	longest := 1000.0
	for _, figure := range []*Figure{f.Open, f.Longest, f.Closes} {
		if figure != nil && !math.IsInf(figure.High, 1) {
			longest = max(longest, figure.High)
		}
	}
	return upward(longest)
}

// within is the bound that is claimed of a caller's wait; 0 if none is.
func (f *Findings) within() time.Duration {
	if f.Timeout == nil || f.Longest == nil || math.IsInf(f.Longest.High, 1) {
		return 0
	}
	return upward(f.Longest.High)
}

// upward is a round bound with room: half as much again, and 20 ms at least.
func upward(ms float64) time.Duration {
	ms = max(1.5*ms, ms+20)
	digit := math.Pow(10, math.Floor(math.Log10(ms)))
	return millis(math.Ceil(ms/digit*2) / 2 * digit)
}
