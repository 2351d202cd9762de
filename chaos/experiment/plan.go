package experiment

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/wire"
)

// Plan is what a run of the experiment would do, as far as its claims depend on
// it. It reads the file of a replay.
func (x *Experiment) Plan() (judge.Plan, error) {
	var times []time.Duration
	if x.Load.Replay != "" {
		in, err := x.ReadInputs()
		if err != nil {
			return judge.Plan{}, err
		}
		times = in.Times
	}
	schedule, err := x.Load.Schedule(x.Seed, times)
	if err != nil {
		return judge.Plan{}, err
	}
	end := schedule.Duration()
	if every := x.Repeats(); every > 0 { // each chapter is judged by itself, and all are alike
		end = min(end, every)
	}
	p := judge.Plan{End: end, Routes: x.Load.planned(), Links: map[string]judge.PlannedLink{}, Keys: x.Load.Keys}
	p.Due = func(from, to time.Duration) float64 { return offered(schedule, times, from, min(to, p.End)) }
	p.RateKey, p.LengthKey = x.Load.keys()
	for name, l := range x.Links {
		p.Links[name] = judge.PlannedLink{From: l.From, To: l.To, Wire: x.wire(name),
			Patience: x.setting(l.From, "timeout"), Service: x.setting(l.To, "service_time")}
	}
	for i, e := range x.Chaos {
		p.Faults = append(p.Faults, x.planned(i, e, p.End))
	}
	for _, c := range x.Claims {
		p.Claims = append(p.Claims, c.Judge())
	}
	return p, nil
}

// steps is how finely a rate that changes is summed up.
const steps = 1000

// offered is how many arrivals are due in [from, to) on average.
func offered(s arrivals.Schedule, times []time.Duration, from, to time.Duration) (sum float64) {
	if times != nil {
		lo, _ := slices.BinarySearch(times, from)
		hi, _ := slices.BinarySearch(times, to)
		return float64(max(0, hi-lo))
	}
	if to <= from {
		return 0
	}
	step := (to - from) / steps
	for i := range steps {
		sum += float64(s.Rate(from + time.Duration(i)*step + step/2))
	}
	return sum / steps * (to - from).Seconds()
}

// keys are those that say how much load there is, and for how long.
func (l Load) keys() (rate, length string) {
	switch {
	case l.Replay != "":
		return "load.replay", "load.replay"
	case l.Spike != nil:
		return "load.spike", "load.duration"
	case l.Sine != nil:
		return "load.sine", "load.duration"
	case len(l.Stages) > 0:
		return "load.stages", "load.stages"
	}
	return "load.rate", "load.duration"
}

// planned are the routes with the steps that follow them: as many of those come
// as of their routes, if all goes well.
func (l Load) planned() (all []judge.PlannedRoute) {
	var weights float64
	sent, regions := l.Sent(), max(1, len(l.From))
	for _, r := range sent {
		weights += r.Weight
	}
	for i, r := range sent {
		path, part := strict.Path("load.routes").Item(i/regions), r.Weight/max(weights, 1e-9)
		if l.InTurn {
			part = 1 / float64(len(l.Routes))
			if _, region := evidence.SplitRoute(r.Name); region != "" {
				part *= float64(l.From[region])
			}
		}
		all = append(all, r.planned(r.Name, r.To.One(), string(path), part))
		for j, s := range r.Then {
			all = append(all, s.planned(s.Name, r.To.One(), string(path.Child("then").Item(j)), part))
		}
	}
	return all
}

func (r Request) planned(name, to, path string, part float64) judge.PlannedRoute {
	p := judge.PlannedRoute{Name: name, To: to, Timeout: r.Timeout, Share: part, Path: path}
	p.Method, _ = r.Line()
	p.Writes = r.Writes
	for data := range r.Reads { // one at most
		p.Reads = data
	}
	for header := range r.Headers {
		p.Keyed = p.Keyed || strings.EqualFold(header, "Idempotency-Key") || strings.EqualFold(header, "X-Idempotency-Key")
	}
	return p
}

