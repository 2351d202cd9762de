package discover

import (
	"fmt"
	"math"
	"strings"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Row is one line of what was found.
type Row struct {
	Name   string  `json:"name"`
	Text   string  `json:"text"`             // the figure, or "none seen, up to ..."
	Figure *Figure `json:"figure,omitempty"` // nil if it is none, or was not seen; times in ms
	Parts  []Row   `json:"parts,omitempty"`  // what it is made of: of a law its base, factor, cap, noise, jitter
}

// Rows is all that was found and looked for, in reading order.
func (f *Findings) Rows() (rows []Row) {
	add := func(name string, figure *Figure, format string, args ...any) *Row {
		rows = append(rows, Row{Name: name, Text: fmt.Sprintf(format, args...), Figure: figure})
		return &rows[len(rows)-1]
	}
	if f.Anonymous {
		add("request ids", nil, "not passed on: X-Request-Id or traceparent joins a call to its request; attempts cannot be told "+
			"apart without")
	}
	if f.Sequences > 0 {
		add("calls per request", nil, "%.3g, %d in sequence, in the calm (%d requests, %.4g%% ok, p50 %s)",
			f.Calls, f.Depth, f.Sequences, 100*f.Success, short(f.P50))
	}
	f.timeRows(add)
	f.retryRows(add)
	f.breakerRows(add)
	switch {
	case f.Limit != nil:
		add("calls in progress", f.Limit, "%s at most; %d requests were turned away", f.Limit.count(), f.Limit.Sample)
	case f.LimitUpTo > 0:
		add("calls in progress", nil, "no bound seen, up to %d", f.LimitUpTo)
	}
	switch {
	case f.Failing > 0 && f.Fallback > 0.01:
		add("fallback", nil, "%.3g%% of %d requests succeed while the dependency fails", 100*f.Fallback, f.Failing)
	case f.Failing > 0:
		add("fallback", nil, "none seen: of %d requests none succeeds while the dependency fails", f.Failing)
	}
	return rows
}

// An adder adds a row, and returns it until the next is added.
type adder func(name string, figure *Figure, format string, args ...any) *Row

func (f *Findings) timeRows(add adder) {
	switch {
	case f.Timeout != nil && f.Abandoned > 0:
		add("timeout of a call", f.Timeout, "%s until its caller is answered; the calls go on (%d did)", f.Timeout.span(), f.Abandoned)
	case f.Timeout != nil:
		add("timeout of a call", f.Timeout, "%s (%d calls)", f.Timeout.span(), f.Timeout.Sample)
	case f.TimeoutUpTo > 0:
		add("timeout of a call", nil, "none seen, up to %v", f.TimeoutUpTo)
	}
	if f.Longest != nil {
		add("longest wait of a caller", f.Longest, "%s while it hung (%d answered)", f.Longest.span(), f.Longest.Sample)
	}
}

func (f *Findings) retryRows(add adder) {
	if f.Anonymous {
		return
	}
	if f.Attempts != nil {
		add("attempts", f.Attempts, "%s (%d calls used them up)", f.Attempts.count(), f.Attempts.Sample)
	}
	on, not := f.split()
	if len(on) > 0 {
		add("retried", nil, "after %s", strings.Trim(list(on), "[]"))
	}
	if len(not) > 0 {
		add("not retried", nil, "after %s", strings.Trim(list(not), "[]"))
	}
	if seen, ok := f.Causes[0]; ok {
		word := "never"
		if seen.Retried > 0 {
			word = fmt.Sprintf("%d of %d calls", seen.Retried, seen.Calls)
		}
		add("retried after a timeout", nil, "%s", word)
	}
	law, ok := LawOf(f.Waits)
	switch {
	case !ok && f.Attempts != nil && f.Attempts.High > 1:
		add("waits", nil, "cannot be told: fewer than %d were seen after an error that was answered at once", leastWaits)
		fallthrough
	case !ok:
		return
	}
	waits := unit.List(f.Waits, ", ", func(w Wait) string {
		return fmt.Sprintf("%s to %s", short(w.Low.High), short(max(w.Low.High, w.High.Low)))
	})
	add("waits", nil, "%s before retry 1 to %d", waits, len(f.Waits))
	add("law", nil, "%s", law.text()).Parts = law.parts()
	if f.RetryAfter != nil {
		add("Retry-After", f.RetryAfter, "waits %s when told to wait %v", f.RetryAfter.span(), RetryAfterOf)
	}
}

func (f *Findings) breakerRows(add adder) {
	if !f.did(Quick) {
		return
	}
	if !f.Opened && f.Calls < oneCall {
		add("breaker", nil, "cannot be told: most requests need no call")
		return
	}
	if !f.Opened {
		add("breaker", nil, "none seen: %d requests in a row failed and it called on", f.Failing)
		return
	}
	switch {
	case f.byShare() && f.unprobed():
		add("breaker opens", nil, "not by failures in a row; whether it is a breaker cannot be told: it was not seen to probe")
	case f.byShare():
		why := "it opened although every second call succeeded"
		if f.ByShare == nil || !*f.ByShare {
			why = "after more successes it took more failures"
		}
		add("breaker opens", nil, "by the share of failures: %s", why)
	case f.Failures != nil:
		counts := ""
		if f.Counts != "" {
			counts = ", each " + f.Counts + " counted"
		}
		row := "in a row"
		if f.ByShare != nil && *f.ByShare && f.Failures.High > 1 {
			row = "in a row or not"
		}
		add("breaker opens", f.Failures, "after %s failures %s%s", f.Failures.count(), row, counts)
	default:
		add("breaker opens", nil, "after what cannot be told")
	}
	switch {
	case f.unprobed(): // what is told of shares is told of a breaker
	case f.Share != nil:
		add("share that opens it", f.Share, "%.3g%% to %.3g%% of the calls", 100*f.Share.Low, 100*f.Share.High)
	case f.byShare() && len(f.openings) == 0:
		add("share that opens it", nil, "cannot be told: too few results were seen before it opened, or the machine was swamped")
	case f.byShare() && f.did(Long):
		add("share that opens it", nil, "cannot be told: it opened %d times, and no share of a window up to %v explains all",
			len(f.openings), longest)
	}
	switch {
	case f.Window == nil || f.unprobed():
	case math.IsInf(f.Window.High, 1):
		add("window", f.Window, "%s or longer", short(f.Window.Low))
	default:
		add("window", f.Window, "%s", f.Window.span())
	}
	if f.Open != nil {
		add("open time", f.Open, "%s (%d times)", f.Open.span(), f.Open.Sample)
	} else if f.OpenUpTo > 0 {
		add("open time", nil, "longer than %v", f.OpenUpTo)
	}
	switch {
	case f.Probes != nil:
		add("probes", f.Probes, "%s at a time", f.Probes.count())
	case f.Open != nil:
		add("probes", nil, "how many at a time cannot be told")
	}
	if f.Rejects != nil && !math.IsInf(f.Rejects.High, 1) {
		add("rejects", f.Rejects, "within %s (p99)", f.Rejects.span())
	}
	switch {
	case f.Closes == nil:
	case math.IsInf(f.Closes.High, 1):
		add("closes", f.Closes, "not seen, %s after the healing", short(f.Closes.Low))
	default:
		add("closes", f.Closes, "%s after the healing", f.Closes.span())
	}
}
