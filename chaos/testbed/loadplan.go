package testbed

import (
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
)

// Plan is the load of the experiment, with addresses. The schedule has the
// warm-up in it.
func (b *Testbed) Plan(schedule arrivals.Schedule) load.Plan {
	l := b.x.Load
	plan := load.Plan{
		Schedule: schedule, Seed: b.x.Seed, Run: b.opts.Run, InOrder: l.InTurn, Data: b.in.Data, IDHeader: l.IDHeader,
		Keys: uint64(l.Keys), Loops: l.Loops, Transport: l.Poller, MaxConns: l.Connections, MaxQueue: l.MaxQueue(),
		Pipeline: l.Pipeline, Streams: l.Streams, Batch: l.Batch, Grace: l.Grace,
		ConnRequests: l.RequestsPerConnection, ConnLifetime: l.ConnectionLifetime, DialRate: l.NewConnections,
	}
	plan.Regions = l.Parts()
	sent := l.Sent()
	for i := range sent {
		r := &sent[i]
		route := b.routeTo(r.To.One())
		route.Name, route.Weight = r.Name, r.Weight
		route.Method, route.Path = r.Line()
		route.Headers, route.Body, route.Checks, route.Timeout = b.in.Headers(r.Request), b.in.Body(r), checks(r.Request), r.Timeout
		route.Writes, route.Reads = data(r.Request)
		for _, step := range r.Then {
			then := load.Step{After: step.After, Headers: b.in.Headers(step.Request), Body: []byte(step.Body),
				Checks: checks(step.Request), Timeout: step.Timeout}
			then.Method, then.Path = step.Line()
			then.Writes, then.Reads = data(step.Request)
			route.Then = append(route.Then, then)
		}
		plan.Routes = append(plan.Routes, route)
	}
	return plan
}

// routeTo is how routes reach a target.
func (b *Testbed) routeTo(target string) load.Route {
	t := b.x.Targets[target]
	r := load.Route{Addr: b.addrs[target].String(), Host: b.hosts[target], TLS: b.in.TLS[target], Protocol: t.Protocol}
	if spoken := b.spoken[target]; spoken != "" {
		r.Protocol = spoken
	}
	for _, one := range b.instances(target)[1:] {
		r.Others = append(r.Others, b.addrs[one].String())
	}
	if path, ok := t.Socket(); ok {
		r.Addr = "unix:" + path
	}
	return r
}

// data is what a request does with data.
func data(r experiment.Request) (writes bool, reads string) {
	for _, where := range r.Reads {
		reads = where // there is one
	}
	return r.Writes != "", reads
}

func checks(r experiment.Request) (list []load.Check) {
	for _, text := range r.Checks {
		check, _ := load.ParseCheck(text) // it was tried when the file was read
		list = append(list, check)
	}
	return list
}
