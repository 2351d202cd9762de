package experiment

import (
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/wire"
)

// Load is the open model: arrivals come when they are due, whatever the
// system does.
type Load struct {
	Rate        rate.Limit    `yaml:"rate"`        // Arrivals per second over all routes: 500/s, 100k/s, 6000/m.
	Stages      []Stage       `yaml:"stages"`      // Instead of rate and duration: a sequence of ramps and holds.
	Arrivals    string        `yaml:"arrivals"`    // constant (default) or poisson.
	Duration    time.Duration `yaml:"duration"`    // How long arrivals come.
	Warmup      time.Duration `yaml:"warmup"`      // Before that: as long at the rate that the load begins with (of stages the first above 0), sent and shown, but kept out of every result.
	Connections int           `yaml:"connections"` // Bound per address; past it arrivals queue and their wait counts. Absent means 1024.
	Timeout     time.Duration `yaml:"timeout"`     // For routes that give none, from sending to the last byte; absent means 10s.
	IDHeader    string        `yaml:"id_header"`   // Carries the request id beside traceparent; absent means X-Request-Id.
	Routes      []Route       `yaml:"routes"`      // Kinds of request.
}

// The values of Load.Arrivals.
const (
	Constant = "constant"
	Poisson  = "poisson"
)

var arrivalKinds = []string{Constant, Poisson}

func (l *Load) Defaults() {
	l.Arrivals, l.Connections, l.Timeout, l.IDHeader = Constant, 1024, 10*time.Second, "X-Request-Id"
}

func (Load) Required() []string { return []string{"routes"} }

// Stage is one part of a load: either {to: RATE, over: DURATION} ramps from
// the rate before it (0 at first), or {hold: DURATION} keeps it.
type Stage struct {
	To   *rate.Limit   `yaml:"to"`   // Rate at the end of the ramp.
	Over time.Duration `yaml:"over"` // How long the ramp takes; absent or 0 jumps.
	Hold time.Duration `yaml:"hold"` // How long the rate stays.
}

// Length is how long arrivals come, however the load is written, a warm-up
// aside.
func (l Load) Length() time.Duration {
	sum := l.Duration
	for _, s := range l.Stages {
		sum += s.Over + s.Hold
	}
	return sum
}

// Schedule is when requests are due; the same seed gives the same arrivals.
func (l Load) Schedule(seed uint64) load.Schedule {
	spacing := load.Spacing{Poisson: l.Arrivals == Poisson, Seed: seed}
	if len(l.Stages) == 0 {
		return load.Stages([]load.Stage{{To: l.Rate, Hold: l.Duration}}, spacing)
	}
	var stages []load.Stage
	var now rate.Limit
	for _, s := range l.Stages {
		if s.To != nil {
			now = *s.To
		}
		stages = append(stages, load.Stage{To: now, Over: s.Over, Hold: s.Hold})
	}
	return load.Stages(stages, spacing)
}

// Warmed is the schedule with the warm-up before it. Every time of an
// experiment (at: of an event, within a claim or report) counts from where the
// warm-up ends: that is where its load begins, as it is written, and adding
// warmup: 30s to a file that works must not make another experiment of it. Were
// the times to count from the first request, each event would have to be moved
// by hand, and with one forgotten a fault would strike a system that is cold.
func (l Load) Warmed(seed uint64) load.Schedule {
	return load.Warmed(l.First(), l.Warmup, l.Schedule(seed))
}

// First is the rate that the load begins with, or the first above 0.
func (l Load) First() rate.Limit {
	for _, s := range l.Stages {
		if s.To != nil && *s.To > 0 {
			return *s.To
		}
	}
	return l.Rate
}

// maxLength bounds a load, and with it every time in a run: no sum of them can
// overflow.
const maxLength = 366 * 24 * time.Hour

