package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/proxy"
)

// Each row of the plan by what the experiment says, without the claims: how
// they read is their own matter.
func TestPlanRows(t *testing.T) {
	to := rate.Limit(1000)
	x := &experiment.Experiment{
		Targets: map[string]*experiment.Target{
			"api": {URL: "http://api:80"},
			"lb": {Process: &experiment.Process{Command: []string{"haproxy", "-f", "${dir}/lb.cfg"}, Listen: "127.0.0.1:81",
				Ready: "/healthz", ReadyWithin: 10 * time.Second}},
			"own":  {Process: &experiment.Process{Command: []string{"./own"}, Ready: "tcp", ReadyWithin: time.Second}},
			"shop": {Reference: "frontend", With: map[string]string{"open": "2s", "breaker": "gobreaker"}},
		},
		Links: map[string]*experiment.Link{
			"b": {From: "shop", To: "api", Listen: "127.0.0.1:82"},
			"a": {From: "shop", To: "lb"},
		},
		Load: experiment.Load{
			Stages:   []experiment.Stage{{To: &to, Over: 30 * time.Second}, {Hold: time.Minute}, {To: &to, Hold: time.Second}},
			Arrivals: "constant", Connections: 64, Timeout: 10 * time.Second,
			Routes: []experiment.Route{
				{Name: "pay", To: "shop", Post: "/pay", Weight: 1, Timeout: time.Second},
				{Name: "list", To: "shop", Method: "HEAD", Path: "/list", Weight: 3},
			},
		},
		Chaos: []experiment.Event{
			{At: 20 * time.Second, On: "lb", Restart: &experiment.Restart{Downtime: time.Second}},
			{At: 5 * time.Second, For: 10 * time.Second, On: "a", Name: "storm", Errors: &proxy.Errors{Status: proxy.Statuses{503}, Select: proxy.Select{Share: 0.5}}},
			{At: 5 * time.Second, For: time.Second, On: "lb", Pause: &experiment.Pause{}},
		},
		Limits: experiment.Limits{Allow: []string{"10.0.0.0/8", "127.0.0.0/8"},
			StopIf: []experiment.Stop{{SuccessBelow: 0.5, For: 5 * time.Second}, {Route: "pay", SuccessBelow: 0.1, For: time.Second}}},
	}
	for _, c := range []struct {
		section   string
		got, want [][]string
	}{
		{"targets", targetRows(x, map[string]string{"api": "10.0.0.7:80"}), [][]string{
			{"api", "runs already", "http://api:80"},
			{"", "", "which is 10.0.0.7:80 now"},
			{"lb", "process", "haproxy -f ${dir}/lb.cfg"},
			{"", "", "listens on 127.0.0.1:81, ready by /healthz within 10s"},
			{"own", "process", "./own"},
			{"", "", "listens on a free port, ready by tcp within 1s"},
			{"shop", "reference frontend", "breaker=gobreaker, open=2s"},
		}},
		{"links", linkRows(x), [][]string{
			{"a", "shop > lb", "listens on a free port"},
			{"b", "shop > api", "listens on 127.0.0.1:82"},
		}},
		{"load", loadRows(x.Load), [][]string{
			{"stage 1: to 1000/s over 30s, constant arrivals"},
			{"stage 2: hold 1m0s, constant arrivals"},
			{"stage 3: to 1000/s over 0s, hold 1s, constant arrivals"},
			{"1m31s in all, at most 64 connections per address"},                          // 30s + 60s + 1s
			{"route pay", "POST /pay", "to shop", "25% of the arrivals", "timeout 1s"},    // 1 of 1+3
			{"route list", "HEAD /list", "to shop", "75% of the arrivals", "timeout 10s"}, // 3 of 1+3
		}},
		{"timeline", timelineRows(x), [][]string{ // by time; those of one time in the file's order
			{"5s", "to 15s", "a", "storm: errors 503 to 50%"},
			{"5s", "to 6s", "lb", "pause"},
			{"20s", "until ready", "lb", "restart after 1s"},
		}},
		{"limits", limitRows(x.Limits), [][]string{
			{"touches only", "10.0.0.0/8, 127.0.0.0/8"},
			{"stops if", "success of all routes together is below 50% for 5s"},
			{"stops if", "success of route pay is below 10% for 1s"},
		}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.section, diff)
		}
	}
}

func TestPlanSections(t *testing.T) {
	var out bytes.Buffer
	planSection(&out, "Links", [][]string{{"a", "shop > lb", "x"}, {"longer", "b", ""}, {"alone"}})
	planSection(&out, "Timeline", nil)
	want := "\nLinks\n  a       shop > lb  x\n  longer  b\n  alone\n\nTimeline\n  none\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
