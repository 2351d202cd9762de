package discover

import (
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
)

// A breaker by share opens at the first result with which, of the calls of the last
// window, the share has failed. Its window and its share are two unknowns, and one
// opening is one equation: the failures that it took fit a long window with a small
// share as well as a short one with a large share. Openings after a short and after a
// long calm leave few pairs that fit both.

// opening is what a breaker had seen when it opened: the results of the calls, by time.
type opening struct {
	at  []time.Duration
	bad []bool
}

const (
	leastOpening = 20               // results before an opening, to speak of a share
	lateToHear   = 3 * time.Second  // before an opening, in which a swamped machine may have held up results
	openedBy     = 10               // requests in a row that were turned away, to speak of an opening
	bucketed     = 0.1              // windows of ten buckets forget up to so much of themselves early
	shortest     = time.Second      // windows that are looked for
	longest      = 60 * time.Second // past it a window is as good as all of a run
	finer        = 1.02             // from one window that is looked for to the next
)

// learnOpening keeps what a breaker had seen when it opened, unless it may have been late
// to hear of it by any time.
func (f *Findings) learnOpening(run *evidence.Run, all []request) {
	o := openingOf(all)
	if len(o.at) < leastOpening {
		return
	}
	last := o.at[len(o.at)-1]
	if swamped, _ := run.Swamped(last-lateToHear, last); swamped == 0 {
		f.openings = append(f.openings, o)
	}
}

// inARow is the most failures without a success between them before it opened, of calls
// that may have failed for other reasons than the fault.
func inARow(all []request) (most int) {
	row := 0
	for _, bad := range openingOf(all).bad {
		if row++; !bad {
			row = 0
		}
		most = max(most, row)
	}
	return most
}

// openingOf is the results up to the first request that was turned away, with all that
// followed it; empty if there is none.
func openingOf(all []request) (o opening) {
	turned := turnedAway(all)
	type result struct {
		at  time.Duration
		bad bool
	}
	var results []result
	for _, r := range all {
		for _, x := range r.calls {
			_, bad := failed(x)
			results = append(results, result{x.End, bad})
		}
	}
	slices.SortFunc(results, func(a, b result) int { return int(a.at - b.at) })
	for _, x := range results {
		if turned >= 0 && x.at <= turned {
			o.at, o.bad = append(o.at, x.at), append(o.bad, x.bad)
		}
	}
	return o
}

// turnedAway is when the first request was sent of openedBy in a row that were answered
// without a call; negative if there are none. A single one may have found a bulkhead full.
func turnedAway(all []request) time.Duration {
	inOrder := slices.Clone(all)
	slices.SortStableFunc(inOrder, func(a, b request) int { return int(a.Sent - b.Sent) })
	row := 0
	for i, r := range inOrder {
		if len(r.calls) > 0 || r.Status < 500 {
			row = 0
		} else if row++; row == openedBy {
			return inOrder[i-openedBy+1].Sent
		}
	}
	return -1
}

// share is between which shares the one lies that opened it, by a window: above all
// that it had seen before, and at most what it saw then. Of the last two results one may
// have come too late for it.
func (o opening) share(window time.Duration) judge.Interval {
	var s judge.Interval
	from, bad := 0, 0
	for i, at := range o.at {
		if o.bad[i] {
			bad++
		}
		for o.at[from] < at-window {
			if o.bad[from] {
				bad--
			}
			from++
		}
		now := float64(bad) / float64(i-from+1)
		switch settled := i < len(o.at)-2; {
		case !settled:
			s.High = max(s.High, now)
		case i-from+1 >= leastOpening:
			s.Low = max(s.Low, now)
		}
	}
	return s
}

// learnShare looks for the windows by which one share fits all openings.
func (f *Findings) learnShare() {
	if !f.byShare() || len(f.openings) == 0 {
		return
	}
	share, window := judge.Interval{Low: 1}, judge.Interval{Low: math.Inf(1)}
	for w := shortest; w <= longest; w = time.Duration(float64(w) * finer) {
		common := judge.Interval{High: 1}
		for _, o := range f.openings {
			whole, early := o.share(w), o.share(time.Duration((1-bucketed)*float64(w)))
			common.Low = max(common.Low, min(whole.Low, early.Low))
			common.High = min(common.High, max(whole.High, early.High))
		}
		if common.Low >= common.High {
			continue // what it had seen before would have opened it
		}
		share.Low, share.High = min(share.Low, common.Low), max(share.High, common.High)
		window.Low, window.High = min(window.Low, inMS(w)/finer), max(window.High, inMS(w)*finer)
	}
	if share.Low > share.High {
		return // none fits: it is no share of a window of time
	}
	if window.High >= inMS(longest) {
		window.High = math.Inf(1)
	}
	f.Share, f.Window = &Figure{share, len(f.openings)}, &Figure{window, len(f.openings)}
}

// learnLater is whether it took more failures to open after a longer calm: then they are
// no number in a row. What lets several probes through may be several instances, each with
// a count of its own, so that it is one more or less of each but the last.
func (f *Findings) learnLater(run *evidence.Run) {
	now := failuresOf(run, f.Subject)
	if now == nil || f.Failures == nil {
		return
	}
	most := f.Failures.High
	if f.Probes != nil {
		most += max(0, f.Probes.Low-1)
	}
	later := now.Low > most
	f.Later = &later
}
