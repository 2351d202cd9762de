package experiment

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/input"
)

// Stage is one part of a load: either {to: RATE, over: DURATION} ramps from
// the rate before it (0 at first), or {hold: DURATION} keeps it.
type Stage struct {
	To   *rate.Limit   `yaml:"to"`   // Rate at the end of the ramp.
	Over time.Duration `yaml:"over"` // How long the ramp takes; absent or 0 jumps.
	Hold time.Duration `yaml:"hold"` // How long the rate stays.
}

// Spike is a rate that jumps once and comes back.
type Spike struct {
	From rate.Limit    `yaml:"from"` // Rate before and after.
	To   rate.Limit    `yaml:"to"`   // Rate within the spike.
	At   time.Duration `yaml:"at"`   // When it jumps, since the start.
	For  time.Duration `yaml:"for"`  // How long the spike lasts.
}

func (Spike) Required() []string { return []string{"from", "to", "at", "for"} }

// Sine is a rate that goes up and down, as days do. It begins at its mean, on
// its way up.
type Sine struct {
	Mean      rate.Limit    `yaml:"mean"`      // Rate in the middle.
	Amplitude rate.Limit    `yaml:"amplitude"` // How far it goes above and below the mean, which it may not exceed.
	Period    time.Duration `yaml:"period"`    // From one high to the next.
}

func (Sine) Required() []string { return []string{"mean", "amplitude", "period"} }

// scheduleKinds are the keys of which a load has exactly one.
var scheduleKinds = []string{"rate", "stages", "spike", "sine", "replay"}

// Schedule is when requests are due; the same seed gives the same arrivals.
// replayed are the times of a replay, see Inputs.
func (l Load) Schedule(seed uint64, replayed []time.Duration) (arrivals.Schedule, error) {
	spacing := arrivals.Spacing{Poisson: l.Arrivals == Poisson, Seed: seed}
	switch {
	case l.Replay != "":
		return arrivals.Replay(replayed)
	case l.Spike != nil:
		return arrivals.Spaced(arrivals.Spike(l.Spike.From, l.Spike.To, l.Spike.At, l.Spike.For, l.Duration), spacing)
	case l.Sine != nil:
		return arrivals.Spaced(arrivals.Sine(l.Sine.Mean, l.Sine.Amplitude, l.Sine.Period, l.Duration), spacing)
	case len(l.Stages) == 0:
		return arrivals.Stages([]arrivals.Stage{{To: l.Rate, Hold: l.Duration}}, spacing), nil
	}
	var stages []arrivals.Stage
	var now rate.Limit
	for _, s := range l.Stages {
		if s.To != nil {
			now = *s.To
		}
		stages = append(stages, arrivals.Stage{To: now, Over: s.Over, Hold: s.Hold})
	}
	return arrivals.Stages(stages, spacing), nil
}

// schedule checks how much load there is, and for how long.
func (r *rules) schedule(l *Load) {
	form, duration := "", r.Has("load.duration")
	if len(r.Given("load", scheduleKinds)) == 0 {
		r.Lacks("load", "load: has none of rate, stages, spike, sine or replay", "add rate: 500/s and duration: 30s")
	} else {
		form = r.OneOf("load", scheduleKinds)
	}
	switch form {
	case "rate", "spike", "sine":
		r.positive("load.duration", l.Duration > 0)
		if !duration {
			r.Lacks("load", "load.duration: is missing", "add duration: 30s")
		}
	case "stages":
		if duration {
			r.WrongKey("load.duration", "duration: does not go with stages", "the load lasts as long as its stages")
		}
	case "replay":
		if duration {
			r.WrongKey("load.duration", "duration: does not go with replay", "the load lasts as long as the times in the file")
		}
		if r.Has("load.arrivals") && l.Arrivals != Constant { // which a resolved file has
			r.WrongKey("load.arrivals", "arrivals: does not go with replay", "the file says when each is due")
		}
	}
	r.measure(l, form)
	switch form {
	case "rate":
		r.positive("load.rate", l.Rate > 0)
	case "stages":
		r.stages(l.Stages)
	case "spike":
		r.spike(l.Spike)
	case "sine":
		r.sine(l.Sine)
	}
	r.among("load.arrivals", l.Arrivals, "arrivals", arrivalKinds)
}

