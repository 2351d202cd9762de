package export

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/input"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("stormctl_"+name, help, labels, nil)
}

var (
	offeredDesc  = desc("offered_total", "Arrivals that were due.")
	requestsDesc = desc("requests_total", "Requests that ended, by outcome; unsent are arrivals that were never sent.", "route", "outcome")
	responseDesc = desc("response_seconds", "Response times, from when a request was due (no coordinated omission).", "route")
	linkDesc     = desc("link_exchanges_total", "Exchanges of a link that ended; error is status 500 or more, or no response.",
		"link", "outcome")
	inFlightDesc = desc("link_in_flight", "Exchanges of a link in progress when the last second ended.", "link")
	faultDesc    = desc("fault_active", "1 while a fault is in force.", "fault", "on")
	claimDesc    = desc("claim_ruling", "1 for the ruling that a claim has so far, 0 for the others.", "claim", "ruling")
	lagDesc      = desc("send_lag_seconds", "How late requests were sent in the last second, with the wait for a connection.", "quantile")
	healthyDesc  = desc("harness_healthy", "1 if the harness was well in the last second: what it measured was the system's doing.")
	lostDesc     = desc("evidence_lost_total", "Records of requests and exchanges that could not be kept.")
	atDesc       = desc("run_seconds", "How long the load has gone on without its warm-up.")
	infoDesc     = desc("run_info", "1 for the run that goes on.", "experiment", "version")
	rssDesc      = desc("target_resident_bytes", "Memory of a target's processes.", "target")
	filesDesc    = desc("target_open_fds", "Open descriptors of a target's processes.", "target")
	threadsDesc  = desc("target_threads", "Threads of a target's processes.", "target")
	droppedDesc  = desc("export_dropped_total",
		"What a receiver has not got: full is no room in its queue, failed is not taken after all tries.", "receiver", "why")
	scrapesDesc = desc("scrapes_total", "Scrapes of these metrics, by how they ended.", "end")
)

// Describe is prometheus.Collector's.
func (l *Live) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{offeredDesc, requestsDesc, responseDesc, linkDesc, inFlightDesc, faultDesc, claimDesc,
		lagDesc, healthyDesc, lostDesc, atDesc, infoDesc, rssDesc, filesDesc, threadsDesc, droppedDesc, scrapesDesc} {
		to <- d
	}
}

// Collect is prometheus.Collector's: what is known now.
func (l *Live) Collect(to chan<- prometheus.Metric) {
	l.collect(to)
	if now := l.now.Load(); now != nil {
		now.collect(to)
	}
}

func (c *counters) collect(to chan<- prometheus.Metric) {
	for end := range scrapeEnds {
		to <- counter(scrapesDesc, c.scrapes[end].Load(), end.String())
	}
	for _, r := range []struct {
		name string
		of   *dropped
	}{{"webhook", &c.webhook}, {"otlp", &c.otlp}} {
		to <- counter(droppedDesc, r.of.full.Load(), r.name, "full")
		to <- counter(droppedDesc, r.of.failed.Load(), r.name, "failed")
	}
}

func (s *snapshot) collect(to chan<- prometheus.Metric) {
	to <- counter(offeredDesc, s.offered)
	to <- counter(lostDesc, s.lost)
	to <- gauge(atDesc, max(0, s.at.Seconds()))
	to <- gauge(infoDesc, 1, s.name, s.version)
	to <- gauge(healthyDesc, flag(s.healthy))
	for _, q := range []struct {
		name string
		lag  time.Duration
	}{{"0.5", s.lagP50}, {"0.99", s.lagP99}, {"1", s.lagMax}} {
		to <- gauge(lagDesc, q.lag.Seconds(), q.name)
	}
	for _, r := range s.routes {
		for o, n := range r.outcomes {
			to <- counter(requestsDesc, n, r.name, load.Outcome(o).String())
		}
		to <- histogram{label(r.name), r.times}
	}
	for _, l := range s.links {
		to <- counter(linkDesc, l.ended-min(l.errors, l.ended), l.name, "ok")
		to <- counter(linkDesc, l.errors, l.name, "error")
		to <- gauge(inFlightDesc, float64(l.inFlight), l.name)
	}
	for name, active := range s.active() {
		to <- gauge(faultDesc, active, name.Name, name.On)
	}
	for _, c := range s.claims {
		for r := judge.Held; r <= judge.Refuted; r++ {
			to <- gauge(claimDesc, flag(c.ruling == r), c.name, r.String())
		}
	}
	for _, t := range s.targets {
		to <- gauge(rssDesc, float64(t.RSS), t.name)
		if t.Files >= 0 {
			to <- gauge(filesDesc, float64(t.Files), t.name)
		}
		to <- gauge(threadsDesc, float64(t.Threads), t.name)
	}
}

// active is how many of the faults of a name are in force: an experiment may plan one
// several times.
func (s *snapshot) active() map[Fault]float64 {
	all := map[Fault]float64{}
	for _, f := range s.faults {
		all[f.Fault] = max(all[f.Fault], flag(f.inForce > 0))
	}
	return all
}

func flag(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func counter(d *prometheus.Desc, n uint64, labels ...string) prometheus.Metric {
	return constant(d, prometheus.CounterValue, float64(n), labels)
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return constant(d, prometheus.GaugeValue, v, labels)
}

func constant(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels []string) prometheus.Metric {
	for i := range labels {
		labels[i] = label(labels[i])
	}
	return prometheus.MustNewConstMetric(d, kind, v, labels...) // as many labels as d has, and each is valid
}

// label is a text as the value of a label or of an attribute: UTF-8, and in its lines
// nothing that a terminal would do instead of showing it.
func label(name string) string {
	return unit.List(strings.Split(strings.ToValidUTF8(name, "\ufffd"), "\n"), "\n", input.Printable)
}

// histogram is the response times of a route, in fixed buckets and in exponential ones:
// a scraper takes those that it knows.
type histogram struct {
	route string
	times *buckets
}

func (histogram) Desc() *prometheus.Desc { return responseDesc }

func (h histogram) Write(out *dto.Metric) error {
	b := h.times
	zero, scale, threshold, name := uint64(0), int32(schema), 0x1p-128, "route"
	d := &dto.Histogram{SampleCount: &b.count, SampleSum: &b.sum, Schema: &scale, ZeroThreshold: &threshold, ZeroCount: &zero}
	var below uint64
	for i := range bounds {
		below += b.fixed[i]
		upTo := below
		d.Bucket = append(d.Bucket, &dto.Bucket{CumulativeCount: &upTo, UpperBound: &bounds[i]})
	}
	first, last, some := b.span()
	offset, length := int32(first), uint32(last-first+1)
	if !some {
		offset, length = 0, 0 // an empty span says that there are exponential buckets, though nothing is in them
	}
	d.PositiveSpan = []*dto.BucketSpan{{Offset: &offset, Length: &length}}
	var before int64
	for i := first; some && i <= last; i++ {
		n := int64(b.exponential[i-leastBucket])
		delta := n - before
		d.PositiveDelta, before = append(d.PositiveDelta, delta), n
	}
	out.Histogram = d
	out.Label = []*dto.LabelPair{{Name: &name, Value: &h.route}}
	return nil
}
