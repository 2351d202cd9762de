package experiment

import (
	"cmp"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/wire"
)

// Load is the open model: arrivals come when they are due, whatever the
// system does. Exactly one of rate, stages, spike, sine and replay is given.
type Load struct {
	Rate   rate.Limit `yaml:"rate"`   // Arrivals per second over all routes: 500/s, 100k/s, 6000/m.
	Stages []Stage    `yaml:"stages"` // Instead of rate and duration: a sequence of ramps and holds.
	Spike  *Spike     `yaml:"spike"`  // Instead of rate: one that jumps and comes back.
	Sine   *Sine      `yaml:"sine"`   // Instead of rate: one that goes up and down.
	// Instead of rate and duration: a file with a time in each line, relative to the experiment file: seconds or
	// durations since the start, or RFC 3339 timestamps. Absolute once read.
	Replay   string        `yaml:"replay"`
	Arrivals string        `yaml:"arrivals"` // constant (default) or poisson.
	Duration time.Duration `yaml:"duration"` // How long arrivals come.
	// Before that: as long at the rate that the load begins with (of stages the first above 0, of a sine its mean),
	// sent and shown, but kept out of every result. Not with replay.
	Warmup time.Duration `yaml:"warmup"`

	// What becomes of an arrival when no connection is free: queue (default) waits, and its wait counts; burst waits
	// while not too many do; skip does not wait. What does not wait is unsent, and no success.
	WhenStalled string `yaml:"when_stalled"`
	Burst       int    `yaml:"burst"` // Of when_stalled: burst, how many may wait per address.

	// Bound per address; past it arrivals do as when_stalled says. Absent means 1024.
	Connections           int `yaml:"connections"`
	Pipeline              int `yaml:"pipeline"`                // Requests under way on one HTTP/1.1 connection; absent means 1.
	Streams               int `yaml:"streams"`                 // Requests under way on one HTTP/2 connection; absent means 100.
	RequestsPerConnection int `yaml:"requests_per_connection"` // A connection is closed after as many; absent means never.
	// A connection is closed at about this age, give or take half; absent means never.
	ConnectionLifetime time.Duration `yaml:"connection_lifetime"`
	// Bound on new connections per second; past it arrivals do as when_stalled says. Absent means none.
	NewConnections rate.Limit `yaml:"new_connections"`
	// What falls due within this time is sent together: cheaper at high rates, and late by as much, which is at most
	// 5ms.
	Batch time.Duration `yaml:"batch"`
	Loops int           `yaml:"loops"` // Event loops; absent means one per core.
	// What tells of bytes: io_uring, epoll or portable; absent means the best that the system has.
	Poller string `yaml:"poller"`

	Timeout time.Duration `yaml:"timeout"` // For routes that give none, from sending to the last byte, at most 1h; absent means 10s.
	// How long after the last arrival those that wait may still be sent, and requests finish; absent means the
	// longest timeout.
	Grace    time.Duration `yaml:"grace"`
	IDHeader string        `yaml:"id_header"` // Carries the request id beside traceparent; absent means X-Request-Id.
	// CSV or JSON-lines file, relative to the experiment file: its columns are ${data.COLUMN} in requests, and
	// arrival n has row n. Absolute once read.
	Data string `yaml:"data"`
	// How many registers the data of writes and reads has: ${key} in a request is one of them, drawn for each arrival.
	// Absent means a single one.
	Keys int `yaml:"keys"`
	// Arrivals of the same number modulo this are one session, for claims on what a caller sees of its own writes.
	// Absent makes each arrival one, with the steps that follow it.
	Sessions int `yaml:"sessions"`
	// How long after the last answer, with all faults healed, until the audits are asked: queues drain, replicas catch
	// up. Absent means not at all.
	Settle time.Duration `yaml:"settle"`
	Audit  []Audit       `yaml:"audit"` // What is asked after that: what is there in the end.
	// Where arrivals come from, and how many of them, like {eu: 60%, us: 40%}: exactly as many, dealt out by the seed.
	// Results and reports tell regions apart, and so do claims (route: buy@eu, or @eu for all routes); absent means one place.
	From   map[string]unit.Share `yaml:"from"`
	InTurn bool                  `yaml:"in_turn"` // Arrivals take the routes one after the other; absent draws one for each, by weight.
	Routes []Route               `yaml:"routes"`  // Kinds of request.
}

