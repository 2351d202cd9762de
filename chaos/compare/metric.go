package compare

import (
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load/hist"
)

// The units of metrics.
const (
	milliseconds = "ms"
	share        = "share"
	perSecond    = "per_s"
)

// metric is something that is measured of each run.
type metric struct {
	name     string
	unit     string
	quantile float64 // of the response times; 0 is no percentile
	better   bool    // more of it is
	linear   bool    // differences matter, not ratios

	// spread is what its logarithm is taken to differ by from run to run, as a
	// standard deviation, where nothing is known of the system's own runs; 0 if
	// the blocks of a run say as much as it has.
	//
	// A 2-ms service on a machine with neighbours, 12 runs of 8 s: p50 0.6%, p90
	// 4.9%, p99 43%, p99.9 76%. A machine may be worse than that one.
	spread float64
}

var ofRoutes = []metric{
	{name: "p50", unit: milliseconds, quantile: 0.5, spread: 0.1},
	{name: "p90", unit: milliseconds, quantile: 0.9, spread: 0.1},
	{name: "p99", unit: milliseconds, quantile: 0.99, spread: 0.5},
	{name: "p99.9", unit: milliseconds, quantile: 0.999, spread: 1},
	{name: "success", unit: share, better: true, linear: true},
	{name: "rate", unit: perSecond, better: true},
}

// ofTargets is the CPU time of a target's processes per request of the load. It is
// known of a whole run, not of its blocks.
var ofTargets = metric{name: "cpu", unit: milliseconds}

func metricOf(name string) (metric, bool) {
	all := append(slices.Clone(ofRoutes), ofTargets)
	i := slices.IndexFunc(all, func(m metric) bool { return m.name == name })
	if i < 0 {
		return metric{}, false
	}
	return all[i], true
}

// fewestBeyond is how many samples must lie beyond a percentile, on either side: of
// fewer it is the chance of a few requests.
const fewestBeyond = 100

// of is the metric of a stretch that took so long; NaN if there is none.
func (m metric) of(b Block, length time.Duration) float64 {
	switch {
	case m.quantile > 0:
		if b.Times == nil || b.Times.Count() == 0 {
			return math.NaN()
		}
		return unit.Millis(b.Times.Quantile(m.quantile))
	case m.linear && b.Requests > 0:
		return float64(b.OK) / float64(b.Requests)
	case m.unit == perSecond && length > 0:
		return float64(b.OK) / length.Seconds()
	}
	return math.NaN()
}

// draws are a metric on both sides: by run, and where there is one run a side by
// block.
type draws struct {
	metric
	subject string // the route or target; "" if there is one only

	base, now, history    []float64 // by run
	baseBlocks, nowBlocks []float64 // one run a side: by block; of a duet those of the same time stand at the same place
	mergedBase, mergedNow float64   // over all runs of a side together
	beyond                float64   // samples beyond the percentile on the side that has fewer; +Inf if it is none
	baseChance, nowChance float64   // of a share: what chance alone makes it differ by, as a standard deviation
}

// ofRoute measures what callers of a route got.
func ofRoute(m metric, name string, s Sides, length time.Duration) draws {
	d := draws{metric: m, beyond: math.Inf(1)}
	side := func(runs []Run) (values []float64, merged Block, value float64) {
		merged.Times = hist.New()
		var took time.Duration
		for _, r := range runs {
			all := r.route(name).whole()
			values = append(values, m.of(all, r.Length))
			merged.add(all)
			took += r.Length
		}
		return values, merged, m.of(merged, took)
	}
	var base, now Block
	d.base, base, d.mergedBase = side(s.Base)
	d.now, now, d.mergedNow = side(s.Now)
	d.history, _, _ = side(s.History)
	if m.quantile > 0 {
		d.beyond = math.Round(1e6*(1-m.quantile)*float64(min(base.Times.Count(), now.Times.Count()))) / 1e6 // 0.1 × 1000 is 100
	}
	d.baseChance, d.nowChance = chance(base), chance(now)
	if len(s.Base) == 1 && len(s.Now) == 1 {
		d.baseBlocks = m.byBlock(s.Base[0].route(name).Blocks, length)
		d.nowBlocks = m.byBlock(s.Now[0].route(name).Blocks, length)
	}
	return d
}

// byBlock is the metric of each full block; NaN where there is none.
func (m metric) byBlock(blocks []Block, length time.Duration) (values []float64) {
	for _, b := range blocks {
		if b.full(length) {
			values = append(values, m.of(b, b.To-b.From))
		}
	}
	return values
}

// chance is the standard deviation of a share for requests that fail independently,
// with half of a failure more than there was: none in n does not show that none can.
func chance(b Block) float64 {
	n := float64(b.Requests)
	p := (n - float64(b.OK) + 0.5) / (n + 1)
	return math.Sqrt(p * (1 - p) / (n + 1))
}

// ofTarget measures what a target used.
func ofTarget(name string, s Sides) draws {
	d := draws{metric: ofTargets, subject: name, beyond: math.Inf(1)}
	side := func(runs []Run) (values []float64, all float64) {
		var used time.Duration
		var requests uint64
		for _, r := range runs {
			cpu, known := r.CPU[name]
			if !known {
				values = append(values, math.NaN())
				continue
			}
			n := r.requests()
			values = append(values, unit.Millis(cpu)/float64(n))
			used += cpu
			requests += n
		}
		return values, unit.Millis(used) / float64(requests)
	}
	d.base, d.mergedBase = side(s.Base)
	d.now, d.mergedNow = side(s.Now)
	d.history, _ = side(s.History)
	return d
}

func (r Run) route(name string) Route {
	for _, route := range r.Routes {
		if route.Name == name {
			return route
		}
	}
	return Route{Name: name}
}

func (r Run) requests() (n uint64) {
	for _, route := range r.Routes {
		n += route.whole().Requests
	}
	return n
}

// worse brings a value to a scale on which more is worse, and ratios are
// differences unless the metric is linear.
func (m metric) worse(values []float64) []float64 {
	all := slices.Clone(values)
	if !m.linear {
		all = logs(all)
	}
	return m.turned(all)
}

// turned brings it to one on which more is worse.
func (m metric) turned(values []float64) []float64 {
	all := slices.Clone(values)
	if m.better {
		for i := range all {
			all[i] = -all[i]
		}
	}
	return all
}

// usable reports whether all are numbers that have a logarithm, or are a share.
func (m metric) usable(values []float64) bool {
	return !slices.ContainsFunc(values, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) || !m.linear && v <= 0 })
}
