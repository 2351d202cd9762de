package export

import (
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load"
)

// otlpMetrics is all that is known now; nil before a run has begun. The names are those
// that Prometheus's own come of: stormctl.requests is stormctl_requests_total there.
func (l *Live) otlpMetrics(now time.Time) []*metricspb.Metric {
	s := l.now.Load()
	if s == nil {
		return nil
	}
	t := &otlpTimes{from: uint64(s.started.UnixNano()), now: uint64(now.UnixNano())}
	all := []*metricspb.Metric{
		t.sum("stormctl.offered", "{arrival}", t.point(float64(s.offered))),
		t.sum("stormctl.requests", "{request}", t.requests(s)...),
		t.histogram("stormctl.response", s.routes),
		t.gauge("stormctl.send_lag", "s", t.point(s.lagP50.Seconds(), "quantile", "0.5"), t.point(s.lagP99.Seconds(), "quantile", "0.99"),
			t.point(s.lagMax.Seconds(), "quantile", "1")),
		t.gauge("stormctl.harness_healthy", "1", t.point(flag(s.healthy))),
		t.sum("stormctl.evidence_lost", "{record}", t.point(float64(s.lost))),
		t.gauge("stormctl.run", "s", t.point(max(0, s.at.Seconds()))),
		t.sum("stormctl.export_dropped", "{notice}",
			t.point(float64(l.webhook.full.Load()), "receiver", "webhook", "why", "full"),
			t.point(float64(l.webhook.failed.Load()), "receiver", "webhook", "why", "failed"),
			t.point(float64(l.otlp.full.Load()), "receiver", "otlp", "why", "full"),
			t.point(float64(l.otlp.failed.Load()), "receiver", "otlp", "why", "failed")),
	}
	var exchanges, inFlight, faults, claims, memory, files, threads []*metricspb.NumberDataPoint
	for _, l := range s.links {
		exchanges = append(exchanges, t.point(float64(l.ended-min(l.ended, l.errors)), "link", l.name, "outcome", "ok"),
			t.point(float64(l.errors), "link", l.name, "outcome", "error"))
		inFlight = append(inFlight, t.point(float64(l.inFlight), "link", l.name))
	}
	for f, active := range s.active() {
		faults = append(faults, t.point(active, "fault", f.Name, "on", f.On))
	}
	for _, c := range s.claims {
		for r := judge.Held; r <= judge.Refuted; r++ {
			claims = append(claims, t.point(flag(c.ruling == r), "claim", c.name, "ruling", r.String()))
		}
	}
	for _, w := range s.targets {
		memory = append(memory, t.point(float64(w.RSS), "target", w.name))
		threads = append(threads, t.point(float64(w.Threads), "target", w.name))
		if w.Files >= 0 {
			files = append(files, t.point(float64(w.Files), "target", w.name))
		}
	}
	return append(all, t.sum("stormctl.link_exchanges", "{exchange}", exchanges...),
		t.gauge("stormctl.link_in_flight", "{exchange}", inFlight...),
		t.gauge("stormctl.fault_active", "1", faults...), t.gauge("stormctl.claim_ruling", "1", claims...),
		t.gauge("stormctl.target_resident", "By", memory...), t.gauge("stormctl.target_open_fds", "{descriptor}", files...),
		t.gauge("stormctl.target_threads", "{thread}", threads...))
}

// otlpTimes is from when on is counted, and until when, in nanoseconds since 1970.
type otlpTimes struct{ from, now uint64 }

// point is a figure with attributes, names and values in turn.
func (t *otlpTimes) point(v float64, attributes ...string) *metricspb.NumberDataPoint {
	return &metricspb.NumberDataPoint{StartTimeUnixNano: t.from, TimeUnixNano: t.now, Attributes: keyValues(attributes),
		Value: &metricspb.NumberDataPoint_AsDouble{AsDouble: v}}
}

func keyValues(pairs []string) (all []*commonpb.KeyValue) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, attribute(pairs[i], pairs[i+1]))
	}
	return all
}

func (t *otlpTimes) sum(name, unit string, points ...*metricspb.NumberDataPoint) *metricspb.Metric {
	return &metricspb.Metric{Name: name, Unit: unit, Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{DataPoints: points, IsMonotonic: true,
		AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE}}}
}

func (t *otlpTimes) gauge(name, unit string, points ...*metricspb.NumberDataPoint) *metricspb.Metric {
	return &metricspb.Metric{Name: name, Unit: unit, Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: points}}}
}

func (t *otlpTimes) requests(s *snapshot) (points []*metricspb.NumberDataPoint) {
	for _, r := range s.routes {
		for o, n := range r.outcomes {
			points = append(points, t.point(float64(n), "route", r.name, "outcome", load.Outcome(o).String()))
		}
	}
	return points
}

// histogram is the response times of the routes. A bucket of OTLP's has the number below
// that of Prometheus's.
func (t *otlpTimes) histogram(name string, routes []routeState) *metricspb.Metric {
	h := &metricspb.ExponentialHistogram{AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE}
	for _, r := range routes {
		sum := r.times.sum
		p := &metricspb.ExponentialHistogramDataPoint{StartTimeUnixNano: t.from, TimeUnixNano: t.now,
			Attributes: keyValues([]string{"route", r.name}), Count: r.times.count, Sum: &sum, Scale: schema}
		if first, last, some := r.times.span(); some {
			p.Positive = &metricspb.ExponentialHistogramDataPoint_Buckets{Offset: int32(first - 1),
				BucketCounts: append([]uint64(nil), r.times.exponential[first-leastBucket:last-leastBucket+1]...)}
		}
		h.DataPoints = append(h.DataPoints, p)
	}
	return &metricspb.Metric{Name: name, Unit: "s", Data: &metricspb.Metric_ExponentialHistogram{ExponentialHistogram: h}}
}
