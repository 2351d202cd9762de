package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/testbed"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// Each row of the plan by what the experiment says, without the claims: how
// they read is their own matter.
func TestPlanRows(t *testing.T) {
	to := rate.Limit(1000)
	x := &experiment.Experiment{
		Targets: map[string]*experiment.Target{
			"api": {URL: "http://api:80"},
			"far": {URL: "https://far", TLS: &experiment.TLS{CA: "/ca.pem", ServerName: "shop.example", Cert: "/me.pem"}},
			"any": {URL: "https://any", TLS: &experiment.TLS{Insecure: true}},
			"sys": {URL: "https://sys", Protocol: "auto"},
			"lb": {Process: &experiment.Process{Command: []string{"haproxy", "-f", "${dir}/lb.cfg"}, Listen: "127.0.0.1:81",
				Ready: experiment.Ready{Probe: "/healthz"}, ReadyWithin: 10 * time.Second}},
			"own":  {Process: &experiment.Process{Command: []string{"./own"}, Ready: experiment.Ready{Probe: "tcp"}, ReadyWithin: time.Second}},
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
				{Name: "pay", To: experiment.Destination{"": "shop"}, Request: experiment.Request{Post: "/pay", Timeout: time.Second}, Weight: 1},
				{Name: "list", To: experiment.Destination{"": "shop"}, Request: experiment.Request{Method: "HEAD", Path: "/list"}, Weight: 3,
					Then: []experiment.Step{{Name: "next", Request: experiment.Request{Get: "/1"}}, {Name: "last", Request: experiment.Request{Get: "/2", Timeout: time.Second}, After: time.Millisecond}}},
			},
		},
		Chaos: []experiment.Event{
			{At: 20 * time.Second, On: "lb", Restart: &experiment.Restart{Downtime: time.Second}},
			{At: 5 * time.Second, For: 10 * time.Second, On: "a", Name: "storm", Errors: &toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.Select{Share: 0.5}}},
			{At: 5 * time.Second, For: time.Second, On: "lb", Pause: &experiment.Pause{}},
		},
		Limits: experiment.Limits{Allow: []string{"10.0.0.0/8", "127.0.0.0/8"},
			StopIf: []experiment.Stop{{SuccessBelow: 0.5, For: 5 * time.Second}, {Route: "pay", SuccessBelow: 0.1, For: time.Second}}},
	}
	for _, c := range []struct {
		section   string
		got, want [][]string
	}{
		{"targets", targetRows(x, map[string][]string{"api": {"10.0.0.7:80"}}), [][]string{
			{"any", "runs already", "https://any"},
			{"", "", "reached by TLS, taking any certificate"},
			{"api", "runs already", "http://api:80"},
			{"", "", "which is 10.0.0.7:80 now"},
			{"far", "runs already", "https://far"},
			{"", "", "reached by TLS, trusting /ca.pem, as shop.example, with the certificate /me.pem"},
			{"lb", "process", "haproxy -f ${dir}/lb.cfg"},
			{"", "", "listens on 127.0.0.1:81, ready by /healthz within 10s"},
			{"own", "process", "./own"},
			{"", "", "listens on a free port, ready by tcp within 1s"},
			{"shop", "reference frontend", "breaker=gobreaker, open=2s"},
			{"sys", "runs already", "https://sys"},
			{"", "", "reached by TLS, trusting the system's authorities"},
			{"", "", "speaks h2 or http1, whichever it chooses when the run begins"},
		}},
		{"links", linkRows(x), [][]string{
			{"a", "shop > lb", "listens on a free port"},
			{"b", "shop > api", "listens on 127.0.0.1:82"},
		}},
		{"load", loadRows(x.Load, &experiment.Inputs{}), [][]string{
			{"stage 1: to 1000/s over 30s, constant arrivals"},
			{"stage 2: hold 1m0s, constant arrivals"},
			{"stage 3: to 1000/s over 0s, hold 1s, constant arrivals"},
			{"1m31s in all, at most 64 connections per address"},                          // 30s + 60s + 1s
			{"route pay", "POST /pay", "to shop", "25% of the arrivals", "timeout 1s"},    // 1 of 1+3
			{"route list", "HEAD /list", "to shop", "75% of the arrivals", "timeout 10s"}, // 3 of 1+3
			{"  then next", "GET /1", "to shop", "due with the route", "timeout 10s"},
			{"  then last", "GET /2", "to shop", "due 1ms after the one before", "timeout 1s"},
		}},
		{"timeline", timelineRows(x), [][]string{ // by time; those of one time in the file's order
			{"5s", "to 15s", "a", "storm: errors 503 to 50%"},
			{"5s", "to 6s", "lb", "pause"},
			{"20s", "until ready", "lb", "restart after 1s"},
		}},
		{"limits", limitRows(x.Limits), [][]string{
			{"touches only", "10.0.0.0/8, 127.0.0.0/8"},
			{"stops if", "success of all routes together is below 50% for 5s"},
			{"stops if", "success of route \"pay\" is below 10% for 1s"},
		}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.section, diff)
		}
	}
}

