package chaos

import (
	"time"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
)

// plan is the load of the experiment, with addresses.
func (s *services) plan(run uint64, schedule arrivals.Schedule) load.Plan {
	l := s.x.Load
	plan := load.Plan{
		Schedule: schedule, Seed: s.x.Seed, Run: run, InOrder: l.InTurn, Data: s.in.Data, IDHeader: l.IDHeader,
		Loops: l.Loops, Transport: l.Poller, MaxConns: l.Connections, MaxQueue: l.MaxQueue(),
		Pipeline: l.Pipeline, Streams: l.Streams, Batch: l.Batch, Grace: l.Grace,
		ConnRequests: l.RequestsPerConnection, ConnLifetime: l.ConnectionLifetime, DialRate: l.NewConnections,
	}
	for i := range l.Routes {
		r := &l.Routes[i]
		route := s.way(r.To)
		route.Name, route.Weight = r.Name, r.Weight
		route.Method, route.Path = r.Line()
		route.Headers, route.Body, route.Checks, route.Timeout = headers(r.Request), s.in.Body(r), checks(r.Request), r.Timeout
		for _, step := range r.Then {
			then := load.Step{After: step.After, Headers: headers(step.Request), Body: []byte(step.Body), Checks: checks(step.Request), Timeout: step.Timeout}
			then.Method, then.Path = step.Line()
			route.Then = append(route.Then, then)
		}
		plan.Routes = append(plan.Routes, route)
	}
	return plan
}

// way is how routes reach a target.
func (s *services) way(target string) load.Route {
	t := s.x.Targets[target]
	r := load.Route{Addr: s.addrs[target].String(), Host: s.hosts[target], TLS: s.in.TLS[target], Protocol: t.Protocol}
	if spoken := s.spoken[target]; spoken != "" {
		r.Protocol = spoken
	}
	if path, ok := t.Socket(); ok {
		r.Addr = "unix:" + path
	}
	return r
}

// knockWithin bounds how long a target may take to let a connection in.
const probeTimeout = 5 * time.Second

func headers(r experiment.Request) (list [][2]string) {
	for _, name := range sorted(r.Headers) {
		list = append(list, [2]string{name, r.Headers[name]})
	}
	return list
}

func checks(r experiment.Request) (list []load.Check) {
	for _, text := range r.Checks {
		check, _ := load.ParseCheck(text) // it was tried when the file was read
		list = append(list, check)
	}
	return list
}
