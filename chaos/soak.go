//go:build unix

package chaos

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/chapters"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/timeline"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load/arrivals"
)

// A soak is what a run has more that is judged chapter by chapter, while it goes on.
type soak struct {
	plan   chapters.Plan
	judges *chapterJudge
	most   int64 // bytes that its directory has at most
}

// chapterPlan is where a run with a load of such a length is cut; false if it is judged
// whole.
func chapterPlan(x *experiment.Experiment, faults timeline.Timeline, length time.Duration) (chapters.Plan, bool) {
	chapter, is := x.InChapters(length)
	if !is {
		return chapters.Plan{}, false
	}
	p := chapters.Plan{Length: chapter, End: length, Repeats: x.Repeats() > 0}
	for _, e := range faults {
		p.Faults = append(p.Faults, chapters.Span{From: e.At, To: e.At + e.For})
	}
	return p, true
}

// newSoak makes the first chapter of a run, or of what is left of it, whose recorder it
// becomes part of.
func newSoak(x *experiment.Experiment, plan chapters.Plan, faults timeline.Timeline, schedule arrivals.Schedule, rec *recorder,
	resumed *resumption, o soakOptions) (*soak, error) {
	judges, err := newChapterJudge(x, rec.root, o)
	if err != nil {
		return nil, err
	}
	first, from := 1, time.Duration(0)
	if resumed != nil {
		first, from = resumed.chapter, resumed.to
		for _, c := range resumed.waiting {
			judges.take(c)
		}
	}
	most := mostOfFile(schedule, plan.Length)
	rec.chapters, err = chapters.New(chapters.Config{
		Root: rec.root, Header: rec.header, Plan: plan, Most: most, Settle: settling(x),
		Schedule: schedule, Warmup: x.Load.Warmup, Offered: rec.offered, Lost: rec.lost, Down: o.down, First: first, From: from,
		Faults: func(from, to time.Duration) []evidence.Injection { return injections(x, faults, from, to) },
		Closed: judges.take,
	})
	if err != nil {
		return nil, errors.Join(err, judges.end())
	}
	s := &soak{plan: plan, judges: judges}
	s.most = s.bound(x, &rec.header, faults, most)
	return s, nil
}

// injections are the faults that come in a stretch, with their times in it.
func injections(x *experiment.Experiment, faults timeline.Timeline, from, to time.Duration) (all []evidence.Injection) {
	for _, e := range faults {
		for _, at := range e.Times(from, to) {
			e.At = at
			all = append(all, injection(x, e.Index, x.Chaos[e.Index], e))
		}
	}
	slices.SortFunc(all, func(a, b evidence.Injection) int { return a.Index - b.Index })
	return all
}

// How much larger a file of a chapter may get than its requests make it: a line has
// some 75 bytes as a sample and 110 as an exchange, and a request may be called several times.
const (
	bytesPerRequest = 512
	leastOfFile     = 4 << 20
)

// mostOfFile is how large a file of records of a chapter may get.
func mostOfFile(s arrivals.Schedule, chapter time.Duration) int64 {
	var most float64
	const looks = 1000
	for i := range looks {
		most = max(most, float64(s.Rate(s.Duration()*time.Duration(i)/looks)))
	}
	return min(evidence.MaxFileSize, leastOfFile+int64(most*chapter.Seconds()*bytesPerRequest))
}

// settling is how long after its last arrival was due a request may be under way: as
// long as the slowest chain of requests, waited for to the end, and a little.
func settling(x *experiment.Experiment) time.Duration {
	var longest time.Duration
	for _, r := range x.Load.Routes {
		all := r.Timeout
		for _, s := range r.Then {
			all += s.Timeout
		}
		longest = max(longest, all)
	}
	return max(longest, x.Load.Grace) + 2*time.Second
}

// text says what a soak is going to be.
func (s *soak) text() string {
	n, size := s.plan.Count(), sizeText(s.most)
	if n == 1 {
		return "a soak of 1 chapter; run directory at most " + size
	}
	return fmt.Sprintf("a soak of %d chapters of %s; run directory at most %s", n, unit.FormatDuration(s.plan.Length), size)
}