// The values of Load.Arrivals.
const (
	Constant = "constant"
	Poisson  = "poisson"
)

var arrivalKinds = []string{Constant, Poisson}

// The values of Load.WhenStalled.
const (
	Queue = "queue"
	Burst = "burst"
	Skip  = "skip"
)

var stallKinds = []string{Queue, Burst, Skip}

// pollers are the values of Load.Poller, on whatever system.
var pollers = []string{load.IOURing, load.Epoll, load.Portable}

func (l *Load) Defaults() {
	l.Arrivals, l.WhenStalled, l.Connections, l.Timeout, l.IDHeader = Constant, Queue, 1024, 10*time.Second, "X-Request-Id"
}

func (Load) Required() []string { return []string{"routes"} }

// Refuse implements refuser.
func (Load) Refuse(key string) (problem, hint string) {
	if key != "closed" {
		return "", ""
	}
	return "closed: an experiment has the open model alone",
		"callers that wait for an answer ask less of a system that stalls, and so hide that it did; " +
			"give rate, or compare tools by stormctl load --closed"
}

// Length is how long arrivals come, a warm-up aside; 0 if a file says when they
// do.
func (l Load) Length() time.Duration {
	sum := l.Duration
	for _, s := range l.Stages {
		sum += s.Over + s.Hold
	}
	return sum
}

// MaxQueue is when_stalled as a plan has it.
func (l Load) MaxQueue() int {
	switch l.WhenStalled {
	case Skip:
		return -1
	case Burst:
		return l.Burst
	default:
		return 0
	}
}

// Warmed is the schedule with the warm-up before it. Every time of an
// experiment (at: of an event, within a claim or report) counts from where the
// warm-up ends: that is where its load begins, as it is written, and adding
// warmup: 30s to a file that works must not make another experiment of it. Were
// the times to count from the first request, each event would have to be moved
// by hand, and with one forgotten a fault would strike a system that is cold.
func (l Load) Warmed(s arrivals.Schedule) arrivals.Schedule {
	return arrivals.Warmed(l.InitialRate(), l.Warmup, s)
}

// InitialRate is the rate that the load begins with, or the first above 0.
func (l Load) InitialRate() rate.Limit {
	switch {
	case l.Spike != nil:
		return l.Spike.From
	case l.Sine != nil:
		return l.Sine.Mean
	}
	for _, s := range l.Stages {
		if s.To != nil && *s.To > 0 {
			return *s.To
		}
	}
	return l.Rate
}

// Names are those of the routes as they are sent, each with its steps behind it: what
// claims and reports tell apart.
func (l Load) Names() []string {
	var names []string
	for _, r := range l.Sent() {
		names = append(names, r.Name)
		for _, s := range r.Then {
			names = append(names, s.Name)
		}
	}
	return names
}

func (l *Load) resolve(folder string) error {
	for i := range l.Routes {
		r := &l.Routes[i]
		r.Timeout = cmp.Or(r.Timeout, l.Timeout)
		for j := range r.Then {
			r.Then[j].Timeout = cmp.Or(r.Then[j].Timeout, l.Timeout)
		}
	}
	return absolute(folder, &l.Replay, &l.Data)
}

const (
	// maxLength bounds a load, and with it every time in a run: no sum of them can
	// overflow.
	maxLength = 366 * 24 * time.Hour

	// maxBatch is half of what a harness may be late without being unwell.
	maxBatch = 5 * time.Millisecond
)