// measure finds how long the load is, if it could be read.
func (r *rules) measure(l *Load, form string) {
	at, length := strict.Path("load.duration"), l.Duration
	switch form {
	case "stages":
		at, length = "load.stages", 0
		for _, s := range l.Stages {
			length = min(length+min(s.Over, maxLength)+min(s.Hold, maxLength), 2*maxLength)
		}
	case "replay":
		at, length = "load.replay", r.replayed(l.Replay)
	}
	switch {
	case !r.Sound(at):
	case length > maxLength:
		r.Wrong(at, at.Tail()+": is longer than a year", "")
	default:
		r.length = length
	}
}

// replayed reads the times of a replay and returns how long they last; 0 if that
// is not known here.
func (r *rules) replayed(file string) time.Duration {
	if !r.opts.Here || !r.Sound("load.replay") {
		return 0
	}
	times, err := input.Parse(r.beside(file), input.Times, arrivals.ReadTimes)
	if err == nil {
		var s arrivals.Schedule
		if s, err = arrivals.Replay(times); err == nil {
			return s.Duration()
		}
	}
	r.Wrong("load.replay", "replay: "+err.Error(), "")
	return 0
}

func (r *rules) stages(stages []Stage) {
	if r.Sound("load.stages") && len(stages) == 0 {
		r.Wrong("load.stages", "stages: is empty", "write them like [{to: 500/s, over: 10s}, {hold: 30s}]")
	}
	moving := false
	for i, s := range stages {
		path := strict.Path("load.stages").Item(i)
		to, over, hold := r.Has(path.Child("to")), r.Has(path.Child("over")), r.Has(path.Child("hold"))
		switch {
		case hold && (to || over):
			r.WrongKey(path.Child("hold"), "hold: does not go with to", "write two stages: {to: 500/s} and {hold: 30s}")
		case hold:
			r.positive(path.Child("hold"), s.Hold > 0)
			if i == 0 {
				r.WrongKey(path.Child("hold"), "hold: there is no rate to hold yet", "begin with {to: 500/s}")
			}
		case over && !to:
			r.Missing(path, "to", "add to: 500/s")
		case !to:
			r.Lacks(path, string(path)+": has neither to nor hold", "write {to: 500/s, over: 10s} or {hold: 30s}")
		}
		moving = moving || s.To != nil && *s.To > 0
	}
	if r.Sound("load.stages") && !moving {
		r.Wrong("load.stages", "stages: none has a rate above 0", "write them like [{to: 500/s, over: 10s}, {hold: 30s}]")
	}
	if lasting := func(s Stage) bool { return s.Over > 0 || s.Hold > 0 }; r.Sound("load.stages") && !slices.ContainsFunc(stages, lasting) {
		r.Wrong("load.stages", "stages: last no time at all", "add {hold: 30s}")
	}
}

// spike checks that all of it lies within the load: what would be cut off was
// not meant.
func (r *rules) spike(s *Spike) {
	r.positive("load.spike.to", s.To > 0)
	r.positive("load.spike.for", s.For > 0)
	if r.length == 0 || !r.Sound("load.spike.at") || !r.Sound("load.spike.for") {
		return
	}
	if s.At >= r.length {
		r.Wrong("load.spike.at", fmt.Sprintf("at: %s is too late", unit.FormatDuration(s.At)), r.end())
	} else if s.For > r.length-s.At {
		r.Wrong("load.spike.for", "for: the spike is not over before the end",
			fmt.Sprintf("%s, so this is at most %s", r.end(), unit.FormatDuration(r.length-s.At)))
	}
}

func (r *rules) sine(s *Sine) {
	r.positive("load.sine.mean", s.Mean > 0)
	r.positive("load.sine.period", s.Period > 0)
	if r.Sound("load.sine.mean") && r.Sound("load.sine.amplitude") && s.Amplitude > s.Mean {
		r.Wrong("load.sine.amplitude", "amplitude: the rate would go below 0", "it is at most the mean, "+unit.FormatRate(s.Mean))
	}
}

// end tells when the load is over, for messages.
func (r *rules) end() string {
	return "the load ends at " + unit.FormatDuration(r.length)
}
