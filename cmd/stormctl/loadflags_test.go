package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/adhoc"
	"github.com/stormctl/stormctl/load/arrivals"
)

// What a shape comes to: how many arrivals, over how long, and at what rate on
// average, which is what a report says was offered.
func TestShapesOfALoad(t *testing.T) {
	for _, tt := range []struct {
		set      func(o *loadOptions) error
		arrivals uint64
		length   time.Duration
		offered  float64
		words    string
	}{
		{func(o *loadOptions) error { return nil }, 1000, 10 * time.Second, 100, "open model, 100/s (even arrivals) for 10s"},
		{func(o *loadOptions) error { return o.stages.Set("to 1k/s over 10s,hold 30s , to 0 over 5s") }, // 5,000 + 30,000 + 2,500
			37_500, 45 * time.Second, 37_500. / 45, "open model, to 1000/s over 10s, hold 30s, to 0/s over 5s"},
		{func(o *loadOptions) error { return o.stages.Set("to 60/m, hold 5s") }, 5, 5 * time.Second, 1, "open model, to 1/s, hold 5s"},
		{func(o *loadOptions) error { return o.spike.Set("1k/s at 2s for 1s") }, 1900, 10 * time.Second, 190,
			"open model, 100/s (even arrivals) for 10s, spike to 1k/s at 2s for 1s"},
		{func(o *loadOptions) error { return o.sine.Set("50/s every 5s") }, 1000, 10 * time.Second, 100,
			"open model, 100/s (even arrivals) for 10s, and up to 50/s every 5s more and less"},
		{func(o *loadOptions) error { o.requests = 25; return nil }, 25, 250 * time.Millisecond, 100, "open model, 100/s (even arrivals) for 250ms"},
	} {
		o := loadOptions{arrivals: "constant", timeout: time.Second, pipeline: 1, streams: 1, protocol: load.HTTP1}
		if err := tt.set(&o); err != nil {
			t.Errorf("%s: %v", tt.words, err)
			continue
		}
		var p load.Plan
		var j adhoc.Job
		if err := o.schedule(&p, &j); err != nil {
			t.Errorf("%s: %v", tt.words, err)
			continue
		}
		if got := arrivals.DueBefore(p.Schedule, time.Hour); got != tt.arrivals || j.Span != tt.length || math.Abs(float64(j.Offered)-tt.offered) > 1e-9 || j.Words != tt.words {
			t.Errorf("got %d arrivals in %v, %v/s on average, %q; want %d, %v, %v, %q", got, j.Span, float64(j.Offered), j.Words, tt.arrivals, tt.length, tt.offered, tt.words)
		}
	}
}

// A zero is not what is left out: it is refused with the way out, before anything
// is sent. So is a bound that no histogram tells apart.
func TestZeroIsNotLeftOut(t *testing.T) {
	for _, args := range []string{
		"--duration 0s", "--duration 0", "--requests 0", "-n 0", "-c 0", "--connections 0", "--loops 0", "--conn-requests 0", "--conn-lifetime 0s",
		"--rate 0", "--timeout 0s", "--timeout 61m", "--streams 0", "--pipeline 0", "--dial-rate 0",
	} {
		c := newLoadCommand()
		c.SilenceErrors, c.SilenceUsage = true, true
		c.SetArgs(append([]string{"http://127.0.0.1:1/"}, strings.Fields(args)...))
		err := c.Execute()
		if name := strings.TrimLeft(strings.Fields(args)[0], "-"); err == nil || len(name) > 1 && !strings.Contains(err.Error(), "--"+name) ||
			strings.Contains(err.Error(), "nothing answers") {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// The number of requests that was asked for is what is sent, also by chance.
func TestAsManyRequestsAsAskedFor(t *testing.T) {
	for _, spread := range []string{"constant", "poisson"} {
		for _, n := range []uint64{1, 2, 7, 100} {
			for seed := range uint64(50) {
				o := loadOptions{arrivals: spread, timeout: time.Second, pipeline: 1, streams: 1, protocol: load.HTTP1, requests: n, seed: seed}
				var p load.Plan
				if err := o.schedule(&p, &adhoc.Job{}); err != nil {
					t.Fatal(err)
				}
				if got := arrivals.DueBefore(p.Schedule, time.Hour); got != n {
					t.Errorf("%s, seed %d: %d of %d", spread, seed, got, n)
				}
			}
		}
	}
}