func (r *rules) load() {
	if !r.Has("load") {
		return
	}
	l := &r.x.Load
	r.schedule(l)
	r.warmup(l)
	r.stalled(l)
	r.connections(l)
	r.timeout("load.timeout", l.Timeout)
	r.positive("load.grace", l.Grace > 0)
	if r.Sound("load.id_header") {
		if _, err := wire.Encode("GET", "/", "host", nil, nil, l.IDHeader, wire.Fill{}); err != nil {
			r.Wrong("load.id_header", "id_header: "+err.Error(), "")
		}
	}
	r.data(l.Data)
	r.from(l)
	r.audits(l)
	if r.Sound("load.routes") && len(l.Routes) == 0 {
		r.Wrong("load.routes", "routes: is empty", "add a route like {name: pay, to: TARGET, get: /pay}")
	}
	r.nameRoutes(l.Routes)
	for i := range l.Routes {
		r.route(i)
	}
}

// warmup checks what comes before the load.
func (r *rules) warmup(l *Load) {
	if !r.Has("load.warmup") {
		return
	}
	r.positive("load.warmup", l.Warmup > 0)
	switch {
	case !r.Sound("load.warmup"):
	case l.Warmup > maxLength:
		r.Wrong("load.warmup", "warmup: is longer than a year", "")
	case r.Has("load.replay"):
		r.WrongKey("load.warmup", "warmup: does not go with replay", "the file has no rate that it could have: begin it with the warm-up")
	}
}

// stalled checks what becomes of arrivals that find no connection free.
func (r *rules) stalled(l *Load) {
	known := !r.Has("load.when_stalled") || r.among("load.when_stalled", l.WhenStalled, "choices", stallKinds)
	r.positive("load.burst", l.Burst > 0)
	switch {
	case !known:
	case r.Has("load.burst") && l.WhenStalled != Burst:
		r.WrongKey("load.burst", "burst: goes with when_stalled: burst only", "with "+l.WhenStalled+" there is nothing to bound")
	case l.WhenStalled == Burst && !r.Has("load.burst"):
		r.Lacks("load", "load.burst: is missing", "when_stalled: burst needs to know how many may wait, like burst: 100")
	}
}

// connections checks how connections are used, and by what.
func (r *rules) connections(l *Load) {
	for _, bound := range []struct {
		key string
		is  bool
	}{
		{"connections", l.Connections > 0}, {"pipeline", l.Pipeline > 0}, {"streams", l.Streams > 0},
		{"requests_per_connection", l.RequestsPerConnection > 0}, {"connection_lifetime", l.ConnectionLifetime > 0},
		{"new_connections", l.NewConnections > 0}, {"batch", l.Batch > 0}, {"loops", l.Loops > 0},
	} {
		r.positive(strict.Path("load").Child(bound.key), bound.is)
	}
	if r.Sound("load.batch") && l.Batch > maxBatch {
		r.Wrong("load.batch", "batch: requests would be so late that no claim could be ruled on", "at most 5ms")
	}
	if r.Has("load.poller") && r.among("load.poller", l.Poller, "pollers", pollers) &&
		r.opts.Here && !slices.Contains(load.Transports(), l.Poller) {
		r.Wrong("load.poller", "poller: this system has no "+l.Poller, strict.Suggest("", "those there", load.Transports()))
	}
	if len(l.Routes) == 0 || len(r.x.Targets) == 0 {
		return
	}
	goes := func(streams bool) bool {
		return slices.ContainsFunc(l.Routes, func(route Route) bool {
			return slices.ContainsFunc(route.To.Targets(), func(name string) bool {
				t := r.x.Targets[name]
				return t == nil || t.speaks(streams)
			})
		})
	}
	if r.Sound("load.pipeline") && !goes(false) {
		r.WrongKey("load.pipeline", "pipeline: no route goes over HTTP/1.1", "HTTP/2 has streams")
	}
	if r.Sound("load.streams") && !goes(true) {
		r.WrongKey("load.streams", "streams: no route goes over HTTP/2", "HTTP/1.1 has pipeline; protocol: h2 is a target's")
	}
}
