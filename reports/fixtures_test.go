package reports

import (
	"math"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/series"
)

// fixtures are results as runs leave them, by the name of their golden files.
func fixtures() map[string]*result.Result {
	held := breakerRun(judge.Held)
	held.Series = shortView()
	held.Matrix = fallenMatrix()
	return map[string]*result.Result{
		"held":         held,
		"refuted":      breakerRun(judge.Refuted),
		"inconclusive": breakerRun(judge.Inconclusive),
		"partial":      partialRun(),
		"missing":      missingRun(),
		"unhealthy":    unhealthyRun(),
		"hostile":      hostileRun(),
		"course":       courseRun(),
		"empty":        {Schema: result.Schema, Name: "nothing", Harness: result.Harness{Healthy: true, Steal: -1}},
	}
}

// fallenMatrix has a cell of each kind, and links that nobody else mentions.
func fallenMatrix() *result.Matrix {
	return &result.Matrix{
		Links: []result.MatrixLink{
			{Link: "catalog", Nameless: 12, Routes: []result.MatrixCell{{Route: "pay", AtRisk: 40, Served: 40}}},
			{Link: "payments", Mixed: true, Routes: []result.MatrixCell{
				{Route: "pay", Calls: 4605, PerRequest: 0.614, AtRisk: 2500, Served: 12}, {Route: "browse", AtRisk: 2500, Served: 0}}},
			{Link: "stock", Routes: []result.MatrixCell{{Route: "browse", Calls: 7500, PerRequest: 1}}},
		},
		LockStep: []result.LockStep{{Link: "payments", Routes: []string{"pay", "browse"}, Without: []string{"browse"}}},
		Shared:   []result.Shared{{Target: "bank", From: []string{"admin", "checkout"}, Links: []string{"payments", "stock"}}},
	}
}

// breakerRun is a run of a breaker whose second claim was ruled so.
func breakerRun(ruling judge.Ruling) *result.Result {
	r := &result.Result{
		Dir:     "runs/checkout-breaker-20261123T231502",
		Schema:  result.Schema,
		Name:    "checkout-breaker",
		File:    "examples/breaker.yaml",
		About:   "Checkout stops calling payments once it fails, and comes back by itself.",
		Seed:    7,
		Started: time.Date(2026, 11, 23, 23, 15, 2, 0, time.UTC),
		Seconds: 30,
		Ruling:  ruling,
		Verdicts: []judge.Verdict{
			{
				Claim: "route pay: at least 99.9% succeed, p99 within 50ms", Kind: "steady", Ruling: judge.Held, Name: "steady: route pay", Line: 23,
				Reason:  "2,500 requests before the first fault: 100% succeeded, p99 4.2ms.",
				Numbers: judge.Numbers{{Name: "requests", Value: 2500}, {Name: "success_pct", Value: 100}, {Name: "p99_ms", Value: 4.2}},
			},
			breakerVerdict(ruling),
		},
		Routes: []result.Route{
			{
				Name: "pay", Requests: 7500, Success: 61.2,
				Outcomes: map[string]uint64{"ok": 4590, "5xx": 2898, "timed_out": 12},
				Response: result.Spread{P50: 1.21, P90: 3, P99: 9.04, P999: 20, Max: 10003},
				Service:  result.Spread{P50: 1.1, P90: 2.9, P99: 8.8, P999: 19, Max: 10001},
			},
			{
				Name: "browse", Requests: 7500, Success: 100, Outcomes: map[string]uint64{"ok": 7500},
				Response: result.Spread{P50: 0.42, P90: 0.6, P99: 1.9, P999: 3, Max: 31.4},
				Service:  result.Spread{P50: 0.4, P90: 0.5, P99: 1.8, P999: 2.9, Max: 31},
			},
		},
		Links: []result.Link{{
			Name: "payments", From: "checkout", To: "payments", Exchanges: 4605, InFlight: 9,
			Endings:  map[string]uint64{"answered": 4590, "injected": 15},
			Statuses: map[string]uint64{"200": 4590, "503": 15},
			Duration: result.Spread{P50: 0.2, P90: 0.3, P99: 0.9, P999: 1.5, Max: 4},
		}},
		Faults: []result.Fault{
			{Name: "errors 503 on payments", Kind: "errors", On: "payments", Injected: 5.0004, Healed: 15.0012, Hit: 15},
		},
		Harness: result.Harness{
			Healthy: true, Offered: 15000, Sent: 15000,
			SendLag:   result.Spread{P50: 0.012, P90: 0.1, P99: 0.4, P999: 1, Max: 3.1},
			HiccupP99: 0.2, HiccupMax: 4.4, CPU: 0.314, Steal: 0.02, Pressure: 0.08,
		},
	}
	return r
}

