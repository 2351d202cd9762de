package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/adhoc"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/input"
)

const (
	defaultRate        = 100 // per second
	defaultDuration    = 10 * time.Second
	defaultConnections = 64 // of the closed model
)

// longest is how long a load may be. It keeps every sum of times in range.
const longest = 1000 * time.Hour

// schedule decides which model it is, and its length.
func (o *loadOptions) schedule(p *load.Plan, j *adhoc.Job) error {
	if err := cmp.Or(o.clash(), o.outOfRange()); err != nil {
		return err
	}
	j.Warmup = o.warmup
	switch {
	case o.closed:
		o.closedModel(p, j)
		return nil
	case o.replay != "":
		return o.replayed(p, j)
	case o.stages != nil:
		return o.staged(p, j)
	default:
		return o.rated(p, j)
	}
}

// clash says which flags exclude each other, or want another one.
func (o *loadOptions) clash() error {
	shaped := o.spike.given || o.sine.given
	poisson := o.arrivals == experiment.Poisson
	grpc := o.protocol == load.GRPC
	for _, bad := range []struct {
		is   bool
		text string
	}{
		{o.closed && o.rate.given, "--rate and --closed exclude each other: the closed model has no rate of its own"},
		{o.closed && (poisson || o.stages != nil || shaped),
			"--arrivals, --stages, --spike and --sine are about arrivals, and the closed model has none"},
		{o.closed && o.whenStalled.given, "--when-stalled is about arrivals, and the closed model has none"},
		{o.closed && o.warmup > 0 && o.requests > 0,
			"--warmup with --closed takes --duration, not --requests: how many a warm-up sends is not known beforehand"},
		{o.replay != "" && (o.closed || o.rate.given || poisson || o.stages != nil || shaped || o.duration > 0),
			"--replay goes with none of --rate, --closed, --arrivals, --stages, --spike, --sine and --duration: the file says when " +
				"requests are due"},
		{o.replay != "" && o.warmup > 0, "--replay has no rate that a --warmup could have: begin the file with it"},
		{o.stages != nil && (o.rate.given || o.duration > 0 || shaped),
			"--stages goes with none of --rate, --duration, --spike and --sine: the stages say all of it"},
		{o.spike.given && o.sine.given, "--spike and --sine exclude each other"},
		{poisson && shaped, "--arrivals poisson goes with --rate or --stages; --spike and --sine are even"},
		{o.duration > 0 && o.requests > 0 && !o.closed, "--requests and --duration exclude each other: the rate makes one of the other"},
		{shaped && o.requests > 0, "--requests goes with neither --spike nor --sine: give --duration"},
		{o.protocol != load.HTTP1 && o.pipeline != 1, "--pipeline is for --protocol http1; HTTP/2 has --streams"},
		{o.protoset != "" && !grpc, "--protoset is for --protocol grpc"},
		{o.reflect && !grpc, "--reflect is for --protocol grpc"},
		{o.protoset != "" && o.reflect, "--protoset and --reflect exclude each other: the descriptors come from one of them"},
		{o.protoset != "" && o.hex, "--hex and --protoset exclude each other: the body is one or the other"},
		{o.reflect && o.hex, "--hex and --reflect exclude each other: the body is one or the other"},
		{o.reflect && (o.targets != "" || o.har != ""),
			"--reflect is for a URL with a --body: the requests of a file have their messages encoded"},
		{o.keyFile != "" && o.certFile == "", "--key is that of a --cert, which is missing"},
	} {
		if bad.is {
			return errors.New(bad.text)
		}
	}
	return nil
}

// outOfRange says which flag has a value that it cannot have.
func (o *loadOptions) outOfRange() error {
	for _, d := range []struct {
		flag               string
		value, least, most time.Duration
	}{
		{"duration", o.duration, 0, longest}, {"warmup", o.warmup, 0, longest}, {"timeout", o.timeout, 1, hist.Highest},
		{"conn-lifetime", o.connLifetime, 0, longest}, {"batch", o.batch, 0, longest},
	} {
		switch {
		case d.value < d.least:
			return fmt.Errorf("--%s %v: must be %s", d.flag, d.value, [...]string{"0 or more", "more than 0"}[d.least])
		case d.value > d.most:
			return fmt.Errorf("--%s %v: must be at most %v", d.flag, d.value, unit.FormatDuration(d.most))
		}
	}
	for _, n := range []struct {
		flag         string
		value, least int
	}{{"connections", o.connections, 0}, {"streams", o.streams, 1}, {"pipeline", o.pipeline, 1}, {"conn-requests", o.connRequests, 0},
		{"loops", o.loops, 0}} {
		if n.value < n.least {
			return fmt.Errorf("--%s %d: must be at least %d", n.flag, n.value, n.least)
		}
	}
	for _, r := range []struct {
		flag string
		rate rateFlag
	}{{"rate", o.rate}, {"dial-rate", o.dialRate}} {
		if r.rate.given && r.rate.limit <= 0 {
			return fmt.Errorf("--%s must be above 0", r.flag)
		}
	}
	for _, w := range []struct {
		flag, word string
		words      []string
	}{{"protocol", o.protocol, protocols}, {"arrivals", o.arrivals, []string{experiment.Constant, experiment.Poisson}},
		{"poller", o.transport, append(load.Transports(), "")}} {
		if !slices.Contains(w.words, w.word) {
			return fmt.Errorf("--%s %q: there are %s", w.flag, w.word, strings.TrimSuffix(strings.Join(w.words, ", "), ", "))
		}
	}
	return nil
}