func TestLoadRows(t *testing.T) {
	rows := func(l experiment.Load, in experiment.Inputs) (all []string) {
		l.Arrivals, l.Connections = "poisson", 8
		for _, r := range loadRows(l, &in) {
			all = append(all, r...)
		}
		return all
	}
	for _, c := range []struct {
		name string
		got  []string
		want []string
	}{
		{"spike", rows(experiment.Load{Spike: &experiment.Spike{From: 10, To: 2000, At: time.Second, For: 2 * time.Second}, Duration: 9 * time.Second}, experiment.Inputs{}),
			[]string{"10/s, but 2000/s from 1s to 3s, for 9s, poisson arrivals", "9s in all, at most 8 connections per address"}},
		{"sine, skipping", rows(experiment.Load{Sine: &experiment.Sine{Mean: 50, Amplitude: 20, Period: 2 * time.Second}, Duration: 9 * time.Second, WhenStalled: "skip"}, experiment.Inputs{}),
			[]string{"30/s to 70/s and back every 2s, for 9s, poisson arrivals", "9s in all, at most 8 connections per address", "when none of them is free, arrivals are not sent and count as unsent"}},
		{"replay of data", rows(experiment.Load{Replay: "/x.txt", Data: "/x.csv", WhenStalled: "burst", Burst: 5, InTurn: true, Timeout: time.Second, Routes: []experiment.Route{{Name: "a", To: experiment.Destination{"": "b"}, Request: experiment.Request{Get: "/"}}}},
			experiment.Inputs{Times: []time.Duration{0, 7 * time.Second}, Data: &wire.Table{Names: []string{"u", "v"}, Columns: [][]string{{"1"}, {"2"}}}}),
			[]string{"the 2 arrivals of /x.txt", "7s in all, at most 8 connections per address", "when none of them is free, 5 arrivals wait; others are not sent and count as unsent",
				"data of /x.csv: 1 rows of u, v", "route a", "GET /", "to b", "in turn", "timeout 1s"}},
		{"connections", rows(experiment.Load{Rate: 5, Duration: time.Second, Pipeline: 2, Streams: 3, RequestsPerConnection: 4, ConnectionLifetime: time.Minute, NewConnections: 6, Batch: time.Millisecond, Loops: 1, Poller: "epoll", Grace: time.Second}, experiment.Inputs{}),
			[]string{"5/s for 1s, poisson arrivals", "1s in all, at most 8 connections per address",
				"connections: 2 requests pipelined, 3 streams on each, closed after 4 requests, closed at about 1m0s, at most 6/s new ones, sent in batches of 1ms, 1 event loops, by epoll, 1s to finish"}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
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

// A plan of a soak says how it is cut, and one of another run nothing.
func TestPlanOfASoak(t *testing.T) {
	for every, want := range map[string]bool{"every: 10s, ": true, "": false} {
		x, err := experiment.Parse("x.yaml", []byte(`name: x
targets: {a: {url: "http://127.0.0.1:1"}, b: {url: "http://127.0.0.1:2"}}
links: {bank: {from: a, to: b}}
load: {rate: 10/s, duration: 1m, routes: [{name: pay, to: a, get: /}]}
chaos: [{at: 1s, for: 1s, `+every+`on: bank, partition: {}}]
claims: [{steady: {success: 99%}}]
`), experiment.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := writePlan(&out, "x.yaml", x, testbed.Preflight{}, nil); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "\nChapters\n  each is 10s long"); got != want {
			t.Errorf("%q: chapters are told: %v, want %v: %s", every, got, want, &out)
		}
	}
}