func breakerVerdict(ruling judge.Ruling) judge.Verdict {
	v := judge.Verdict{Claim: "breaker on payments: opens within 1s, waits 2s, 1 probe, rejects within 10ms, closes within 3s", Kind: "breaker", Ruling: ruling,
		Name: "checkout-breaks", Line: 24}
	switch ruling {
	case judge.Held:
		v.Reason = "It opened 14ms after the injection, after 5 failures; none of 980 calls reached payments while open; probes went through at 7.02s, 9.03s, 11.03s and 13.04s, one at a time; it closed 0.04s after the healing."
		v.Numbers = judge.Numbers{{Name: "opened_after_ms", Value: 14.2}, {Name: "failures", Value: 5}, {Name: "calls_while_open", Value: 0}, {Name: "probes", Value: 5}, {Name: "wait_min_ms", Value: 2003}, {Name: "rejects_p99_ms", Value: 1.9}, {Name: "closed_after_s", Value: 0.04}}
	case judge.Refuted:
		v.Reason = "37 calls reached payments while it was open, between 5.6s and 7.0s; none was due before 7.02s."
		v.Numbers = judge.Numbers{{Name: "calls_while_open", Value: 37}, {Name: "opened_after_ms", Value: 14.2}}
		v.Parts = breakerParts()
		for id := uint64(2801); id <= 2820; id++ {
			v.IDs = append(v.IDs, id)
		}
	case judge.Inconclusive:
		v.Reason = "It was never seen open: only 3 calls failed while the fault was in force, and 5 in a row are needed. Raise the rate of route pay or the fault's share."
		v.Numbers = judge.Numbers{{Name: "failures", Value: 3}}
		v.IDs = []uint64{2801, 2950, 3307}
	}
	return v
}

// breakerParts has a part of each kind.
func breakerParts() []judge.Part {
	return []judge.Part{
		{Name: "failures", Reason: "opened after 5 failures (at most 10 claimed)", Seen: &judge.Interval{Low: 5, High: 5}, Allowed: &judge.Bound{Low: math.Inf(-1), High: 10}, Sample: 1},
		{Name: "silent", Ruling: judge.Refuted, Reason: "37 calls reached payments while it was open, between 5.6s and 7.0s, at most 0 claimed", Seen: &judge.Interval{Low: 37, High: 37},
			Allowed: &judge.Bound{Low: math.Inf(-1), High: 0}, Sample: 980, IDs: []uint64{2801, 2802}},
		{Name: "waits", Ruling: judge.Inconclusive, Reason: "probe after 1.4 s: it cannot be told whether 1.9 s to 2.1 s was kept, because the figure may be 1.2 s to 2.4 s, hidden by 400 ms of noise: " +
			"run it on a machine of its own", Unit: "ms", Seen: &judge.Interval{Low: 1200, High: 2400}, Allowed: &judge.Bound{Low: 1900, High: 2100}, Sample: 2},
		{Name: "probes", Note: true, Reason: "1 probe at a time", Seen: &judge.Interval{Low: 1, High: 1}, Sample: 4},
	}
}

// missingRun lacks two of its three faults.
func missingRun() *result.Result {
	r := breakerRun(judge.Held)
	r.Faults = append(r.Faults,
		result.Fault{Name: "exec cut-power on bank", Kind: "exec", On: "bank", Injected: -1, Healed: -1, Error: "inject exec cut-power: exit status 3"},
		result.Fault{Name: "errors 500 to POST /refund on payments", Kind: "errors", On: "payments", Injected: 17, Healed: 19},
	)
	r.Missing = []string{
		"fault exec cut-power on bank was not injected: exit status 3",
		"fault errors 500 to POST /refund on payments hit none of the 998 calls that came over payments while it was in force",
	}
	for i, v := range r.Verdicts {
		r.Verdicts[i] = v.Lacking(r.Missing)
	}
	r.Ruling = judge.Inconclusive
	return r
}

func partialRun() *result.Result {
	r := breakerRun(judge.Inconclusive)
	r.Warmup = &result.Warmup{Seconds: 5, Requests: 2500, Success: 99.96, P50: 3.1, P99: 412}
	r.Partial, r.Stopped, r.Seconds = true, "stopped by interrupt", 12.34
	r.Verdicts = append(r.Verdicts, judge.Verdict{Claim: "route browse recovers within 5s", Kind: "recovery", Ruling: judge.Refuted,
		Reason: "Goodput was 41% of the baseline 5s after the healing."})
	r.Ruling = judge.Refuted
	r.Faults = append(r.Faults,
		result.Fault{Name: "partition of payments", Kind: "partition", On: "payments", Injected: -1, Healed: -1},
		result.Fault{Name: "restart of checkout", Kind: "restart", On: "checkout", Injected: 11.5, Healed: -1, Hit: 1},
		result.Fault{Name: "latency 2s on a route that nothing takes", Kind: "latency", On: "payments", Injected: 2, Healed: 4},
		result.Fault{Name: "hang to 100%, at most 40 at a time on payments", Kind: "hang", On: "payments", Injected: 6, Healed: 7, Hit: 52, Overflow: 1312},
		result.Fault{Name: "pause of checkout", Kind: "pause", On: "checkout", Injected: -1, Healed: -1, Error: "inject pause of checkout: no such process"},
	)
	return r
}