func (o *loadOptions) closedModel(p *load.Plan, j *adhoc.Job) {
	c := load.Closed{Connections: cmp.Or(o.connections, defaultConnections), Requests: o.requests, Duration: o.duration}
	j.Words = fmt.Sprintf("closed model, %d connections", c.Connections)
	if c.Requests == 0 && c.Duration == 0 {
		c.Duration = defaultDuration
	}
	if c.Duration > 0 {
		j.Words += " for " + unit.FormatDuration(c.Duration)
		c.Duration += o.warmup
	}
	p.Closed = &c
}

// rated is a load of one rate, or of one that a spike or a wave is added to.
func (o *loadOptions) rated(p *load.Plan, j *adhoc.Job) error {
	base, length := o.rate.limit, cmp.Or(o.duration, defaultDuration)
	if !o.rate.given {
		base = defaultRate
	}
	if o.requests > 0 {
		seconds := float64(o.requests) / float64(base)
		if seconds > longest.Seconds() {
			return fmt.Errorf("--requests %d at %s take more than %v", o.requests, unit.FormatRate(base), unit.FormatDuration(longest))
		}
		length = time.Duration(math.Ceil(seconds * 1e9))
	}
	j.Offered = base
	spread := map[string]string{experiment.Constant: "even", experiment.Poisson: "Poisson"}[o.arrivals]
	j.Words = fmt.Sprintf("open model, %s (%s arrivals) for %s", unit.FormatRate(base), spread, unit.FormatDuration(length))
	switch {
	case o.spike.given:
		s := o.spike
		if s.at+s.long > length {
			return fmt.Errorf("--spike %q: the load ends before it, after %v", s.text, unit.FormatDuration(length))
		}
		p.Schedule = arrivals.Spike(base, s.peak, s.at, s.long, length)
		j.Offered += (s.peak - base) * rate.Limit(s.long.Seconds()/length.Seconds())
		j.Words += ", spike to " + s.text
	case o.sine.given:
		s := o.sine
		if s.by > base {
			return fmt.Errorf("--sine %q: must be at most the --rate, %s", s.text, unit.FormatRate(base))
		}
		p.Schedule = arrivals.Sine(base, s.by, s.every, length)
		j.Words += ", and up to " + s.text + " more and less"
	default:
		var err error
		if p.Schedule, err = o.plain(base, length); err != nil {
			return err
		}
	}
	if o.requests == 0 || o.arrivals == experiment.Constant {
		j.Span = length
	}
	p.Schedule = arrivals.Warmed(base, o.warmup, p.Schedule)
	return nil
}

// plain is one rate. A number of requests must not fail to fall due by rounding
// or by chance, so there the schedule has some more of them.
func (o *loadOptions) plain(limit rate.Limit, length time.Duration) (arrivals.Schedule, error) {
	l := experiment.Load{Rate: limit, Arrivals: o.arrivals, Duration: length}
	switch {
	case o.requests == 0:
		return l.Schedule(o.seed, nil)
	case o.arrivals == experiment.Poisson:
		l.Duration += l.Duration/2 + time.Duration(10/float64(limit)*1e9)
	default:
		l.Duration += time.Microsecond
	}
	s, err := l.Schedule(o.seed, nil)
	return arrivals.First(o.requests, s), err
}

// staged is a load in stages, as in an experiment.
func (o *loadOptions) staged(p *load.Plan, j *adhoc.Job) error {
	l := experiment.Load{Stages: o.stages, Arrivals: o.arrivals, Warmup: o.warmup}
	var err error
	if p.Schedule, err = l.Schedule(o.seed, nil); err != nil {
		return err
	}
	j.Offered, j.Span = mean(l), l.Length()
	if o.requests > 0 {
		p.Schedule, j.Span = arrivals.First(o.requests, p.Schedule), 0
	}
	p.Schedule = arrivals.Warmed(l.InitialRate(), o.warmup, p.Schedule)
	j.Words = fmt.Sprintf("open model, %s", o.stages.String())
	if o.arrivals == experiment.Poisson {
		j.Words += " (Poisson arrivals)"
	}
	return nil
}

// mean is the rate of stages on average.
func mean(l experiment.Load) rate.Limit {
	var area float64
	var now rate.Limit
	for _, s := range l.Stages {
		to := now
		if s.To != nil {
			to = *s.To
		}
		area += float64(now+to)/2*s.Over.Seconds() + float64(to)*s.Hold.Seconds()
		now = to
	}
	return rate.Limit(area / l.Length().Seconds())
}

// replayed makes the schedule of a file's times.
func (o *loadOptions) replayed(p *load.Plan, j *adhoc.Job) error {
	times, err := input.Parse(o.replay, input.Times, arrivals.ReadTimes)
	if err != nil {
		return fmt.Errorf("--replay: %w", err)
	}
	if p.Schedule, err = arrivals.Replay(times); err != nil {
		return fmt.Errorf("--replay: %w", err)
	}
	if o.requests > 0 {
		times = times[:min(o.requests, uint64(len(times)))]
		p.Schedule = arrivals.First(o.requests, p.Schedule)
	}
	last := times[len(times)-1]
	j.Offered = rate.Limit(float64(len(times)) / math.Max(last.Seconds(), 1))
	j.Words = fmt.Sprintf("open model, %d arrivals of %s over %s", len(times), o.replay, unit.FormatDuration(last))
	return nil
}
