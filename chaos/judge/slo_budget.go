package judge

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// budget tells, beside the ruling, what each fault cost of the error budget, and which
// alerts on its burn rate the run would have fired.
func (c SLO) budget(f *finding, s service) {
	rate := float64(s.counted.len()+s.left) / s.length().Seconds()
	budget := c.allowed() * rate * c.period().Seconds()
	if !(budget > 0) {
		return
	}
	f.numbers.Add("budget_spent_pct", 100*s.failed/budget)
	spans := episodes(f.run, 0, func(evidence.Injection) bool { return true })
	before := s.end
	if len(spans) > 0 {
		before = spans[0].from
	}
	usual := failedIn(s.counted, 0, before)
	for i, x := range spans {
		until := s.end
		if i+1 < len(spans) {
			until = spans[i+1].from
		}
		during := failedIn(s.counted, x.from, until)
		if during.n == 0 {
			f.remark("budget", "what %s cost is not known: no request counts that was due from %s to %s", namesOf(x.faults), short(x.from),
				short(until))
			continue
		}
		more := max(0, during.failed-usual.share()*during.n)
		f.numbers.Add(fmt.Sprintf("budget_fault_%d_pct", x.faults[0].Index), 100*more/budget)
		f.remark("budget", "%s cost %s of an error budget of %s at %s: %.0f of %.0f requests due from %s to %s failed", namesOf(x.faults),
			percent(more/budget), days(c.period()), perSecond(rate), during.failed, during.n, short(x.from), short(until))
	}
	f.remark("alerts", "%s", c.alerts(s, rate))
}

// outcomes is how many of some requests failed.
type outcomes struct{ n, failed float64 }

func (x outcomes) share() float64 { return x.failed / max(x.n, 1) }

func failedIn(all arrivals, from, to time.Duration) (x outcomes) {
	for _, s := range due(all, from, to).all() {
		x.n++
		if s.Outcome != load.OK && !s.Outcome.Ours() {
			x.failed++
		}
	}
	return x
}

// A burnAlert fires where errors burn their budget so many times as fast as it lasts,
// over a long window, which makes it sure, and a short one, which makes it end soon.
type burnAlert struct {
	burn        float64
	long, short time.Duration
}

// burnAlerts are those of Google's Site Reliability Workbook, chapter 5, for 30 days:
// 2% of the budget in an hour, 5% in 6 hours, 10% in 3 days.
var burnAlerts = []burnAlert{
	{14.4, time.Hour, 5 * time.Minute}, {6, 6 * time.Hour, 30 * time.Minute}, {1, 72 * time.Hour, 6 * time.Hour},
}

// leastInWindow is how many requests a window has at least on average, to speak of a
// burn rate in it.
const leastInWindow = 10

// alerts says which would have fired, and when, were the run the longest of their
// windows: a run of seconds has no hours.
func (c SLO) alerts(s service, rate float64) string {
	longest := burnAlerts[len(burnAlerts)-1].long
	scale := float64(s.end) / float64(longest)
	cumulative := make([]float64, s.counted.len()+1) // failed of the first so many
	for i, x := range s.counted.all() {
		cumulative[i+1] = cumulative[i]
		if x.Outcome != load.OK && !x.Outcome.Ours() {
			cumulative[i+1]++
		}
	}
	burn := func(at, window time.Duration) float64 {
		lo, hi := dueBefore(s.counted, at-window), dueBefore(s.counted, at)
		n := float64(hi-lo) + rate*max(0, window-at).Seconds() // before the run all was well
		return (cumulative[hi] - cumulative[lo]) / max(n, 1) / c.allowed()
	}
	var texts []string
	for _, a := range burnAlerts {
		long, brief := time.Duration(scale*float64(a.long)), time.Duration(scale*float64(a.short))
		name := fmt.Sprintf("%g over %s and %s", a.burn, days(a.long), days(a.short))
		if rate*brief.Seconds() < leastInWindow {
			texts = append(texts, name+" has too few requests in its short window")
			continue
		}
		fired := time.Duration(-1)
		for at := brief; at <= s.end && fired < 0; at += max(brief/4, time.Microsecond) {
			if burn(at, brief) >= a.burn && burn(at, long) >= a.burn {
				fired = at
			}
		}
		if fired < 0 {
			texts = append(texts, name+" would not have fired")
		} else {
			texts = append(texts, fmt.Sprintf("%s would have fired at %s", name, short(fired)))
		}
	}
	return fmt.Sprintf("burn rates, with the run as %s (1 s is %s): %s", days(longest), days(time.Duration(float64(time.Second)/scale)),
		strings.Join(texts, "; "))
}

// dueBefore is how many of them were due before a time.
func dueBefore(all arrivals, at time.Duration) int {
	return sort.Search(all.len(), func(i int) bool { return all.get(i).Intended >= at })
}

// namesOf names the faults of an episode.
func namesOf(faults []evidence.Injection) string {
	var names []string
	for _, x := range faults {
		names = append(names, x.Name)
	}
	if n := len(names); n > maxNamed {
		names = append(names[:maxNamed], fmt.Sprintf("%d others", n-maxNamed))
	}
	return strings.Join(names, " and ")
}

// percent prints a share of any size: 3.1%, 0.0021%.
func percent(x float64) string { return fmt.Sprintf("%.2g%%", 100*x) }

// days prints a long time: 30 days, 6 h, 5 min, 72 s.
func days(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "days"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if d >= 2*u.unit || d == u.unit && u.name != "days" {
			return fmt.Sprintf("%.3g %s", math.Round(10*float64(d)/float64(u.unit))/10, u.name)
		}
	}
	return short(d)
}

// perSecond prints a rate: 500/s.
func perSecond(rate float64) string { return fmt.Sprintf("%.3g/s", rate) }
