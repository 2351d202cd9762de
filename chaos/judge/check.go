package judge

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Source is the source of the claims: the comments of their fields are the
// manual of their keys.
//
//go:embed alert.go available.go backoff.go breaker.go bulkhead.go connections.go conserved.go drains.go durable.go
//go:embed effects.go health.go failover.go fanout.go fresh.go growth.go linearizable.go ordered.go recovery.go retry.go shed.go
//go:embed skew.go slo.go stampede.go stands.go steady.go timeout.go
var Source embed.FS

// What a claim means by keys that are absent, which it cannot do without, and
// what is wrong with it, seen alone. Check reports by key; it is told nothing
// of the file, so that a zero bound is to it the same as an absent one.

func (s Steady) Check(report func(field, problem string)) {
	if s.Success == 0 && s.P50 == 0 && s.P99 == 0 {
		report("", "claims nothing: give success, p50 or p99")
	}
	if s.P50 > s.P99 && s.P99 > 0 {
		report("p50", fmt.Sprintf("%v is longer than p99, which is never below it", s.P50))
	}
	if s.OutsideFaults && s.Over == 0 {
		report("outside_faults", "goes with over, which is missing: without it only what was before the first fault counts")
	}
}

func (Breaker) Required() []string { return []string{"link", "route"} }

// The words that keys may have, for the schema.
var (
	Counts   = []string{"request", "attempt"}                                          // Breaker.Counts
	Probings = []string{"cumulative", "concurrent", "window"}                          // Breaker.Probing
	Laws     = []string{"add", "spread", "full", "constant", "linear", "decorrelated"} // Backoff.Law
	Pers     = []string{"id", "key"}                                                   // Effects.Per
	Keyings  = []string{"honoured", "ignored"}                                         // Effects.Keys, Conserved.Keys
	Orders   = []string{"key"}                                                         // Ordered.Per
)

func (b Breaker) Check(report func(field, problem string)) {
	count(report, "failures", b.Failures)
	count(report, "probes", b.Probes)
	if b.WaitsAtMost > 0 && b.WaitsAtMost < b.Waits {
		report("waits_at_most", "must not be less than waits")
	}
	statuses(report, "ignores", b.Ignores)
	count(report, "instances", b.Instances)
	count(report, "minimum", b.Minimum)
	count(report, "buckets", b.Buckets)
	if b.Counts != "" && !slices.Contains(Counts, b.Counts) {
		report("counts", fmt.Sprintf("%q is unknown: failures are counted by %s", b.Counts, strings.Join(Counts, " or by ")))
	}
	b.checkProbing(report)
	switch {
	case b.FailureRate > 0 && b.Window == 0:
		report("failure_rate", "needs window: over how long the share is taken")
	case b.FailureRate == 0 && b.Window > 0:
		report("window", "goes with failure_rate, which is missing")
	case b.FailureRate == 0 && b.Minimum > 0:
		report("minimum", "goes with failure_rate, which is missing")
	case b.FailureRate == 0 && b.Buckets > 0:
		report("buckets", "goes with failure_rate, which is missing")
	}
}

func (b Breaker) checkProbing(report func(field, problem string)) {
	switch {
	case b.Probing == "":
	case !slices.Contains(Probings, b.Probing):
		report("probing", fmt.Sprintf("%q is unknown: probes are counted %s", b.Probing, strings.Join(Probings, ", ")))
	case b.Probes == 0:
		report("probing", "goes with probes, which is missing")
	case b.Probing == "window" && b.Waits == 0:
		report("probing", "window needs waits, which is as long")
	}
}

func (c *Retry) Defaults() { c.On = []int{429, 502, 503, 504} }

func (Retry) Required() []string { return []string{"link"} }

