package discover

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load"
)

// Learn adds what the run of a trial shows. An error says why it shows nothing.
func (f *Findings) Learn(t Trial, run *evidence.Run) error {
	if run.Links[f.Link] == nil {
		return fmt.Errorf("the run has no link %q", f.Link)
	}
	all, anonymous := requests(run, f.Subject)
	if len(all) == 0 {
		return fmt.Errorf("no request of %q was sent", f.Route)
	}
	if len(run.Links[f.Link].Exchanges) == 0 {
		return fmt.Errorf("no call came over %q: let the service call that address", f.Link)
	}
	f.Done = append(f.Done, t.Name)
	f.Anonymous = anonymous
	begin, end := stretch(run)
	if end == 0 {
		return nil // nothing was injected
	}
	switch t.Name {
	case Quick:
		f.learnCalm(all, begin)
		f.learnFallback(sentIn(all, begin, end))
		f.learnAttempts(all)
		f.learnWaits(run, all, begin)
		f.learnBreaker(run)
		f.learnOpening(run, all)
	case Slow:
		f.learnBreaker(run)
		if f.Open == nil {
			f.OpenUpTo = (end - begin).Round(100 * time.Millisecond)
		}
	case Half:
		opened := opens(run, f.Subject) && (f.Failures == nil || float64(inARow(all)) < f.Failures.Low)
		f.ByShare = &opened
		f.learnOpen(run)
		f.learnOpening(run, all)
	case Long:
		f.learnLater(run)
		f.learnOpen(run)
		f.learnOpening(run, all)
		f.learnShare()
	case Hang, LongHang:
		f.learnTimeout(run, all, begin, end)
		f.learnLimit(run.Links[f.Link], sentIn(all, begin, end), begin)
		f.learnAttempts(all)
		f.learnStillOut(run, all, end)
	case Statuses:
		f.learnAttempts(all)
		f.learnStillOut(run, all, end)
	}
	return nil
}

// stretch is from the first injection to the last healing.
func stretch(run *evidence.Run) (begin, end time.Duration) {
	begin = -1
	for _, fault := range run.Faults {
		if fault.Injected < 0 {
			continue
		}
		if begin < 0 || fault.Injected < begin {
			begin = fault.Injected
		}
		if fault.Healed < 0 {
			return begin, run.End
		}
		end = max(end, fault.Healed)
	}
	return begin, end
}

// learnCalm is how the service is before anything is broken.
func (f *Findings) learnCalm(all []request, begin time.Duration) {
	var ok, calls int
	var took, beside []time.Duration
	for _, r := range all {
		if r.Done >= begin {
			continue // a fault may have hit it
		}
		if r.Outcome == load.OK {
			ok++
		}
		calls += len(r.calls)
		f.Depth = max(f.Depth, r.depth())
		took = append(took, r.ResponseTime())
		if len(r.calls) == 1 {
			beside = append(beside, r.Done-r.Sent-r.calls[0].Duration())
		}
	}
	if f.Sequences = len(took); f.Sequences == 0 {
		return
	}
	f.Success = float64(ok) / float64(f.Sequences)
	f.Calls = float64(calls) / float64(f.Sequences)
	f.P50 = float64(median(took)) / float64(time.Millisecond)
	if slices.Sort(beside); len(beside) >= leastWaits {
		f.way = max(time.Millisecond, beside[len(beside)*9/10])
	}
}

// learnFallback is what callers get of a dependency that fails: of those whose calls
// all failed, and of those that made none.
func (f *Findings) learnFallback(during []request) {
	ok := 0
	for _, r := range during {
		helped := false
		for _, x := range r.calls {
			_, bad := failed(x)
			helped = helped || !bad
		}
		if helped {
			continue
		}
		f.Failing++
		if r.Outcome == load.OK {
			ok++
		}
	}
	if f.Failing > 0 {
		f.Fallback = float64(ok) / float64(f.Failing)
	}
}

// opens reports whether the breaker was seen open.
func opens(run *evidence.Run, s Subject) bool {
	return slices.ContainsFunc(judge.Breaker{Link: s.Link, Route: s.Route}.Judge(run).Parts,
		func(p judge.Part) bool { return p.Name == "waits" || p.Name == "silent" || p.Name == "opens_within" })
}

// asked is a bound that no service meets or misses: what is measured does not depend
// on it, and a figure is told only of what is claimed.
const asked = time.Hour

// learnBreaker asks the claim about breakers, which measures without a look at what
// is declared.
func (f *Findings) learnBreaker(run *evidence.Run) {
	if !opens(run, f.Subject) {
		return
	}
	f.Opened = true
	best := map[string]*judge.Part{}
	for _, counts := range []string{"", "attempt", "request"} {
		claim := judge.Breaker{
			Link: f.Link, Route: f.Route, Failures: 1, Counts: counts, Probes: 1,
			OpensWithin: asked, RejectsWithin: asked, ClosesWithin: asked,
		}
		for _, p := range claim.Judge(run).Parts {
			if p.Seen == nil || p.Name == "waits" && math.IsInf(p.Seen.High, 1) {
				continue // it was open when the evidence ended: for how long is not known yet
			}
			if had := best[p.Name]; had == nil || narrower(p.Seen, had.Seen) {
				best[p.Name] = &p
				if p.Name == "failures" {
					f.Counts = counts
				}
			}
		}
	}
	for name, into := range map[string]**Figure{
		"failures": &f.Failures, "waits": &f.Open, "probes": &f.Probes, "rejects_within": &f.Rejects, "closes_within": &f.Closes,
	} {
		if p := best[name]; p != nil {
			join(into, p)
		}
	}
}

// learnOpen is what another trial says of how long the breaker stays open.
func (f *Findings) learnOpen(run *evidence.Run) {
	for _, p := range (judge.Breaker{Link: f.Link, Route: f.Route, Failures: 1}).Judge(run).Parts {
		if p.Name == "waits" && p.Seen != nil && !math.IsInf(p.Seen.High, 1) {
			join(&f.Open, &p)
		}
	}
}

// join adds what a trial says of a figure to what those before have said. Where they
// can both be true the narrower stands. Where they cannot, the figure is not always the
// same, and what is told has both: nginx and Caddy do not count an open time from the
// failure that opens.
func join(into **Figure, p *judge.Part) {
	now := &Figure{*p.Seen, max(1, p.Sample)}
	switch had := *into; {
	case had == nil:
	case had.Low > now.High || now.Low > had.High:
		now.Low, now.High, now.Sample = min(had.Low, now.Low), max(had.High, now.High), had.Sample+now.Sample
	case !narrower(&now.Interval, &had.Interval):
		return
	}
	*into = now
}

// failuresOf is how many failures in a row it took to open in this run; nil if that is
// not known.
func failuresOf(run *evidence.Run, s Subject) *judge.Interval {
	for _, p := range (judge.Breaker{Link: s.Link, Route: s.Route, Failures: 1}).Judge(run).Parts {
		if p.Name == "failures" {
			return p.Seen
		}
	}
	return nil
}

func width(i *judge.Interval) float64 { return i.High - i.Low }

// narrower reports whether an interval says more than another; of two without an upper
// end the one does that begins higher.
func narrower(a, b *judge.Interval) bool {
	if math.IsInf(a.High, 1) && math.IsInf(b.High, 1) {
		return a.Low > b.Low
	}
	return width(a) < width(b)
}
