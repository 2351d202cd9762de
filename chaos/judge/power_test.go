package judge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// planOf is a plan at a constant rate: one route, pay, over one link, payments.
func planOf(rate float64, end time.Duration, faults ...PlannedFault) Plan {
	p := Plan{End: end, RateKey: "load.rate", LengthKey: "load.duration", Faults: faults}
	p.Due = func(from, to time.Duration) float64 { return rate * max(0, min(to, end)-from).Seconds() }
	p.Routes = []PlannedRoute{{Name: "pay", To: "checkout", Method: "GET", Timeout: 10 * time.Second, Share: 1, Path: "load.routes[0]"}}
	p.Links = map[string]PlannedLink{"payments": {From: "checkout", To: "bank", Patience: time.Second, Service: 2 * ms}}
	for i := range p.Faults {
		p.Faults[i].Index = i
	}
	return p
}

// faultOf is a fault on payments that takes every call.
func faultOf(kind string, at, lasts time.Duration, change ...func(*PlannedFault)) PlannedFault {
	f := PlannedFault{Injection: evidence.Injection{Kind: kind, On: "payments", Share: 1, Injected: at, Healed: at + lasts,
		At: evidence.Seconds(at), For: evidence.Seconds(lasts)}}
	if kind == "errors" {
		f.Statuses = []int{503}
	}
	for _, c := range change {
		c(&f)
	}
	return f
}

func status(list ...int) func(*PlannedFault) { return func(f *PlannedFault) { f.Statuses = list } }
func delay(d time.Duration) func(*PlannedFault) {
	return func(f *PlannedFault) { f.Delay = evidence.Seconds(d) }
}

