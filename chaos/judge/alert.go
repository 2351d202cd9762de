package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Alert claims that people are told of a fault, and told when it is over: an alert
// fires while the fault is in force, and resolves after the healing. What counts is
// when Alertmanager's webhook said so here, so that the way to people is part of the
// claim: rules, their for:, grouping, and who sends it.
//
// An alert that was firing when a fault came cannot be told to be of it. A fault that
// is healed before the alert had its time has not shown that the alert fails to fire.
type Alert struct {
	Alertname string `yaml:"alertname"` // The alert, by its label alertname; absent means any that begins to fire then.
	On        string `yaml:"on"`        // The link or target whose faults it is of; absent means all faults of the run.
	// An alert fires at most so long after a fault came into force; absent means it is not judged.
	FiresWithin time.Duration `yaml:"fires_within"`
	// All that fired are resolved at most so long after the healing; absent means it is not judged.
	ResolvesWithin time.Duration `yaml:"resolves_within"`
}

func (c Alert) String() string {
	what := "an alert"
	if c.Alertname != "" {
		what = "alert " + c.Alertname
	}
	text := what
	if c.FiresWithin > 0 {
		text += fmt.Sprintf(" fires within %s of a fault%s", c.FiresWithin, c.onText())
	}
	if c.ResolvesWithin > 0 {
		if c.FiresWithin > 0 {
			text += " and"
		}
		text += fmt.Sprintf(" resolves within %s of the healing%s", c.ResolvesWithin, map[bool]string{true: c.onText()}[c.FiresWithin == 0])
	}
	return text
}

func (c Alert) onText() string {
	if c.On == "" {
		return ""
	}
	return " on " + c.On
}

// Judge implements Claim.
func (c Alert) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "alert")
	f.show(func() Exhibit { return c.firingOver(run) })
	of := func(x evidence.Injection) bool {
		return c.On == "" || x.On == c.On || x.OnTarget() && slices.Contains(x.Others, c.On)
	}
	spans := episodes(run, 0, of)
	switch {
	case len(spans) == 0:
		c.open(f, noEpisode(run, c.onText(), of)+": inject one")
		return f.verdict()
	case len(run.Alerts) == 0:
		c.open(f, "nothing was heard of any alert in the whole run, so that it is not known whether one would be: "+
			"let Alertmanager send to /alerts of the game day, one that fires all the time too (docs/gameday.md)")
		return f.verdict()
	}
	if len(run.Alerts) >= evidence.MaxAlerts {
		c.open(f, fmt.Sprintf("more than %d changes of alerts were heard, and those behind them not recorded: let fewer alerts be "+
			"sent here", evidence.MaxAlerts))
		return f.verdict()
	}
	for i, s := range spans {
		next := horizon(run)
		if i+1 < len(spans) {
			next = spans[i+1].from
		}
		c.judgeSpan(f, s, next)
	}
	return f.verdict()
}

// open leaves open what is claimed.
func (c Alert) open(f *finding, why string) {
	if c.FiresWithin > 0 {
		f.open("fires_within", "%s", why)
	}
	if c.ResolvesWithin > 0 {
		f.open("resolves_within", "%s", why)
	}
}

// an alert is told from others of its name by its instance.
type alertKey struct{ name, instance string }

// firingAt are the alerts that are claimed of and were firing at a time, the moment
// itself left out.
func (c Alert) firingAt(run *evidence.Run, at time.Duration) map[alertKey]bool {
	firing := map[alertKey]bool{}
	for _, a := range run.Alerts {
		if a.At < at && (c.Alertname == "" || a.Name == c.Alertname) {
			firing[alertKey{a.Name, a.Instance}] = a.Firing
		}
	}
	return firing
}

// judgeSpan rules on the faults of one span, by what was heard before the next.
func (c Alert) judgeSpan(f *finding, s span, next time.Duration) {
	firing := c.firingAt(f.run, s.from)
	if c.Alertname != "" {
		for key, is := range firing {
			if is {
				c.open(f, fmt.Sprintf("%s was firing already when the fault at %s came, so that it cannot be told to be of it: "+
					"let it resolve before the next fault", key.name, short(s.from)))
				return
			}
		}
	}
	fired := map[alertKey]time.Duration{}    // when it began
	resolved := map[alertKey]time.Duration{} // when it was over; absent while it fires
	first := time.Duration(-1)
	for _, a := range f.run.Alerts {
		key := alertKey{a.Name, a.Instance}
		if a.At < s.from || a.At >= next || c.Alertname != "" && a.Name != c.Alertname || firing[key] {
			continue
		}
		if _, known := fired[key]; !known && !a.Firing {
			continue // it is of before
		}
		if a.Firing {
			if _, known := fired[key]; !known {
				fired[key] = a.At
			}
			delete(resolved, key)
			if first < 0 {
				first = a.At
			}
		} else {
			resolved[key] = a.At
		}
	}
	if c.FiresWithin > 0 {
		c.judgeFires(f, s, first, next)
	}
	if c.ResolvesWithin > 0 {
		c.judgeResolves(f, s, fired, resolved, next)
	}
}

