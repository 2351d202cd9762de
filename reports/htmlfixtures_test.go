package reports

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/series"
)

func sec(v float64) evidence.Seconds { return evidence.Seconds(time.Duration(math.Round(v * 1e9))) }

// seriesFor is a made-up series of so many columns: a fault from 1/3 to 1/2 of it
// makes half of the requests of its links fail, and slow.
func seriesFor(columns, step, routes, links int, perColumn uint64, seed uint64) *series.Series {
	rng := rand.New(rand.NewPCG(seed, 7))
	s := &series.Series{From: 0, To: sec(float64(columns * step)), Step: step, Outcomes: map[string][]uint64{}}
	faulty := func(i int) bool { return i >= columns/3 && i < columns/2 }
	ok, failed, late := make([]uint64, columns), make([]uint64, columns), make([]uint64, columns)
	s.Unsent = make([]uint64, columns)
	for i := range columns {
		n := perColumn + uint64(rng.IntN(int(perColumn/10)+1))
		s.Offered, s.Ended = append(s.Offered, n), append(s.Ended, n)
		if ok[i] = n; faulty(i) {
			failed[i], late[i] = n/3, n/12
			ok[i] = n - failed[i] - late[i]
		}
		s.Harness.LagP99 = append(s.Harness.LagP99, 0.05+0.1*rng.Float64())
		s.Harness.LagMax = append(s.Harness.LagMax, 0.5+2*rng.Float64())
		s.Harness.Hiccup = append(s.Harness.Hiccup, 0.3+3*rng.Float64())
		s.Harness.Pressure = append(s.Harness.Pressure, 0.05+0.1*rng.Float64())
		s.Harness.CPU = append(s.Harness.CPU, 0.2)
		s.Harness.Lost = append(s.Harness.Lost, 0)
		s.Harness.Unwell = append(s.Harness.Unwell, i == columns-3 && columns > 10)
	}
	s.Outcomes["ok"], s.Outcomes["5xx"], s.Outcomes["timed_out"] = ok, failed, late
	times := func(base float64) (p series.Percentiles) {
		for i := range columns {
			f := base * (1 + 0.2*rng.Float64())
			if faulty(i) {
				f *= 40
			}
			at := func(x float64) *float64 { x *= f; return &x }
			p.P50, p.P99, p.P999, p.Max = append(p.P50, at(1)), append(p.P99, at(4)), append(p.P999, at(9)), append(p.Max, at(15+10*rng.Float64()))
		}
		return p
	}
	s.Response = times(2)
	for i := range min(routes, series.MaxRoutes) {
		s.Routes = append(s.Routes, series.Route{Name: fmt.Sprintf("route-%03d", i), Ended: s.Ended, Bad: failed, Response: times(2)})
	}
	s.OtherRoutes = max(0, routes-series.MaxRoutes)
	for i := range min(links, series.MaxLinks) {
		l := series.Link{Name: fmt.Sprintf("link-%02d", i), Ended: ok, Errors: failed, Took: times(1)}
		for range columns {
			least := float64(rng.IntN(5))
			l.InFlight.Least, l.InFlight.Most = append(l.InFlight.Least, least), append(l.InFlight.Most, least+float64(rng.IntN(12)))
		}
		s.Links = append(s.Links, l)
	}
	s.OtherLinks = max(0, links-series.MaxLinks)
	return s
}

// phases are three distributions, of which the one during faults is slow.
func phases(links int) (all []series.Phase) {
	for i, name := range []string{"before", "during", "after"} {
		ph := series.Phase{Name: name, From: sec(float64(i * 5)), To: sec(float64(i*5 + 5)), Count: 1000}
		spectrum := func(base float64) (all []series.Quantile) {
			for _, q := range []float64{0, .25, .5, .75, .9, .95, .99, .995, .999, 1} {
				all = append(all, series.Quantile{Q: q, MS: base * (1 + -math.Log(max(1-q, 1e-4)))})
			}
			return all
		}
		base := []float64{1, 30, 1.2}[i]
		ph.Spectrum = spectrum(base)
		for k := range links {
			ph.Links = append(ph.Links, series.LinkPhase{Link: fmt.Sprintf("link-%02d", k), Count: 10, Spectrum: spectrum(base / 2)})
		}
		all = append(all, ph)
	}
	return all
}

