package discover

import (
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

const (
	leastHung   = 5   // calls that were given up, to speak of a timeout
	leastTurned = 5   // requests that were turned away, to speak of a limit
	oneCall     = 0.9 // calls per request, from which on each is taken to make one
)

// learnTimeout is how long a call hangs until it is given up, and how long the callers
// wait meanwhile. Where calls are given up after different times, as by a clock of whole
// seconds, it is all from the shortest to the longest.
func (f *Findings) learnTimeout(run *evidence.Run, all []request, begin, end time.Duration) {
	var lasted []time.Duration
	link := run.Links[f.Link]
	for i := range link.Exchanges {
		x := &link.Exchanges[i]
		if x.Begin < begin || x.Begin >= end || x.Ending != evidence.CallerGone || x.End > end {
			continue
		}
		lasted = append(lasted, x.Duration())
	}
	n := len(lasted)
	left, after, usual := abandoned(sentIn(all, begin, end))
	switch {
	case n < leastHung && left >= leastHung:
		f.Abandoned = left
		f.Timeout = between(after-hop, max(after+run.Noise(begin, end), usual+hop), left)
	case n < leastHung:
		f.TimeoutUpTo = (end - begin).Round(100 * time.Millisecond)
	default:
		middle, noise := median(lasted), run.Noise(begin, end)
		low := lasted[n/100]                   // what ended before a hundredth of them did so for something else
		high := lasted[n-1] + time.Millisecond // a service's clock starts before the call is here
		if middle < low+noise+hop+low/10 {     // all lasted as long, but for the host
			high = min(high, low+noise+hop)
		}
		f.Timeout = between(low-hop, high, n)
	}
	var longest time.Duration
	waited := 0
	for _, r := range sentIn(all, begin, end) {
		if r.Outcome == load.OK || r.Status != 0 {
			waited++
			longest = max(longest, r.Done-r.Sent)
		}
	}
	if waited > 0 {
		f.Longest = between(longest-run.Noise(begin, end), longest, waited)
	}
}

// abandoned are the calls that went on when their callers had been answered, as they do
// where a timeout ends a wait and not what is waited for. after is how soon the first
// was, from the begin of the call, and usual how soon half of them were: a call that
// begins late, as on a busy host, is soon given up.
func abandoned(during []request) (n int, after, usual time.Duration) {
	var waited []time.Duration
	for _, r := range during {
		if r.Status == 0 || len(r.calls) == 0 {
			continue
		}
		last := r.calls[len(r.calls)-1]
		if last.End < r.Done+hop {
			continue
		}
		waited = append(waited, r.Done-last.Begin)
	}
	if len(waited) == 0 {
		return 0, 0, 0
	}
	usual = median(waited)
	return len(waited), waited[0], usual
}

// learnLimit is how many calls may be in progress: of a dependency that answers none,
// as many as there were when requests were turned away, before the first call was
// given up. Later a breaker may turn them away instead.
func (f *Findings) learnLimit(link *evidence.Link, during []request, begin time.Duration) {
	first := time.Duration(-1) // end of the first call that was given up
	for i := range link.Exchanges {
		if x := &link.Exchanges[i]; x.End >= begin && x.Ending == evidence.CallerGone && (first < 0 || x.End < first) {
			first = x.End
		}
	}
	for _, r := range during {
		if n, _, _ := abandoned([]request{r}); n > 0 && (first < 0 || r.Done < first) {
			first = r.Done
		}
	}
	level := 0
	for i := range link.Exchanges {
		if x := &link.Exchanges[i]; x.End >= begin && (first < 0 || x.Begin < first) {
			level = max(level, int(x.InFlight))
		}
	}
	turned := 0
	cached := f.did(Quick) && f.Calls < oneCall
	for _, r := range during {
		if cached && r.Outcome == load.OK {
			continue // it never needed a call
		}
		if len(r.calls) == 0 && r.Status != 0 && (first < 0 || r.Done < first) {
			turned++ // answered, and no call was made
		}
	}
	if turned < leastTurned || level == 0 {
		f.LimitUpTo = max(f.LimitUpTo, level)
		return
	}
	f.Limit = &Figure{Sample: turned}
	f.Limit.Low, f.Limit.High = float64(level), float64(level)
}

// learnStillOut is whether callers are well again at the end of a trial that leaves more
// than the time for it.
func (f *Findings) learnStillOut(run *evidence.Run, all []request, end time.Duration) {
	if f.Opened && f.Open == nil || f.Success < 0.9 {
		return // how long it stays open is not known, or it was never well
	}
	last := sentIn(all, max(end, run.End-2*time.Second), run.End-time.Second)
	out := 0
	for _, r := range last {
		if r.Status != 0 && r.Outcome != load.OK && len(r.calls) == 0 {
			out++
		}
	}
	if out >= leastTurned && 2*out > len(last) {
		f.StillOut = (run.End - end - time.Second).Round(100 * time.Millisecond)
	}
}
