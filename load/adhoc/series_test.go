package adhoc

import (
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/meter"
)

// The series of a load have what its seconds had, from the first to the last part of
// one, of each kind of request and without the warm-up; a load that only its requests
// end has them too.
func TestSeriesOfALoad(t *testing.T) {
	for name, plan := range map[string]load.Plan{
		"open":   {Schedule: arrivals.Constant(1000, 5*time.Second)},
		"closed": {Closed: &load.Closed{Connections: 2, Requests: 1 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			plan.Routes, plan.Loops = make([]load.Route, 2), 2
			j := &Job{URL: "http://127.0.0.1/", Groups: []string{"a", "b"}, Group: []int{0, 1}, Warmup: time.Second, Plan: plan}
			r, err := Open(j, func(chaos.Progress) {})
			if err != nil {
				t.Fatal(err)
			}
			r.watch.Begin(time.Now().Add(time.Hour), load.NewStats(2, time.Now()), meter.Often) // its own seconds never come
			defer r.watch.Close()
			r.watch.Stop()
			observe := r.observer()
			r.watch.Rest(0) // the warm-up's
			for second, requests := range []int{10, 0, 7} {
				for i := range requests {
					s := load.Sample{Route: i % 2, Intended: time.Second + time.Duration(second)*time.Second, Status: 200}
					s.Sent, s.Done = s.Intended, s.Intended+time.Duration(i+1)*time.Millisecond
					if i == 4 {
						s.Outcome = load.Reset
					}
					observe(i%2, s)
				}
				r.watch.Rest(time.Duration(second)*time.Second + 900*time.Millisecond)
			}
			w := r.live.View().Whole
			if len(w.Ended) != 3 || w.Ended[0] != 10 || w.Ended[1] != 0 || w.Ended[2] != 7 || w.To.Duration() != 2900*time.Millisecond {
				t.Errorf("ended %v to %v", w.Ended, w.To)
			}
			if len(w.Routes) != 2 || w.Routes[0].Name != "a" || w.Routes[0].Bad[2] != 1 || w.Routes[1].Bad[2] != 0 || w.Outcomes["reset"][0] != 1 {
				t.Errorf("routes %+v, outcomes %v", w.Routes, w.Outcomes)
			}
			if w.Response.Max[1] != nil || *w.Response.Max[0] < 10 || *w.Routes[0].Response.Max[0] > 9.1 || *w.Routes[1].Response.Max[2] > 6.1 {
				t.Errorf("times %v, %v", *w.Response.Max[0], *w.Routes[0].Response.Max[0])
			}
			offered := uint64(900)
			if name == "closed" {
				offered = 0
			}
			if w.Offered[0] != offered || len(w.Harness.Unwell) != 3 {
				t.Errorf("offered %v, harness %+v", w.Offered, w.Harness)
			}
		})
	}
}