// planned is an event as the evidence will name it.
func (x *Experiment) planned(i int, e Event, end time.Duration) judge.PlannedFault {
	f := judge.PlannedFault{Injection: x.Injection(i, e)}
	if e.Kill != nil && e.Kill.ForGood {
		f.ForGood, f.For = true, evidence.Seconds(end-e.At)
	}
	f.Injected, f.Healed = e.At, e.At+f.For.Duration()
	if e.Errors != nil {
		f.RetryAfter = e.Errors.RetryAfter
	}
	if t := e.Toxic(); t != nil {
		s := t.Selection()
		f.First = s.First
		f.Share /= float64(max(1, s.Every))
	}
	return f
}

// Injection is e, event i, as the evidence names it, with the times that it is
// planned for.
func (x *Experiment) Injection(i int, e Event) evidence.Injection {
	in := evidence.Injection{
		Index: i, Name: e.String(), Kind: e.Kind(), On: e.Where(), Share: 1,
		At: evidence.Seconds(e.At), For: evidence.Seconds(e.Lasts()),
	}
	if e.RegionLoss != nil {
		in.Others, in.Links = x.InRegion(e.RegionLoss.Region)
	} else {
		in.Others = e.Targets()[1:]
	}
	in.Target = e.Toxic() == nil && !(e.Exec != nil && x.Links[e.On] != nil)
	does := evidence.Effects(e.Effects())
	in.Effects = &does
	if t := e.Toxic(); t != nil {
		s := t.Selection()
		in.Share, in.Match, in.Cycle, in.Ramp = float64(s.Share), s.Match != nil, s.Cycle != nil, evidence.Seconds(s.Ramp)
	}
	switch {
	case e.Latency != nil:
		in.Delay = evidence.Seconds(e.Latency.Delay)
		if e.Latency.Recorded != "" && e.Latency.Draws != nil {
			in.Delay = evidence.Seconds(e.Latency.Draws.Mean())
		}
	case e.DropResponse != nil:
		in.Ends = e.DropResponse.Then == "reset"
	case e.Errors != nil:
		in.Statuses = e.Errors.Status
		if code := int(e.Errors.GRPC); code != 0 {
			in.Statuses = append(slices.Clip(in.Statuses), wire.GRPCToHTTP(code))
		}
	}
	return in
}

// wire is how a caller could be given the address of a link; "" if it is given.
// Reference services are told those of their own links, a process by a variable;
// a service that runs already knows only an address that is fixed.
func (x *Experiment) wire(link string) string {
	l := x.Links[link]
	caller := x.Targets[l.From]
	if l.Listen != "" && !strings.HasSuffix(l.Listen, ":0") || caller == nil || caller.Reference != "" {
		return ""
	}
	for _, t := range x.Targets {
		if t.Process != nil && slices.ContainsFunc(t.Process.texts(), func(text string) bool { return refersTo(text, link) }) {
			return ""
		}
	}
	if caller.Process != nil {
		return fmt.Sprintf("write ${links.%s.url} into command, env or files of %s", link, l.From)
	}
	return fmt.Sprintf("give it an address that %s knows, like listen: 127.0.0.1:9001", l.From)
}

// texts are those in which variables are replaced.
func (p *Process) texts() []string {
	return slices.Concat(p.Command, slices.Collect(maps.Values(p.Env)), slices.Collect(maps.Values(p.Files)))
}

// refersTo reports whether a text has the address of a link in it.
func refersTo(text, link string) bool {
	return slices.ContainsFunc(variables(text), func(v variable) bool {
		part, ok := strings.CutPrefix(v.name, "links."+link+".")
		return ok && slices.Contains(addressParts, part)
	})
}

// setting is a time that a reference service was given; 0 if it is not known.
func (x *Experiment) setting(target, key string) time.Duration {
	t := x.Targets[target]
	if t == nil || t.Reference == "" {
		return 0
	}
	d, err := time.ParseDuration(t.With[key])
	if err != nil {
		return 0 // none, or the default
	}
	return d
}
