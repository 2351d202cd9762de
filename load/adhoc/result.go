package adhoc

import (
	"math"
	"strconv"
	"time"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/meter"
	"github.com/stormctl/stormctl/reports"
)

// result is what the load came to in so many seconds and CPU time; partial says
// why it ended early, "" that it did not.
func (r *Run) result(seconds float64, cpu time.Duration, partial string) *reports.Load {
	total, loops, worst := r.watch.Tally.Total(), r.watch.Loops(), &r.health
	outcomes := total.All()
	all := total.Times.AllResponse()
	l := &reports.Load{
		Schema: reports.LoadSchema, URL: r.URL, Model: "open", Schedule: r.Words, Hosts: r.hosts(), Offered: float64(r.Offered),
		Started: r.start, Seconds: seconds, Partial: partial,
		Unsent: outcomes[load.Unsent], Statuses: map[string]uint64{}, Received: total.Received,
		Response: result.NewSpread(all), Service: result.NewSpread(total.Times.AllService()),
		Connections: reports.Connections{Dialled: loops.Dialled, Most: loops.Most, Rate: worst.DialRate, Resent: loops.Resent,
			TLSFailed: loops.TLSFailed, TLSError: loops.TLSError,
			Redirects: loops.Followed, Unfollowed: loops.Unfollowed, Elsewhere: loops.Elsewhere},
		Harness: reports.LoadHarness{
			SendLag: result.NewSpread(total.Times.Lag), Late: result.NewSpread(total.Times.Late),
			HiccupP99: unit.Millis(worst.HiccupP99), HiccupMax: unit.Millis(worst.HiccupMax), Steal: worst.Steal, Pressure: worst.Pressure,
			CPU: cpu.Seconds() / max(seconds, 1e-9), Busy: 100 * worst.Busy, Loops: load.Shards(r.Plan),
			Transport: load.TransportName(r.Plan),
			GCPause:   unit.Millis(worst.Pause), Memory: meter.MaxResident(),
		},
	}
	if r.Plan.Closed != nil {
		l.Model = "closed"
	}
	l.Due, l.Outcomes = ended(outcomes)
	for status, n := range total.Statuses {
		if n > 0 {
			l.Statuses[strconv.Itoa(status)] = n
		}
	}
	l.Requests = l.Due - l.Unsent
	l.Rate = float64(l.Requests) / max(seconds, 1e-9)
	l.Success = 100 * float64(outcomes[load.OK]) / math.Max(1, float64(l.Due))
	l.Harness.CPURequest = float64(cpu.Microseconds()) / math.Max(1, float64(l.Requests))
	for _, b := range all.Spectrum() {
		l.Spectrum = append(l.Spectrum, reports.Bin{From: unit.Millis(b.From), To: unit.Millis(b.To), Count: b.Count})
	}
	if len(r.Groups) > 1 {
		l.Routes = r.routes(total)
	}
	if warm := r.watch.WarmedUp(); warm != nil {
		times := warm.Times.AllResponse().Summary()
		l.Warmup = result.NewWarmup(r.Warmup, warm.All(), times.P50, times.P99)
	}
	l.Harness.Problems = r.problems(l, total.Times.Late.Quantile(0.99), loops)
	l.Harness.Healthy = len(l.Harness.Problems) == 0
	l.Series = r.live.View()
	return l
}

// routes are the kinds of request that are told apart.
func (r *Run) routes(total *load.Counts) (all []result.Route) {
	for i, name := range r.Groups {
		own := result.Route{Name: name, Response: result.NewSpread(total.Times.Response[i]),
			Service: result.NewSpread(total.Times.Service[i])}
		own.Requests, own.Outcomes = ended(total.Outcomes[i])
		own.Success = 100 * float64(total.Outcomes[i][load.OK]) / math.Max(1, float64(own.Requests))
		all = append(all, own)
	}
	return all
}

// ended is how many arrivals there were, and how many of each outcome.
func ended(outcomes [load.Outcomes]uint64) (all uint64, by map[string]uint64) {
	by = map[string]uint64{}
	for o, n := range outcomes {
		all += n
		if n > 0 {
			by[load.Outcome(o).String()] = n
		}
	}
	return all, by
}

// problems says why the harness was not well; late is the p99 of the lateness
// of all requests.
func (r *Run) problems(l *reports.Load, late time.Duration, loops load.Reading) []string {
	w := load.Totals{
		Due: l.Due, Late: late, Starved: loops.Starved, DialLimited: loops.DialLimited,
		Open: loops.Most, DialLimit: r.Plan.DialRate > 0,
	}
	if r.record != nil {
		w.Lost = r.record.Lost()
	}
	if l.Partial == "" && r.Plan.MaxQueue == 0 {
		w.Unsent = l.Unsent // otherwise they were not to wait, or not for long
	}
	if c := r.Plan.Closed; c != nil {
		w.Closed, w.Asked = true, c.Connections
		if c.Requests > 0 {
			w.Asked = int(min(uint64(w.Asked), c.Requests))
		}
	}
	return load.Texts(r.health.Problems(w))
}