// everyExhibit has one exhibit of each kind.
func everyExhibit(link string) []judge.Exhibit {
	states := &judge.States{Link: link}
	for i, state := range []string{"closed", "open", "half-open", "open", "half-open", "closed"} {
		ends := []float64{0, 5.2, 7.2, 7.4, 9.4, 9.9, 15}
		states.Spans = append(states.Spans, judge.Span{From: sec(ends[i]), To: sec(ends[i+1]), State: state, Calls: 10})
	}
	waits := &judge.Waits{Link: link}
	for retry := 1; retry <= 3; retry++ {
		base := 100 * math.Pow(2, float64(retry-1))
		w := judge.Wait{Retry: retry, Median: base * 0.75, Sample: 300, Allowed: &judge.Bound{Low: base * 0.475, High: base * 1.05}}
		for b := range 20 {
			w.Bins = append(w.Bins, judge.Bin{From: base * (0.5 + float64(b)*0.025), To: base * (0.5 + float64(b+1)*0.025), Count: 10 + (b*7)%13})
		}
		waits.Retries = append(waits.Retries, w)
	}
	level := &judge.Level{Link: link, Step: sec(0.1), Limit: 40}
	for i := range 150 {
		level.Most = append(level.Most, max(2, min(46, 50-int(math.Abs(float64(i-75)))+i%5)))
	}
	climb := judge.Climb{ID: 2801, Route: "pay", Due: sec(5.1), Sent: sec(5.102), Done: sec(5.86), Status: 503, Outcome: "5xx"}
	for i, begin := range []float64{5.104, 5.31, 5.72} {
		climb.Steps = append(climb.Steps, judge.Step{Link: link, Begin: sec(begin), End: sec(begin + 0.11), Method: "POST", Status: 503,
			Ending: "injected",
			Faults: []string{"errors 503 on " + link}})
		_ = i
	}
	growth := &judge.Trend{Of: "memory of checkout", Unit: "MiB", Slope: 0.4, At0: 80, Allowed: &judge.Bound{Low: math.Inf(-1), High: 85}}
	for i := range 60 {
		growth.Points = append(growth.Points, judge.Point{At: sec(float64(i) / 4), Y: 80 + 0.1*float64(i) + float64(i%7)})
	}
	register := &judge.Register{Data: "price", Key: 3, More: 2, Operations: []judge.Operation{
		{ID: 11, Route: "reprice", Writes: true, Value: 11, Sent: sec(5.1), Done: sec(5.11), Outcome: "ok", Marked: true},
		{ID: 20, Route: "reprice", Writes: true, Value: 20, Sent: sec(5.2), Done: sec(6.2), Outcome: "5xx", Maybe: true},
		{ID: 25, Route: "reprice", Writes: true, Value: 25, Sent: sec(5.3), Done: sec(5.31), Outcome: "ok", Marked: true},
		{ID: 30, Route: "look", Value: 25, Sent: sec(5.4), Done: sec(5.41), Outcome: "ok", Marked: true},
		{ID: 31, Route: "look", Value: 11, Sent: sec(5.5), Done: sec(5.51), Outcome: "ok", Marked: true},
	}}
	return []judge.Exhibit{
		{Kind: judge.KindStates, Title: "It was open from 5.2s, and again from 7.4s", Part: "waits", States: states},
		{Kind: judge.KindStaircase, Title: "What became of single requests", Staircase: &judge.Staircase{Requests: []judge.Climb{climb, climb}}},
		{Kind: judge.KindWaits, Title: "Waits lie within what is declared", Part: "jitter", Waits: waits},
		{Kind: judge.KindLevel, Title: "46 were in flight, 40 are claimed", Part: "limit", Level: level},
		{Kind: judge.KindAttempts, Title: "No request made more than 4 attempts", Part: "attempts",
			Attempts: &judge.Attempts{Link: link, Requests: []int{900, 120, 40, 300}, Allowed: &judge.Bound{Low: 1, High: 4}, PerCall: 1.8}},
		{Kind: judge.KindGrowth, Title: "Memory grew by 0.4 MiB/s", Part: "rss", Growth: growth},
		{Kind: judge.KindRegister, Title: "Request 31 found what had been replaced", Part: "order", Register: register},
	}
}

// drawnRun is a refuted breaker run with all that a page can draw.
func drawnRun() *result.Result {
	r := breakerRun(judge.Refuted)
	r.Seconds = 15
	r.Faults[0].Injected, r.Faults[0].Healed = 5.0004, 7.5
	r.Faults = append(r.Faults, result.Fault{Name: "latency 150ms on link-00", Kind: "latency", On: "link-00", Injected: 5.2, Healed: 7,
		Hit: 120})
	r.Verdicts[1].Exhibits = everyExhibit("link-00")
	r.Series = &series.View{Whole: seriesFor(15, 1, 2, 1, 500, 1), Phases: phases(1)}
	r.Series.Whole.Routes[0].Name, r.Series.Whole.Routes[1].Name = "pay", "browse"
	return r
}