// Each row is a plan at the edge of what it can decide: a little to one side it
// is warned of, a little to the other it is not.
func TestPower(t *testing.T) {
	const s = time.Second
	breaker := Breaker{Link: "payments", Route: "pay", Failures: 5, Waits: s, Probes: 1, ClosesWithin: 2 * s}
	backoff := Backoff{Link: "payments", Base: 100 * ms, Factor: 2, Jitter: 0.5, Law: "add"}
	retry := Retry{Link: Links{"payments"}, Attempts: 3, On: []int{503, 429}}
	outage := func(lasts time.Duration) []PlannedFault {
		return []PlannedFault{faultOf("errors", 2*s, lasts), faultOf("latency", 2100*ms, lasts-100*ms, delay(40*ms))}
	}
	with := func(p Plan, change func(*Plan)) Plan { change(&p); return p }
	foreign := func(p Plan) Plan {
		return with(p, func(p *Plan) { p.Links["payments"] = PlannedLink{From: "checkout", To: "bank"} })
	}
	partly := func(share float64) PlannedFault {
		return faultOf("errors", 2*s, s, func(f *PlannedFault) { f.Share = share })
	}
	keyedBy := func(share float64) func(*Plan) {
		return func(p *Plan) {
			keyed := p.Routes[0]
			keyed.Name, keyed.Keyed, keyed.Share = "keyed", true, share
			p.Routes[0].Share = 1 - share
			p.Routes = append(p.Routes, keyed)
		}
	}
	for _, c := range []struct {
		name  string
		claim Planned
		plan  Plan
		parts string // with the keys to turn
	}{
		{"steady, 30 requests", Steady{Success: 0.9}, planOf(30, s), ""},
		{"steady, 29 requests", Steady{Success: 0.9}, planOf(29, s), " (load.duration)"},
		{"steady, 29 before a fault", Steady{Success: 0.9}, planOf(29, 9*s, faultOf("errors", s, s)), " (chaos[0].at)"},

		{"breaker", breaker, planOf(300, 9*s, outage(3*s)...), ""},
		{"20 requests while it waits, 1 in 5% of it", Breaker{Link: "payments", Route: "pay", Waits: s}, planOf(20, 20*s, outage(9*s)...),
			"waits (load.rate)"},
		{"40 requests while it waits, 2 in 5% of it", Breaker{Link: "payments", Route: "pay", Waits: s}, planOf(40, 20*s, outage(9*s)...), ""},
		{"19 requests while it waits", Breaker{Link: "payments", Route: "pay", Waits: s}, planOf(19, 20*s, outage(9*s)...), " (load.rate)"},
		{"10 calls fail", breaker, planOf(100, 9*s, faultOf("errors", 2*s, 100*ms)), "probes (chaos[0].for)"},
		{"9 calls fail", breaker, planOf(100, 9*s, faultOf("errors", 2*s, 90*ms)), " (chaos[0].for)"},
		// It opens 17 ms after the fault began, waits for 1 s, and its probe takes 40 ms.
		{"the probe fails in time", breaker, planOf(300, 9*s, outage(1100*ms)...), ""},
		{"the fault is healed as the probe comes", breaker, planOf(300, 9*s, outage(1020*ms)...), "probes (chaos[0].for)"},
		{"a probe that fails at once", breaker, planOf(300, 9*s, faultOf("errors", 2*s, 3*s)), "probes ()"},
		{"the same, probes not claimed", Breaker{Link: "payments", Route: "pay", Waits: s}, planOf(300, 9*s, faultOf("errors", 2*s, 3*s)), ""},
		{"299 rejected", Breaker{Link: "payments", Route: "pay", RejectsWithin: 9 * ms}, planOf(100, 9*s, faultOf("errors", 2*s, 3*s)),
			"rejects_within (chaos[0].for)"},
		{"301 rejected", Breaker{Link: "payments", Route: "pay", RejectsWithin: 9 * ms}, planOf(100, 9*s, faultOf("errors", 2*s, 3020*ms)), ""},
		{"a latency that is no failure", breaker, planOf(300, 9*s, faultOf("latency", 2*s, 3*s, delay(900*ms))), " ()"},
		{"a latency that is one", Breaker{Link: "payments", Route: "pay", OpensWithin: 2 * s},
			planOf(300, 9*s, faultOf("latency", 2*s, 3*s, delay(s))),
			""},
		{"a partition, and nobody knows how long callers wait", Breaker{Link: "payments", Route: "pay", OpensWithin: s, Probes: 1},
			foreign(planOf(300, 9*s, faultOf("partition", 2*s, 3*s))), ""},
		{"closing, 2.3 s after the healing", breaker, planOf(300, 7300*ms, outage(3*s)...), ""},
		{"closing, 2.2 s after the healing", breaker, planOf(300, 7200*ms, outage(3*s)...), "closes_within (load.duration)"},
		{"closing before the next fault", breaker, planOf(300, 20*s, append(outage(3*s), faultOf("errors", 7*s, s))...),
			"closes_within (chaos[2].at)"},
		{"half of the calls fail", breaker, planOf(300, 9*s, faultOf("errors", 2*s, 3*s, func(f *PlannedFault) { f.Share = 0.5 }),
			faultOf("latency", 2100*ms, 2*s, delay(40*ms))), "failures (chaos[0].errors.share)"},
		{"999/s × 1 ms: one by one", breaker, planOf(999, 9*s, outage(3*s)...), ""},
		{"1,000/s × 1 ms", breaker, planOf(1000, 9*s, outage(3*s)...), "failures ()"},
		{"slow failures, 300/s × 40 ms", breaker, planOf(300, 9*s, faultOf("errors", 2*s, 3*s), faultOf("latency", 2*s, 3*s, delay(40*ms))),
			"failures ()"},
		{"404 before", Breaker{Link: "payments", Route: "pay", Ignores: []int{404}},
			planOf(300, 9*s, append(outage(3*s), faultOf("errors", s, s, status(404)))...), ""},
		{"404 right after", Breaker{Link: "payments", Route: "pay", Waits: s, Ignores: []int{404}},
			planOf(300, 9*s, append(outage(3*s), faultOf("errors", 5*s, s, status(404)))...), "ignores[0] (chaos[2].at)"},
		{"404 once it has closed", Breaker{Link: "payments", Route: "pay", Waits: s, Ignores: []int{404}},
			planOf(300, 9*s, append(outage(3*s), faultOf("errors", 6*s, s, status(404)))...), ""},
		{"404 among 500", Breaker{Link: "payments", Route: "pay", Ignores: []int{404}},
			planOf(300, 9*s, append(outage(3*s), faultOf("errors", s, s, status(404, 500)))...), "ignores[0] ()"},

		{"retry", retry, planOf(10, 9*s, faultOf("errors", 2*s, s)), ""},
		{"9 calls to retry", retry, planOf(9, 9*s, faultOf("errors", 2*s, s)), "attempts (chaos[0].for)"},
		{"half of them in on", retry, planOf(19, 9*s, faultOf("errors", 2*s, s, status(503, 400))), "attempts (chaos[0].for)"},
		{"resets are retried", retry, planOf(100, 9*s, faultOf("reset", 2*s, s)), ""},
		{"a partition, retried nobody knows when", retry, foreign(planOf(100, 9*s, faultOf("partition", 2*s, s))), ""},
		{"400 in never", Retry{Link: Links{"payments"}, Never: []int{400}, On: []int{503}},
			planOf(100, 9*s, faultOf("errors", 2*s, s), faultOf("errors", 4*s, 50*ms, status(400))), ""},
		{"400 in never, 4 of them", Retry{Link: Links{"payments"}, Never: []int{400}, On: []int{503}},
			planOf(100, 9*s, faultOf("errors", 2*s, s), faultOf("errors", 4*s, 40*ms, status(400))), "never[0] ()"},
		// The third attempt comes after 125 and 250 ms: 425 − 375 are 50 ms, in which 5 calls begin.
		{"the third attempt fails", retry, with(planOf(100, 9*s, faultOf("errors", 2*s, 425*ms)), func(p *Plan) { p.Claims = []Claim{backoff} }),
			""},
		{"the third attempt comes too late", retry,
			with(planOf(100, 9*s, faultOf("errors", 2*s, 415*ms)), func(p *Plan) { p.Claims = []Claim{backoff} }), "attempts (chaos[0].for)"},
		{"callers who leave before", retry, with(planOf(100, 9*s, faultOf("errors", 2*s, 2*s)), func(p *Plan) {
			p.Claims, p.Routes[0].Timeout = []Claim{backoff}, 375*ms
		}), "attempts (load.timeout)"},
		{"POST without a key", retry, with(planOf(100, 9*s, faultOf("errors", 2*s, s)), func(p *Plan) { p.Routes[0].Method = "POST" }),
			"attempts ()"},
		{"POST with a key", retry,
			with(planOf(100, 9*s, faultOf("errors", 2*s, s)), func(p *Plan) { p.Routes[0].Method, p.Routes[0].Keyed = "POST", true }), ""},

		{"two instances, two links would tell", Breaker{Link: "payments", Route: "pay", Failures: 5, Instances: 2}, planOf(300, 9*s, outage(3*s)...), "failures ()"},
		{"three instances, 29 calls fail", Breaker{Link: "payments", Route: "pay", Failures: 5, Waits: s, Instances: 3},
			planOf(100, 9*s, faultOf("errors", 2*s, 290*ms)), " (chaos[0].for)"},
		{"three instances, 30 calls fail", Breaker{Link: "payments", Route: "pay", Waits: s, Failures: 5, Instances: 3},
			planOf(100, 9*s, faultOf("errors", 2*s, 300*ms)), "failures ()"},
		{"cumulative, and latency is over with the errors", Breaker{Link: "payments", Route: "pay", Waits: s, Probes: 3, Probing: "cumulative"},
			planOf(300, 9*s, outage(3*s)...), "probes ()"},
		{"cumulative, and latency outlasts the wait by a little", Breaker{Link: "payments", Route: "pay", Waits: s, Probes: 3, Probing: "cumulative"},
			planOf(300, 9*s, faultOf("errors", 2*s, 3*s), faultOf("latency", 2100*ms, 3910*ms, delay(40*ms))), ""},
		{"cumulative, and latency does not outlast the wait", Breaker{Link: "payments", Route: "pay", Waits: s, Probes: 3, Probing: "cumulative"},
			planOf(300, 9*s, faultOf("errors", 2*s, 3*s), faultOf("latency", 2100*ms, 3890*ms, delay(40*ms))), "probes ()"},

		{"a budget of 20%, 30% fail", Retry{Link: Links{"payments"}, On: []int{503}, Budget: 0.2}, planOf(101, 9*s, partly(0.3)), ""},
		{"a budget of 20%, 29% fail", Retry{Link: Links{"payments"}, On: []int{503}, Budget: 0.2}, planOf(200, 9*s, partly(0.29)), "budget (chaos[0].errors.share)"},
		{"a budget of 20%, 9 refused", Retry{Link: Links{"payments"}, On: []int{503}, Budget: 0.2}, planOf(90, 9*s, partly(0.3)), "budget (chaos[0].for)"},
		{"a budget of nothing", Retry{Link: Links{"payments"}, On: []int{503}, Budget: 0.2}, planOf(90, 9*s), " (), budget ()"},
		{"same key, 5 fail", Retry{Link: Links{"payments"}, On: []int{503}, SameKey: true},
			with(planOf(20, 9*s, faultOf("errors", 2*s, s)), keyedBy(0.25)), ""},
		{"same key, 4 fail", Retry{Link: Links{"payments"}, On: []int{503}, SameKey: true},
			with(planOf(20, 9*s, faultOf("errors", 2*s, s)), keyedBy(0.2)), "same_key (chaos[0].for)"},
		{"same key, and none has one", Retry{Link: Links{"payments"}, On: []int{503}, SameKey: true}, planOf(20, 9*s, faultOf("errors", 2*s, s)), "same_key ()"},
		// Twice 125 and twice 250 ms are 750 ms at most.
		{"callers who stay longer than three attempts", Retry{Link: Links{"payments"}, Attempts: 3, On: []int{503}, Deadline: true},
			with(planOf(100, 9*s, faultOf("errors", 2*s, 2*s)), func(p *Plan) { p.Claims, p.Routes[0].Timeout = []Claim{backoff}, 751*ms }),
			"deadline (load.timeout)"},
		{"callers who leave before the third attempt", Retry{Link: Links{"payments"}, Attempts: 3, On: []int{503}, Deadline: true},
			with(planOf(100, 9*s, faultOf("errors", 2*s, 2*s)), func(p *Plan) { p.Claims, p.Routes[0].Timeout = []Claim{backoff}, 749*ms }), ""},
		{"linear, and no second waits", Backoff{Link: "payments", Base: 100 * ms, Law: "linear"}, planOf(1000, 9*s, faultOf("errors", 2*s, 100*ms)), "law (chaos[0].for)"},
		{"linear", Backoff{Link: "payments", Base: 100 * ms, Law: "linear"}, planOf(1000, 9*s, faultOf("errors", 2*s, 300*ms)), ""},
		{"decorrelated, and no second waits", Backoff{Link: "payments", Base: 100 * ms, Law: "decorrelated"},
			planOf(1000, 9*s, faultOf("errors", 2*s, 210*ms)), "law (chaos[0].for)"},
		{"decorrelated", Backoff{Link: "payments", Base: 100 * ms, Law: "decorrelated"}, planOf(1000, 9*s, faultOf("errors", 2*s, 300*ms)), ""},

		// First retries wait 125 ms: 500 − 125 = 375 ms, in which 37 calls begin.
		{"backoff", backoff, planOf(400, 9*s, faultOf("errors", 2*s, 500*ms)), ""},
		{"149 first waits", backoff, planOf(298, 9*s, faultOf("errors", 2*s, 500*ms)), "law (chaos[0].for)"},
		{"74 second waits", backoff, planOf(592, 9*s, faultOf("errors", 2*s, 250*ms)), "factor (chaos[0].for), law (chaos[0].for)"},
		{"199 first waits, and no others", Backoff{Link: "payments", Base: 125 * ms, Law: "constant", Jitter: 0.5},
			planOf(1592, 9*s, faultOf("errors", 2*s, 125*ms)), "jitter (chaos[0].for)"},
		{"49 first waits", backoff, planOf(100, 9*s, faultOf("errors", 2*s, 490*ms)), "base (chaos[0].for)"},
		{"no second waits", backoff, planOf(2000, 9*s, faultOf("errors", 2*s, 125*ms)), "factor (chaos[0].for)"},
		{"spread over 9 ms", Backoff{Link: "payments", Base: 18 * ms, Law: "constant", Jitter: 0.5}, planOf(100, 9*s, faultOf("errors", 2*s, s)),
			"jitter ()"},
		{"spread over 10 ms", Backoff{Link: "payments", Base: 20 * ms, Law: "constant", Jitter: 0.5},
			planOf(200, 9*s, faultOf("errors", 2*s, s)), ""},
		{"spread over 9 ms, and more later", Backoff{Link: "payments", Base: 18 * ms, Factor: 2, Jitter: 0.5},
			planOf(200, 9*s, faultOf("errors", 2*s, s)), ""},
		{"a cap that the last wait reaches", Backoff{Link: "payments", Base: 100 * ms, Factor: 2, Cap: 200 * ms, Law: "add"},
			with(planOf(1000, 9*s, faultOf("errors", 2*s, 3*s)), func(p *Plan) { p.Claims = []Claim{Retry{Link: Links{"payments"}, Attempts: 3}} }),
			"factor (), cap ()"},
		{"a cap that one wait more shows", Backoff{Link: "payments", Base: 100 * ms, Factor: 2, Cap: 200 * ms, Law: "add"},
			with(planOf(1000, 9*s, faultOf("errors", 2*s, 3*s)), func(p *Plan) { p.Claims = []Claim{Retry{Link: Links{"payments"}, Attempts: 4}} }), ""},
		{"a cap beyond the attempts", Backoff{Link: "payments", Base: 100 * ms, Factor: 2, Cap: s, Law: "add"},
			with(planOf(1000, 9*s, faultOf("errors", 2*s, 3*s)), func(p *Plan) { p.Claims = []Claim{retry} }), "factor (), cap ()"},
		{"a Retry-After that is not retried", Backoff{Link: "payments", Base: 100 * ms, Law: "constant", RetryAfter: true},
			planOf(1000, 9*s, faultOf("errors", 2*s, s), faultOf("errors", 4*s, s, status(400), func(f *PlannedFault) { f.RetryAfter = s })),
			"retry_after ()"},
		{"a Retry-After beyond the end", Backoff{Link: "payments", Base: 100 * ms, Law: "constant", RetryAfter: true},
			planOf(1000, 9*s, faultOf("errors", 2*s, s), faultOf("errors", 8*s, 900*ms, func(f *PlannedFault) { f.RetryAfter = s })),
			"retry_after (chaos[1].for)"},
		{"a reset of 30 calls", Backoff{Link: "payments", Base: 100 * ms, Law: "constant", Herd: 4},
			with(planOf(300, 9*s, faultOf("errors", 2*s, s), faultOf("reset", 5*s, 20*ms)),
				func(p *Plan) { p.Links["payments"] = PlannedLink{From: "checkout", To: "bank", Service: 100 * ms} }), ""},
		{"a reset of 2 calls", Backoff{Link: "payments", Base: 100 * ms, Law: "constant", Herd: 4},
			planOf(1000, 9*s, faultOf("errors", 2*s, s), faultOf("reset", 5*s, 20*ms)), "herd (load.rate)"},

		{"bulkhead of 40, 40 in progress", Bulkhead{Link: "payments", Route: "pay", Limit: 40},
			planOf(100, 9*s, faultOf("latency", 2*s, 3*s, delay(400*ms))), ""},
		{"bulkhead of 40, 39 in progress", Bulkhead{Link: "payments", Route: "pay", Limit: 40},
			planOf(100, 9*s, faultOf("latency", 2*s, 3*s, delay(390*ms))), "limit (chaos[0].latency.delay)"},
		{"a partition that callers leave after 1 s", Bulkhead{Link: "payments", Route: "pay", Limit: 101},
			planOf(100, 9*s, faultOf("partition", 2*s, 3*s)), "limit (load.rate)"},
		{"30 refused", Bulkhead{Link: "payments", Route: "pay", Limit: 90, RejectsWithin: 9 * ms},
			planOf(100, 9*s, faultOf("partition", 2*s, 3*s)), ""},
		{"15 refused", Bulkhead{Link: "payments", Route: "pay", Limit: 95, RejectsWithin: 9 * ms},
			planOf(100, 9*s, faultOf("partition", 2*s, 3*s)), "rejects_within (load.rate)"},
		{"freed too late to see", Bulkhead{Link: "payments", Route: "pay", Limit: 40, FreedWithin: s},
			planOf(100, 6400*ms, faultOf("partition", 2*s, 3*s)), "freed_within (load.duration)"},
		{"freed, of which nobody wrote", Bulkhead{Link: "payments", Route: "pay", Limit: 40},
			planOf(100, 6400*ms, faultOf("partition", 2*s, 3*s)), ""},
		{"freed within 5 s, of which 1.4 s are left", Bulkhead{Link: "payments", Route: "pay", Limit: 40, FreedWithin: 5 * s},
			planOf(100, 6400*ms, faultOf("partition", 2*s, 3*s)), "freed_within (load.duration)"},

		{"fanout, 120 requests", Fanout{Route: "pay", Calls: 6}, planOf(40, 3*s), ""},
		{"fanout, 117 requests", Fanout{Route: "pay", Depth: 2}, planOf(39, 3*s), "depth (load.rate)"},
		{"fanout, 117 before a fault", Fanout{Route: "pay", Repeats: 1}, planOf(39, 9*s, faultOf("errors", 3*s, s)), "repeats (chaos[0].at)"},
		{"fanout, 60 of one of its routes", Fanout{Route: "pay", Calls: 6, Growth: 0.1, Of: map[string]int{"pay10": 10, "pay40": 40}},
			with(planOf(100, 3*s), func(p *Plan) {
				p.Routes = nil
				for name, share := range map[string]float64{"pay": 0.4, "pay10": 0.4, "pay40": 0.2} {
					p.Routes = append(p.Routes, PlannedRoute{Name: name, To: "checkout", Share: share})
				}
			}), "growth (load.rate)"},

		{"stands, 460 in each way", Stands{Without: "payments", Routes: []string{"pay"}},
			planOf(230, 9*s, faultOf("errors", s, 2*s), faultOf("hang", 5*s, 2*s)), ""},
		{"stands, 450 hang", Stands{Without: "payments", Routes: []string{"pay"}},
			planOf(225, 9*s, faultOf("errors", s, 3*s), faultOf("hang", 5*s, 2*s)), "routes[0] (chaos[1].for)"},
		{"stands of 90%, 40 are enough", Stands{Without: "payments", Routes: []string{"pay"}, Success: 0.9}, planOf(42, 9*s, faultOf("hang", 5*s, s)), ""},
		{"stands, half of the calls hang", Stands{Without: "payments", Routes: []string{"pay"}},
			planOf(500, 9*s, faultOf("hang", 5*s, 2*s, func(f *PlannedFault) { f.Share = 0.5 })), " (chaos)"},
		{"stands, only slowed down", Stands{Without: "payments", Routes: []string{"pay"}}, planOf(500, 9*s, faultOf("latency", 5*s, 2*s, delay(s))), " (chaos)"},

		{"alert", Alert{FiresWithin: s, ResolvesWithin: 2 * s}, planOf(100, 9*s, faultOf("errors", 2*s, 2*s)), ""},
		{"alert that has no time", Alert{FiresWithin: 2 * s}, planOf(100, 9*s, faultOf("errors", 2*s, 2*s)), "fires_within (chaos[0].for)"},
		{"alert that has no time to resolve", Alert{ResolvesWithin: 5 * s}, planOf(100, 9*s, faultOf("errors", 2*s, 2*s)), "resolves_within (load.duration)"},
		{"alert of nothing", Alert{FiresWithin: s}, planOf(100, 9*s), " (chaos)"},
		{"slo, 2995 requests", SLO{Success: 0.999}, planOf(499.2, 6*s), ""},
		{"slo, 2994 requests", SLO{Success: 0.999}, planOf(499, 6*s), "success (load.duration)"},
		{"slo, sure of less", SLO{Success: 0.999, Confidence: 0.8}, planOf(270, 6*s), ""},
		{"effects, 24 are delivered twice", Effects{At: Links{"payments"}, Route: "pay"}, planOf(24, 9*s, faultOf("drop_response", 2*s, s)), ""},
		{"effects, 23 are delivered twice", Effects{At: Links{"payments"}, Route: "pay"}, planOf(23, 9*s, faultOf("drop_response", 2*s, s)), "exactly (chaos[0].for)"},
		{"effects, nothing is delivered twice", Effects{At: Links{"payments"}, Route: "pay"}, planOf(100, 9*s, faultOf("errors", 2*s, s)), " (chaos)"},
		{"effects, delivered twice behind what is looked at", Effects{At: Links{"payments"}, Route: "pay"}, planOf(100, 9*s, faultOf("duplicate", 2*s, s)), " (chaos)"},
		{"effects, delivered twice in front of it", Effects{At: Links{"payments"}, Route: "pay"},
			with(planOf(24, 9*s, faultOf("duplicate", 2*s, s, func(f *PlannedFault) { f.On = "front" })), func(p *Plan) {
				p.Links["front"] = PlannedLink{From: "edge", To: "checkout"}
			}), ""},

		{"shed, 3 s of 1.5 times", Shed{Route: "pay", Capacity: 100}, planOf(150, 3*s), ""},
		{"shed, 2 s of 1.5 times", Shed{Route: "pay", Capacity: 100}, planOf(150, 2*s), " (load.rate)"},
		{"shed, 1.4 times", Shed{Route: "pay", Capacity: 100}, planOf(140, 9*s), " (load.rate)"},
		{"shed, nothing is to be turned away", Shed{Route: "pay", Capacity: 10, RejectsWithin: s}, planOf(16, 3*s), "rejects_within (load.rate)"},

		{"skew, an even spread is told from 1.5", Skew{Links: Links{"payments", "other"}, AtMost: 1.5}, planOf(121, s), ""},
		{"skew, too few calls", Skew{Links: Links{"payments", "other"}, AtMost: 1.5}, planOf(119, s), "at_most (load.rate)"},
		{"skew, a narrow bound", Skew{Links: Links{"payments", "other"}, AtMost: 1.1}, planOf(899, s), "at_most (load.rate)"},
		{"skew, a narrow bound and enough", Skew{Links: Links{"payments", "other"}, AtMost: 1.1}, planOf(901, s), ""},
		{"skew, too few before the fault", Skew{Links: Links{"payments", "other"}, AtMost: 1.5}, planOf(100, 9*s, faultOf("errors", s, s)), "at_most (chaos[0].at)"},

		{"health", Health{Links: Links{"payments", "other"}, OutWithin: s, BackWithin: s, Keeps: 1}, planOf(25, 9*s, faultOf("errors", 2*s, 2*s)), ""},
		{"health, no time to be seen out", Health{Links: Links{"payments", "other"}, OutWithin: s}, planOf(25, 9*s, faultOf("errors", 2*s, 1900*ms)), "out_within (chaos[0].for)"},
		{"health, no time to come back", Health{Links: Links{"payments", "other"}, BackWithin: s}, planOf(25, 5*s, faultOf("errors", 2*s, 2100*ms)), "back_within (load.duration)"},
		{"health, nothing is lost", Health{Links: Links{"payments", "other"}, OutWithin: s, BackWithin: s, Keeps: 1}, planOf(25, 9*s), "out_within (chaos), back_within (chaos), keeps (chaos)"},
		{"health, all calls are refused", Health{Links: Links{"payments", "other"}, OutWithin: s}, planOf(25, 9*s, faultOf("down", 2*s, 3*s)), "out_within (chaos)"},
		{"health, too few a second", Health{Links: Links{"payments", "other"}, Keeps: 1}, planOf(23, 9*s, faultOf("errors", 2*s, 2*s)), "keeps (load.rate)"},

		{"timeout, 10 hang", Timeout{Link: "payments", Route: "pay", Within: s}, planOf(100, 9*s, faultOf("hang", 2*s, 1100*ms)), ""},
		{"timeout, 9 hang", Timeout{Link: "payments", Route: "pay", Within: s}, planOf(100, 9*s, faultOf("hang", 2*s, 1090*ms)),
			"within (chaos[0].for)"},
		{"a load that leaves first", Timeout{Link: "payments", Route: "pay", Within: 10 * s}, planOf(100, 30*s, faultOf("hang", 2*s, 15*s)),
			"within (load.routes[0].timeout)"},

		{"recovery", Recovery{Within: s, For: s}, planOf(100, 5*s, faultOf("errors", 2*s, s)), ""},
		{"recovery, too soon", Recovery{Within: s, For: s}, planOf(100, 4900*ms, faultOf("errors", 2*s, s)), "within (load.duration)"},
		{"recovery of nothing", Recovery{Within: s, For: s}, planOf(100, 5*s), " (chaos)"},
		{"dead for good", Recovery{Within: s, For: s}, planOf(100, 5*s, faultOf("kill", 2*s, 3*s, func(f *PlannedFault) { f.ForGood = true })),
			" (chaos[0])"},
	} {
		var got []string
		for _, w := range c.claim.Power(c.plan) {
			got = append(got, fmt.Sprintf("%s (%s)", w.Part, w.Key))
		}
		if got := strings.Join(got, ", "); got != c.parts {
			t.Errorf("%s: weak in %q, want %q: %+v", c.name, got, c.parts, c.claim.Power(c.plan))
		}
	}
}