// judgeFires rules on how long it took to fire. It is known to be more only for as
// long as the fault was in force: what heals before cannot be waited for.
func (c Alert) judgeFires(f *finding, s span, first, next time.Duration) {
	risk := min(s.to, next) - s.from
	m := measure{name: "fires_within", unit: timed, allowed: atMost(c.FiresWithin), sample: 1,
		seen: Interval{float64(risk), math.Inf(1)}}
	until := min(s.to, next)
	if first >= 0 {
		until = first
		m.seen = interval(min(risk, first-s.from), first-s.from)
		m.says = fmt.Sprintf("an alert fired %s after the fault at %s", short(first-s.from), short(s.from))
		f.numbers.AddTime("fired_after", first-s.from)
	} else {
		m.says = fmt.Sprintf("no alert fired in the %s in which the fault at %s was in force, nor until the next", short(risk),
			short(s.from))
	}
	m.settle = fmt.Sprintf("a fault that lasts for clearly more than %s would tell", short(c.FiresWithin))
	noise := f.run.Noise(s.from, until)
	m.seen.Low, m.hidden = max(0, m.seen.Low-float64(noise)), ""
	f.rests(s.from, until, onTimes|onLoad)
	f.rule(m)
}

// judgeResolves rules on how long it took until all that fired was over.
func (c Alert) judgeResolves(f *finding, s span, fired, resolved map[alertKey]time.Duration, next time.Duration) {
	if !s.healed {
		f.open("resolves_within", "the fault at %s was in force when the evidence ended: let the load go on after it", short(s.from))
		return
	}
	seen, asked, until := exactly(0), 0, s.to
	for key := range fired {
		at, is := resolved[key]
		switch {
		case is && at < s.to:
			continue // before anything was healed
		case is:
			seen = Interval{max(seen.Low, float64(at-s.to)), max(seen.High, float64(at-s.to))}
			until = max(until, at)
		default:
			seen = Interval{max(seen.Low, float64(next-s.to)), math.Inf(1)}
			until = max(until, next)
		}
		asked++
	}
	if asked == 0 {
		f.open("resolves_within", "no alert was firing when the fault at %s was healed: nothing was there to resolve", short(s.from))
		return
	}
	noise := float64(f.run.Noise(s.from, until)) // the healing may have been noted late
	m := measure{name: "resolves_within", unit: timed, allowed: atMost(c.ResolvesWithin), sample: asked,
		seen: Interval{max(0, seen.Low-noise), seen.High + noise},
		says: fmt.Sprintf("all that fired was resolved %s after the healing at %s",
			short(time.Duration(min(seen.High, float64(until-s.to)))), short(s.to)),
		settle: fmt.Sprintf("load that goes on for clearly more than %s after the healing, without a fault, would tell",
			short(c.ResolvesWithin))}
	if math.IsInf(seen.High, 1) {
		m.says = fmt.Sprintf("an alert was firing still %s after the healing at %s", short(next-s.to), short(s.to))
	} else {
		f.numbers.AddTime("resolved_after", until-s.to)
	}
	f.rests(s.from, until, onTimes|onLoad)
	f.rule(m)
}

// firingOver is how many alerts were firing, over the run.
func (c Alert) firingOver(run *evidence.Run) Exhibit {
	firing, most := map[alertKey]bool{}, 0
	points := []Point{{0, 0}}
	for _, a := range run.Alerts {
		if c.Alertname != "" && a.Name != c.Alertname || len(points) >= MaxSamples {
			continue
		}
		if firing[alertKey{a.Name, a.Instance}] = a.Firing; !a.Firing {
			delete(firing, alertKey{a.Name, a.Instance})
		}
		most = max(most, len(firing))
		points = append(points, Point{evidence.Seconds(a.At), float64(len(firing))})
	}
	if len(points) == 1 {
		return Exhibit{}
	}
	what := cmp.Or(c.Alertname, "any")
	return Exhibit{Kind: KindGrowth, Title: fmt.Sprintf("alerts that were firing (%s): %d at once at most", what, most),
		Growth: &Trend{Of: "alerts firing", Unit: unitNames[counted], Points: points}}
}
