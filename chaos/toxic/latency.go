package toxic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"github.com/stormctl/stormctl/load/hist"
)

// Latency delays the request on its way to the dependency, or the response on
// its way back. An exchange whose request has been passed on already when the
// fault is injected has its response delayed.
//
// Of connections it delays bytes on their way, and the end of the connection with
// them. It is a long link, not a narrow one: what follows is under way
// meanwhile. What was under way when it is injected is not delayed any more.
type Latency struct {
	Delay  time.Duration `yaml:"delay"`  // The mean or the least delay, see distribution.
	Jitter time.Duration `yaml:"jitter"` // Width of the distribution.
	// uniform (delay ± jitter, the default), normal (standard deviation jitter), pareto (at least delay, heavy tail
	// of scale jitter).
	Distribution string `yaml:"distribution"`
	// An HdrHistogram log, like the front.hlog of a run, to draw delays from in place of delay; relative to the
	// experiment file. Its values are nanoseconds.
	Recorded string `yaml:"recorded"`
	Tag      string `yaml:"tag"` // Which tag of that log, like the name of a route; absent means the only one.
	On       string `yaml:"on"`  // What is delayed: request (the default) or response.
	Select   `yaml:",inline"`

	Draws *hist.Sampler `yaml:"-"` // of the recording, once that is read
}

// DecideExchange delays what Select takes. A draw below zero delays by nothing.
func (l Latency) DecideExchange(x *Head, rng *rand.Rand) Fate {
	delay := time.Duration(float64(l.amount(rng)) * l.grown(x))
	if l.On == onResponse {
		return Fate{Late: delay}
	}
	return Fate{Delay: delay}
}

// DecideConn lets the connection live: Release does it.
func (l Latency) DecideConn(Moment) ConnFate { return ConnFate{} }

// Cut leaves pieces as they are.
func (l Latency) Cut(n int, _ *rand.Rand) int { return n }

// Release draws anew for each piece; one that is drawn short waits for the one
// before it.
func (l Latency) Release(_ int, at, _ time.Duration, rng *rand.Rand) time.Duration {
	return at + l.amount(rng)
}

// Waits is false: see Latency.
func (l Latency) Waits() bool { return false }

// amount is one draw from the distribution.
func (l Latency) amount(rng *rand.Rand) time.Duration {
	if l.Recorded != "" {
		return min(l.Draws.Sample(rng.Float64()), maxDelay)
	}
	d := float64(l.Delay)
	if l.Jitter > 0 {
		d += float64(l.Jitter) * l.draw(rng)
	}
	return time.Duration(min(max(d, 0), float64(maxDelay)))
}

// What a fault is on, where it can be on either.
const (
	onRequest  = "request"
	onResponse = "response"
)

// checkOn reports a direction that is none.
func checkOn(on string, report func(field, problem string)) {
	switch on {
	case "", onRequest, onResponse:
	default:
		report("on", fmt.Sprintf("%q is neither request nor response", on))
	}
}

// maxDelay bounds what a heavy tail may draw; no test waits longer.
const maxDelay = time.Hour

// draw is a deviation from Delay in units of Jitter.
func (l Latency) draw(rng *rand.Rand) float64 {
	switch l.Distribution {
	case "normal":
		return rng.NormFloat64()
	case "pareto":
		// Lomax (Pareto type II) with shape 2 by inversion: mean 1, infinite
		// variance. 1−U is in (0, 1], so the power is finite.
		return math.Pow(1-rng.Float64(), -1.0/2) - 1
	default:
		return 2*rng.Float64() - 1
	}
}

// Check reports what is wrong with l, by key.
func (l Latency) Check(report func(field, problem string)) {
	defer l.Select.Check(report)
	checkOn(l.On, report)
	if l.Recorded != "" {
		l.checkRecorded(report)
		return
	}
	if l.Tag != "" {
		report("tag", "goes with recorded only")
	}
	switch l.Distribution {
	case "", "uniform", "normal", "pareto":
	default:
		report("distribution", fmt.Sprintf("%q is not one of uniform, normal, pareto", l.Distribution))
	}
	notNegative(report, "delay", l.Delay)
	notNegative(report, "jitter", l.Jitter)
	if l.Delay == 0 && l.Jitter == 0 {
		report("delay", "is missing")
	}
	if (l.Distribution == "" || l.Distribution == "uniform") && l.Jitter > l.Delay {
		report("jitter", fmt.Sprintf("is more than the delay of %v: half of the draws would be below zero", l.Delay))
	}
}

func (l Latency) checkRecorded(report func(field, problem string)) {
	for _, key := range []struct {
		name  string
		given bool
	}{{"delay", l.Delay != 0}, {"jitter", l.Jitter != 0}, {"distribution", l.Distribution != ""}} {
		if key.given {
			report(key.name, "does not go with recorded, which says how long")
		}
	}
}

// String is like "latency 100ms ± 20ms to POST /pay".
func (l Latency) String() string { return l.what() + " to " + l.Select.String() }

func (l Latency) what() string {
	var b strings.Builder
	b.WriteString("latency ")
	if l.On == onResponse {
		b.WriteString("of the response ")
	}
	if l.Recorded != "" {
		b.WriteString("as recorded in " + filepath.Base(l.Recorded))
		if l.Tag != "" {
			b.WriteString(" for " + l.Tag)
		}
		return b.String()
	}
	b.WriteString(l.Delay.String())
	if l.Jitter > 0 {
		switch l.Distribution {
		case "normal":
			fmt.Fprintf(&b, " (normal, σ %v)", l.Jitter)
		case "pareto":
			fmt.Fprintf(&b, " (pareto, + %v)", l.Jitter)
		default:
			fmt.Fprintf(&b, " ± %v", l.Jitter)
		}
	}
	return b.String()
}