func (c Retry) Check(report func(field, problem string)) {
	count(report, "attempts", c.Attempts)
	count(report, "at_least", c.AtLeast)
	if c.Attempts > 0 && c.AtLeast > c.Attempts {
		report("at_least", fmt.Sprintf("%d is more than attempts", c.AtLeast))
	}
	ratio(report, "amplification", c.Amplification)
	statuses(report, "on", c.On)
	statuses(report, "never", c.Never)
	for i, status := range c.Never {
		if slices.Contains(c.On, status) {
			report(fmt.Sprintf("never[%d]", i), fmt.Sprintf("%d may be retried: it is in on", status))
		}
	}
}

func (c *Backoff) Defaults() { c.Factor, c.Law = 2, "add" }

func (Backoff) Required() []string { return []string{"link", "base"} }

func (c Backoff) Check(report func(field, problem string)) {
	ratio(report, "factor", c.Factor)
	ratio(report, "herd", c.Herd)
	if c.Cap > 0 && c.Cap < c.Base {
		report("cap", fmt.Sprintf("%v is shorter than base, the first wait", c.Cap))
	}
	if c.Jitter > 0 && c.Noise > 0 {
		report("noise", "does not go with jitter: a wait is spread by a part of it, or by a time")
	}
	if c.Factor > 0 && c.Factor != 2 && (c.Law == "constant" || c.Law == "linear" || c.Law == "decorrelated") {
		report("factor", "does not go with law "+c.Law)
	}
	switch c.Law {
	case "add", "linear":
	case "constant":
		if c.Cap > 0 {
			report("cap", "does not go with law constant, by which waits do not grow")
		}
	case "spread":
		if c.Jitter == 0 && c.Noise == 0 {
			report("jitter", "is missing: law spread needs it, or noise")
		}
	case "full", "decorrelated":
		if c.Jitter != 0 {
			report("jitter", "does not go with law "+c.Law+", which spreads waits by itself")
		}
		if c.Noise != 0 {
			report("noise", "does not go with law "+c.Law+", which spreads waits by itself")
		}
	default:
		report("law", fmt.Sprintf("%q is unknown: laws are %s", c.Law, strings.Join(Laws, ", ")))
	}
}

func (c *Bulkhead) Defaults() {
	c.Goodput, c.Slowdown = 0.95, 1.5
}

func (Bulkhead) Required() []string { return []string{"link"} }

func (c Bulkhead) Check(report func(field, problem string)) {
	count(report, "limit", c.Limit)
	ratio(report, "slowdown", c.Slowdown)
	if c.Limit == 0 && len(c.Unaffected) == 0 && c.RejectsWithin == 0 && c.FreedWithin == 0 {
		report("", "claims nothing: give limit, unaffected, rejects_within or freed_within")
	}
}

func (Timeout) Required() []string { return []string{"link", "route", "within"} }

func (c *Recovery) Defaults() { c.Goodput, c.For = 0.95, time.Second }

func (c Alert) Check(report func(field, problem string)) {
	if c.FiresWithin == 0 && c.ResolvesWithin == 0 {
		report("", "claims nothing: give fires_within or resolves_within")
	}
}

func (Recovery) Required() []string { return []string{"within"} }

func (Fanout) Required() []string { return []string{"route"} }

func (c Fanout) Check(report func(field, problem string)) {
	count(report, "calls", c.Calls)
	count(report, "depth", c.Depth)
	count(report, "repeats", c.Repeats)
	if c.Calls == 0 && c.Depth == 0 && c.Repeats == 0 && c.Growth == 0 {
		report("", "claims nothing: give calls, depth, repeats or growth")
	}
	different := map[int]bool{}
	for _, route := range slices.Sorted(maps.Keys(c.Of)) {
		different[c.Of[route]] = true
		if c.Of[route] < 0 {
			report("of", fmt.Sprintf("%q: %d is negative", route, c.Of[route]))
		}
	}
	switch {
	case c.Growth < 0:
		report("growth", "is negative")
	case c.Growth > 0 && len(different) < 2:
		report("growth", "needs of: two routes at least, with different numbers of items")
	case c.Growth == 0 && len(c.Of) > 0:
		report("of", "goes with growth, which is missing")
	}
}