// Whatever the plan, its weaknesses can be read: no figure in them is infinite,
// or no number.
func TestPowerOfAnyPlan(t *testing.T) {
	kinds := []string{"latency", "errors", "hang", "reset", "drop_response", "duplicate", "partition", "pause", "kill", "exec"}
	rng := rand.New(rand.NewPCG(1, 2))
	anyTime := func() time.Duration { return time.Duration(rng.IntN(3)) * time.Duration(rng.IntN(4000)) * ms }
	for range 5000 {
		var faults []PlannedFault
		end := anyTime()
		for range rng.IntN(4) {
			f := faultOf(kinds[rng.IntN(len(kinds))], anyTime(), anyTime(), delay(anyTime()))
			f.Share, f.RetryAfter, f.First = float64(rng.IntN(3))/2, anyTime(), rng.IntN(3)
			faults, end = append(faults, f), max(end, f.Healed) // Parse sees to that
		}
		p := planOf(math.Floor(rng.ExpFloat64()*rng.ExpFloat64()*200), end, faults...)
		if rng.IntN(2) == 0 {
			p.Links["payments"] = PlannedLink{From: "checkout", To: "bank"}
		}
		claims := []Planned{
			Steady{P99: anyTime()}, Recovery{Within: anyTime(), For: anyTime()}, Timeout{Link: "payments", Within: anyTime()},
			Breaker{Link: "payments", Failures: rng.IntN(9), Waits: anyTime(), Probes: rng.IntN(2), ClosesWithin: anyTime(),
				Ignores: []int{404, 500}},
			Retry{Link: Links{"payments"}, Attempts: rng.IntN(9), Never: []int{400}, Amplification: 2},
			Backoff{Link: "payments", Base: anyTime(), Factor: 1 + rng.Float64(), Cap: anyTime(), Jitter: 0.5, RetryAfter: true, Herd: 3},
			Bulkhead{Link: "payments", Limit: rng.IntN(50), Unaffected: []string{"pay"}, RejectsWithin: anyTime(), FreedWithin: anyTime()},
		}
		for _, c := range claims {
			p.Claims = append(p.Claims, c)
		}
		found := p.Power()
		for _, c := range claims {
			found = append(found, c.Power(p)...)
		}
		for _, w := range found {
			text := w.Why + w.Turn
			if w.Why == "" || w.Turn == "" || slices.ContainsFunc([]string{"Inf", "NaN", "%!", "-"}, func(bad string) bool {
				return strings.Contains(strings.ReplaceAll(strings.ReplaceAll(text, "Retry-After", ""), "Idempotency-Key", ""), bad)
			}) {
				t.Fatalf("%+v", w)
			}
		}
	}
}