// longDay is 24 hours of 500 routes, 60 links and 10 million exchanges.
func longDay() *result.Result {
	r := breakerRun(judge.Refuted)
	const day = 24 * 3600
	r.Seconds, r.Routes, r.Links, r.Faults = day, nil, nil, nil
	for i := range 500 {
		r.Routes = append(r.Routes, result.Route{Name: fmt.Sprintf("route-%03d", i), Requests: uint64(10000 + i), Success: 99,
			Outcomes: map[string]uint64{"ok": 9900, "5xx": 100}})
	}
	for i := range 60 {
		r.Links = append(r.Links, result.Link{Name: fmt.Sprintf("link-%02d", i), From: "a", To: "b", Exchanges: 10_000_000 / 60})
	}
	for i := range 300 {
		r.Faults = append(r.Faults, result.Fault{Name: fmt.Sprintf("errors 503 on link-%02d", i%60), Kind: "errors", On: fmt.Sprintf("link-%02d",
			i%60),
			Injected: float64(i*280 + 60), Healed: float64(i*280 + 90), Hit: 10})
	}
	r.Series = &series.View{Whole: seriesFor(series.MaxColumns, 72, 500, 60, 8333, 2), Phases: phases(50)}
	for i := range series.MaxWindows {
		w := seriesFor(series.WindowColumns, 1, 50, 50, 116, uint64(i))
		w.From, w.To = sec(float64(i*280+30)), sec(float64(i*280+150))
		r.Series.Windows = append(r.Series.Windows, series.Window{Fault: r.Faults[i].Name, Series: w})
	}
	for i := range 8 {
		v := r.Verdicts[1]
		v.Claim, v.Exhibits = fmt.Sprintf("%s %d", v.Claim, i), everyExhibit("link-00")
		r.Verdicts = append(r.Verdicts, v)
	}
	return r
}

// shortRun is one of 2 seconds.
func shortRun() *result.Result {
	r := breakerRun(judge.Held)
	r.Seconds = 2
	r.Faults[0].Injected, r.Faults[0].Healed = 0.5, 1.25
	r.Series = &series.View{Whole: seriesFor(2, 1, 2, 1, 500, 3), Phases: phases(1)}
	return r
}

// hostileNames are what a page must survive.
var hostileNames = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'); alert(1); ('`, `</script><script>alert(1)</script>`,
	`</title></style><b>`, "{{.}} ${x} `y`",
	"שלום עולם \u202e dlrow \u2067", "a\x00b\x1b[2J\xff", strings.Repeat("10 kB ", 1700), "", "-->", "url(javascript:alert(1))",
}

// hostileDrawn has those names everywhere.
func hostileDrawn(name string) *result.Result {
	r := drawnRun()
	r.Name, r.About, r.Stopped, r.Partial, r.Notes, r.Missing = name, name, name, true, []string{name}, []string{name}
	for i := range r.Verdicts {
		v := &r.Verdicts[i]
		v.Claim, v.Reason, v.Despite = name, name, name
		for k := range v.Parts {
			v.Parts[k].Name, v.Parts[k].Reason, v.Parts[k].Unit = name, name, name
		}
		v.Numbers = append(v.Numbers, judge.Number{Name: name, Value: 1})
		v.Exhibits = everyExhibit(name)
		for k := range v.Exhibits {
			v.Exhibits[k].Title, v.Exhibits[k].Part = name, name
		}
		v.Exhibits[0].States.Spans[1].State = name
		v.Exhibits[1].Staircase.Requests[0].Route, v.Exhibits[1].Staircase.Requests[0].Outcome = name, name
		v.Exhibits[1].Staircase.Requests[0].Steps[0].Method, v.Exhibits[1].Staircase.Requests[0].Steps[0].Ending = name, name
		v.Exhibits[5].Growth.Of, v.Exhibits[5].Growth.Unit = name, name
		v.Exhibits[6].Register.Data, v.Exhibits[6].Register.Operations[0].Route, v.Exhibits[6].Register.Operations[0].Outcome = name, name, name
	}
	r.Routes[0].Name, r.Routes[0].Outcomes = name, map[string]uint64{name: 1}
	r.Links[0] = result.Link{Name: name, From: name, To: name, Endings: map[string]uint64{name: 1}, Statuses: map[string]uint64{name: 1}}
	r.Faults[0] = result.Fault{Name: name, Kind: name, On: name, Error: name, Injected: 5, Healed: 7}
	r.Harness.Problems, r.Harness.Healthy, r.Harness.Effect = []string{name}, false, name
	r.Series.Whole.Routes[0].Name, r.Series.Whole.Links[0].Name = name, name
	r.Series.Phases[0].Name, r.Series.Phases[0].Links[0].Link = name, name
	r.Series.Whole.Outcomes[name] = r.Series.Whole.Ended
	return r
}

// drawnLoad is an ad-hoc load with a threshold that it failed.
func drawnLoad() *Load {
	l := &Load{Schema: LoadSchema, URL: "http://127.0.0.1:1/<b>", Model: "open", Schedule: "500/s for 15s", Seconds: 15, Due: 7500,
		Requests: 7500, Rate: 500, Success: 66,
		Outcomes: map[string]uint64{"ok": 5000, "5xx": 2500}, Response: result.Spread{P50: 1, P90: 2, P99: 5, P999: 9, Max: 20},
		Thresholds: []Threshold{{Text: "p99 > 1ms", Value: "5ms", Failed: true}}, Spectrum: []Bin{{0.5, 1, 4000}, {1, 2, 3000}, {4, 20, 500}}}
	l.Series = drawnRun().Series
	return l
}