func (Connections) Required() []string { return []string{"link"} }

func (c Connections) Check(report func(field, problem string)) {
	count(report, "at_most", c.AtMost)
	if c.Refused != nil {
		count(report, "refused", *c.Refused)
	}
	if c.AtMost == 0 && c.New == 0 && c.Refused == nil && c.SettledWithin == 0 {
		report("", "claims nothing: give at_most, new, refused or settled_within")
	}
}

// StampedePers are the values of Stampede.Per.
var StampedePers = []string{"path"}

func (c *Stampede) Defaults() { c.Per = "path" }

func (Stampede) Required() []string { return []string{"link", "ttl"} }

func (c Stampede) Check(report func(field, problem string)) {
	count(report, "at_once", c.AtOnce)
	count(report, "per_expiry", c.PerExpiry)
	count(report, "cold_start", c.ColdStart)
	if c.AtOnce == 0 && c.PerExpiry == 0 && c.ColdStart == 0 {
		report("", "claims nothing: give at_once, per_expiry or cold_start")
	}
	if !slices.Contains(StampedePers, c.Per) {
		report("per", fmt.Sprintf("%q is unknown: values are told apart by %s", c.Per, strings.Join(StampedePers, " or ")))
	}
}

func (c *Growth) Defaults() { c.Troughs = 30 * time.Second }

func (c Growth) Check(report func(field, problem string)) {
	weighs := c.RSS != nil || c.FDs != nil || c.Threads != nil
	switch {
	case !weighs && c.P50 == nil:
		report("", "claims nothing: give rss, fds or threads of a target, or p50 of a route")
	case weighs && c.Target == "":
		report("target", "is missing: rss, fds and threads are of a target")
	}
	switch {
	case c.P50 != nil && (c.Route == "" || c.Control == ""):
		report("p50", "needs a route, and a control: another route, to what does not get slower")
	case c.P50 == nil && (c.Route != "" || c.Control != ""):
		report("route", "route and control go with p50, which is missing")
	case c.P50 != nil && c.Route == c.Control:
		report("control", "is the route itself")
	}
	if c.Troughs > 0 && c.Troughs < time.Second {
		report("troughs", fmt.Sprintf("%v is shorter than the second in which a target is weighed once", c.Troughs))
	}
}

func (c *Stands) Defaults() { c.Success = 0.99 }

func (Stands) Required() []string { return []string{"without", "routes"} }

func (c *SLO) Defaults() { c.Confidence, c.Period = 0.95, defaultPeriod }

func (SLO) Required() []string { return []string{"success"} }

func (c SLO) Check(report func(field, problem string)) {
	if c.Success >= 1 {
		report("success", "no number of requests shows 100% of those to come: give less, or claim steady of the requests that there are")
	}
	if c.Confidence >= 1 || c.Confidence > 0 && c.Confidence < 0.5 {
		report("confidence", fmt.Sprintf("%s is none: give 50%% or more, and less than 100%%", c.Confidence))
	}
}

func (Linearizable) Required() []string { return []string{"data"} }

func (c *Fresh) Defaults() { c.Share = 1 }

func (Fresh) Required() []string { return []string{"data"} }

func (c Fresh) Check(report func(field, problem string)) {
	if c.Within == 0 && len(c.Sessions) == 0 {
		report("", "claims nothing: give within or sessions")
	}
	if c.Within == 0 && c.Share != 0 && c.Share < 1 {
		report("share", "goes with within, which is missing")
	}
	for i, kind := range c.Sessions {
		if !slices.Contains(FreshSessions, kind) {
			report(fmt.Sprintf("sessions[%d]", i), fmt.Sprintf("%q is unknown: sessions see %s", kind, strings.Join(FreshSessions, ", ")))
		}
	}
}