func (r *rules) load() {
	if !r.has("load") {
		return
	}
	l := &r.x.Load
	switch rated, staged := r.has("load.rate"), r.has("load.stages"); {
	case rated && staged:
		r.wrongKey("load.stages", "stages: does not go with rate", "a stage {to: 500/s} begins with that rate")
	case rated:
		r.positive("load.rate", l.Rate > 0)
		r.positive("load.duration", l.Duration > 0)
		if !r.has("load.duration") {
			r.lacks("load", "load.duration: is missing", "add duration: 30s")
		}
	case staged:
		if r.has("load.duration") {
			r.wrongKey("load.duration", "duration: does not go with stages", "the load lasts as long as its stages")
		}
		r.stages(l.Stages)
	default:
		r.lacks("load", "load: has neither rate nor stages", "add rate: 500/s and duration: 30s")
	}
	r.measure(l)
	if r.has("load.warmup") {
		r.positive("load.warmup", l.Warmup > 0)
		if r.sound("load.warmup") && l.Warmup > maxLength {
			r.wrong("load.warmup", "warmup: is longer than a year", "")
		}
	}
	if r.has("load.arrivals") {
		r.among("load.arrivals", l.Arrivals, "arrivals", arrivalKinds)
	}
	r.positive("load.connections", l.Connections > 0)
	r.positive("load.timeout", l.Timeout > 0)
	if r.sound("load.id_header") {
		if _, err := wire.Encode("GET", "/", "host", nil, nil, l.IDHeader, wire.Fill{}); err != nil {
			r.wrong("load.id_header", "id_header: "+err.Error(), "")
		}
	}
	if r.sound("load.routes") && len(l.Routes) == 0 {
		r.wrong("load.routes", "routes: is empty", "add a route like {name: pay, to: TARGET, get: /pay}")
	}
	readable := len(l.Routes) > 0
	for i := range l.Routes {
		at := child(item("load.routes", i), "name")
		readable = readable && r.sound(at)
	}
	for i := range l.Routes {
		if readable {
			r.routes = append(r.routes, l.Routes[i].Name)
		}
	}
	for i := range l.Routes {
		r.route(i)
	}
}

// measure finds how long the load is, if it could be read.
func (r *rules) measure(l *Load) {
	at, length := "load.duration", l.Duration
	if r.has("load.stages") {
		at, length = "load.stages", 0
		for _, s := range l.Stages {
			length = min(length+min(s.Over, maxLength)+min(s.Hold, maxLength), 2*maxLength)
		}
	}
	switch {
	case !r.sound(at):
	case length > maxLength:
		r.wrong(at, tail(at)+": is longer than a year", "")
	default:
		r.length = length
	}
}

func (r *rules) stages(stages []Stage) {
	if r.sound("load.stages") && len(stages) == 0 {
		r.wrong("load.stages", "stages: is empty", "write them like [{to: 500/s, over: 10s}, {hold: 30s}]")
	}
	moving := false
	for i, s := range stages {
		path := item("load.stages", i)
		to, over, hold := r.has(child(path, "to")), r.has(child(path, "over")), r.has(child(path, "hold"))
		switch {
		case hold && (to || over):
			r.wrongKey(child(path, "hold"), "hold: does not go with to", "write two stages: {to: 500/s} and {hold: 30s}")
		case hold:
			r.positive(child(path, "hold"), s.Hold > 0)
			if i == 0 {
				r.wrongKey(child(path, "hold"), "hold: there is no rate to hold yet", "begin with {to: 500/s}")
			}
		case over && !to:
			r.lacks(path, child(path, "to")+": is missing", "add to: 500/s")
		case !to:
			r.lacks(path, path+": has neither to nor hold", "write {to: 500/s, over: 10s} or {hold: 30s}")
		}
		moving = moving || s.To != nil && *s.To > 0
	}
	if r.sound("load.stages") && !moving {
		r.wrong("load.stages", "stages: none has a rate above 0", "write them like [{to: 500/s, over: 10s}, {hold: 30s}]")
	}
	if lasting := func(s Stage) bool { return s.Over > 0 || s.Hold > 0 }; r.sound("load.stages") && !slices.ContainsFunc(stages, lasting) {
		r.wrong("load.stages", "stages: last no time at all", "add {hold: 30s}")
	}
}

// end tells when the load is over, for messages.
func (r *rules) end() string {
	return "the load ends at " + unit.FormatDuration(r.length)
}