func unhealthyRun() *result.Result {
	r := breakerRun(judge.Inconclusive)
	r.Dir = "/var/lib/runs of tonight/it's-late"
	r.Verdicts[0].Despite = "requests were sent late, but nothing in it counts from when they were due"
	r.Harness = result.Harness{
		Problems: []string{"send lag p99 was 310ms in second 7, and 20ms is the most that rulings bear", "1,204 arrivals were never sent"},
		Effect:   "of 2 claims 1 stands all the same, 1 is inconclusive",
		Offered:  15000, Sent: 13796, Unsent: 1204,
		SendLag:   result.Spread{P50: 2, P90: 50, P99: 310, P999: 500, Max: 1234},
		HiccupP99: 88, HiccupMax: 412, CPU: 1.98, Steal: -1, Pressure: 0.08, Lost: 12,
	}
	return r
}

// hostileRun has bytes in it that a system under test chose: they must neither
// reach a terminal nor break XML.
func hostileRun() *result.Result {
	evil := "evil \x1b[2J\x07\x00 <b>&\"'\r\n\xff ]]> name"
	claim := judge.Verdict{Claim: "claim " + evil, Kind: "retry", Ruling: judge.Refuted, Reason: "because " + evil,
		Numbers: judge.Numbers{{Name: "n" + evil, Value: 1}}, IDs: []uint64{1}}
	return &result.Result{
		Schema: result.Schema, Name: evil, About: evil, Ruling: judge.Refuted, Dir: "runs/" + evil, Seconds: 1,
		Verdicts: []judge.Verdict{claim, claim},
		Routes:   []result.Route{{Name: evil, Requests: 1, Outcomes: map[string]uint64{evil: 1}}},
		Links:    []result.Link{{Name: evil, From: evil, To: evil, Endings: map[string]uint64{evil: 1}, Statuses: map[string]uint64{evil: 1}}},
		Matrix:   evilMatrix(evil),
		Faults:   []result.Fault{{Name: evil, On: evil, Error: evil}},
		Harness:  result.Harness{Problems: []string{evil}},
		Partial:  true, Stopped: evil,
	}
}

// evilMatrix has a name wherever one may be.
func evilMatrix(evil string) *result.Matrix {
	return &result.Matrix{
		Links:    []result.MatrixLink{{Link: evil, Nameless: 1, Routes: []result.MatrixCell{{Route: evil, AtRisk: 1}}}},
		LockStep: []result.LockStep{{Link: evil, Routes: []string{evil}, Without: []string{evil}}},
		Shared:   []result.Shared{{Target: evil, From: []string{evil}, Links: []string{evil}}},
	}
}

// markup is what a system under test may write to be more than text: where a
// pipeline shows it.
const markup = "x | y `z` <script>alert(1)</script> &lt; @octocat \n| a |\n# h #12 !7 [l](http://e) ![i](i.png) https://e.org www.e.org " +
	"**b** _i_ ~~s~~ $m$ \\| <!-- </details> ::error::boom 100%,a:b\r\n::warning file=a::boom"

// markupRun has such text wherever there is text of others.
func markupRun() *result.Result {
	r := hostileRun()
	r.Name, r.About, r.File, r.Dir, r.Stopped = markup, markup, markup, markup, markup
	for i := range r.Verdicts {
		v := &r.Verdicts[i]
		v.Claim, v.Kind, v.Name, v.Reason, v.Line, v.Numbers[0].Name, v.Despite = markup, markup, markup, markup, 3, markup, markup
		v.Parts = []judge.Part{{Name: markup, Reason: markup}}
	}
	r.Routes[0].Name, r.Routes[0].Outcomes = markup, map[string]uint64{markup: 1}
	r.Links[0] = result.Link{Name: markup, From: markup, To: markup, Endings: map[string]uint64{markup: 1}, Statuses: map[string]uint64{markup: 1}}
	r.Matrix = evilMatrix(markup)
	r.Faults[0] = result.Fault{Name: markup, On: markup, Error: markup}
	r.Harness.Problems, r.Notes, r.Missing = []string{markup}, []string{markup}, []string{markup}
	return r
}

// courseRun has what it was over its length: 500/s, of which all fail from 5 s to
// 15 s, and nothing at all ends from 20 s on.
func courseRun() *result.Result {
	r := breakerRun(judge.Held)
	s := &series.Series{To: evidence.Seconds(29500 * time.Millisecond), Step: 1, Outcomes: map[string][]uint64{}}
	for i := range 30 {
		ended, ok, p99 := uint64(500), uint64(500), new(float64)
		*p99 = 4
		if i >= 5 && i < 15 {
			ok, *p99 = 0, 250
		}
		if i >= 20 {
			ended, ok, p99 = 0, 0, nil
		}
		s.Ended, s.Outcomes["ok"] = append(s.Ended, ended), append(s.Outcomes["ok"], ok)
		s.Response.P99 = append(s.Response.P99, p99)
	}
	r.Series = &series.View{Whole: s}
	return r
}
