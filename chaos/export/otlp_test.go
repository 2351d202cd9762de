package export

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
)

// collector receives as OpenTelemetry's own does, by the types of its protocol: its
// requests have the fields of MetricsData and TracesData. A field that they do not have
// is wrong.
type collector struct {
	mu      sync.Mutex
	status  int // of all answers
	metrics []*metricspb.MetricsData
	traces  []*tracepb.TracesData
	headers http.Header
	wrong   []error
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = r.Header
	if c.status != 0 {
		w.WriteHeader(c.status)
		return
	}
	switch r.URL.Path {
	case "/v1/metrics":
		request := &metricspb.MetricsData{}
		c.read(body, request)
		c.metrics = append(c.metrics, request)
	case "/v1/traces":
		request := &tracepb.TracesData{}
		c.read(body, request)
		c.traces = append(c.traces, request)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (c *collector) read(body []byte, into proto.Message) {
	if err := proto.Unmarshal(body, into); err != nil {
		c.wrong = append(c.wrong, err)
	}
	if unknown := into.ProtoReflect().GetUnknown(); len(unknown) > 0 {
		c.wrong = append(c.wrong, fmt.Errorf("unknown fields: %x", unknown))
	}
}

// attributeOf is the text of an attribute.
func attributeOf(all []*commonpb.KeyValue, key string) string {
	for _, a := range all {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

func TestOTLPIsReceived(t *testing.T) {
	c := &collector{}
	server := httptest.NewServer(c)
	defer server.Close()
	told := newTold("pay", hostile)
	end := told.OTLP(server.URL+"/", http.Header{"Api-Key": {"s3cret"}})
	started := time.Now().Add(-time.Minute)
	told.Begin(Start{Name: "shop", Started: started, Routes: []string{"pay", hostile}, Links: []string{"bank"},
		Faults: []Fault{{"errors 503 on bank", "bank"}, {"pause of shop", "shop"}}, Claims: []string{"steady"}})
	for range 3 {
		told.second(2000, 20*time.Millisecond)
	}
	told.Event(evidence.Event{At: evidence.Seconds(time.Second), Kind: evidence.KindInject, Fault: 1})
	told.Event(evidence.Event{At: evidence.Seconds(2 * time.Second), Kind: evidence.KindInject, Fault: 2})
	told.Event(evidence.Event{At: evidence.Seconds(2500 * time.Millisecond), Kind: evidence.KindHeal, Fault: 1})
	told.Event(evidence.Event{At: evidence.Seconds(2600 * time.Millisecond), Kind: evidence.KindNote, Text: "a note"})
	told.Rulings([]judge.Verdict{{Ruling: judge.Refuted}}, true)
	end()
	if len(c.wrong) > 0 || len(c.metrics) != 1 || len(c.traces) != 1 || c.headers.Get("Api-Key") != "s3cret" {
		t.Fatalf("%d metrics, %d traces, %v, headers %v", len(c.metrics), len(c.traces), c.wrong, c.headers)
	}
	metricsReceived(t, told, c.metrics[0], started)
	spansReceived(t, c.traces[0], started)
	if told.Lost() != "" {
		t.Error(told.Lost())
	}
}

func metricsReceived(t *testing.T, told *told, m *metricspb.MetricsData, started time.Time) {
	t.Helper()
	all := map[string]*metricspb.Metric{}
	for _, of := range m.ResourceMetrics[0].ScopeMetrics[0].Metrics {
		all[of.Name] = of
	}
	if got := attributeOf(m.ResourceMetrics[0].Resource.Attributes, "service.name"); got != "stormctl" {
		t.Errorf("service.name is %q", got)
	}
	if offered := all["stormctl.offered"].GetSum(); offered.DataPoints[0].GetAsDouble() != 12_000 || !offered.IsMonotonic ||
		offered.AggregationTemporality != metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE {
		t.Errorf("offered: %v", offered)
	}
	var requests float64
	for _, p := range all["stormctl.requests"].GetSum().DataPoints {
		requests += p.GetAsDouble()
		if p.StartTimeUnixNano != uint64(started.UnixNano()) || p.TimeUnixNano <= p.StartTimeUnixNano {
			t.Errorf("it counts from %v to %v, want from %v", p.StartTimeUnixNano, p.TimeUnixNano, started.UnixNano())
		}
	}
	if requests != 12_000 {
		t.Errorf("%v requests", requests)
	}
	for _, h := range all["stormctl.response"].GetExponentialHistogram().DataPoints {
		route, want := attributeOf(h.Attributes, "route"), told.times[0]
		if route != "pay" {
			want = told.times[1]
		}
		if h.Count != uint64(want.Count()) {
			t.Errorf("%d times of %s, want %d", h.Count, route, want.Count())
		}
		for _, q := range []float64{0.5, 0.99, 1} {
			rank, below := q*float64(h.Count), float64(h.ZeroCount)
			for k, n := range h.Positive.BucketCounts {
				if below += float64(n); below >= rank { // bucket k ends at base^(offset+k+1)
					got := math.Exp2(float64(int(h.Positive.Offset)+k+1) / math.Exp2(float64(h.Scale)))
					if exact := want.Quantile(q).Seconds(); got < exact*0.999 || got > exact*1.046 {
						t.Errorf("the %v quantile of %s is at most %v, want %v", q, route, got, exact)
					}
					break
				}
			}
		}
	}
}

func spansReceived(t *testing.T, traces *tracepb.TracesData, started time.Time) {
	t.Helper()
	all := map[string]*tracepb.Span{}
	for _, s := range traces.ResourceSpans[0].ScopeSpans[0].Spans {
		all[s.Name] = s
	}
	run, healed, left := all["run shop"], all["fault errors 503 on bank"], all["fault pause of shop"]
	if len(all) != 3 || !bytes.Equal(healed.ParentSpanId, run.SpanId) || !bytes.Equal(healed.TraceId, run.TraceId) ||
		!bytes.Equal(left.TraceId, run.TraceId) || len(run.TraceId) != 16 || len(run.SpanId) != 8 {
		t.Fatalf("%d spans: %v", len(all), all)
	}
	after := func(nano uint64) time.Duration { return time.Duration(nano - uint64(started.UnixNano())) }
	if after(healed.StartTimeUnixNano) != time.Second || after(healed.EndTimeUnixNano) != 2500*time.Millisecond {
		t.Errorf("the fault is from %v to %v", after(healed.StartTimeUnixNano), after(healed.EndTimeUnixNano))
	}
	const failed = tracepb.Status_STATUS_CODE_ERROR
	if left.Status.GetCode() != failed || run.Status.GetCode() != failed || healed.Status.GetCode() == failed {
		t.Errorf("statuses: %v of a fault left, %v of the run, %v of the other", left.Status, run.Status, healed.Status)
	}
	if ruling := attributeOf(run.Attributes, "stormctl.ruling"); ruling != "refuted" || len(run.Events) != 1 {
		t.Errorf("ruling %q, %d events", ruling, len(run.Events))
	}
}

// A collector that is not there, or refuses, costs a counter each time; spans wait for
// when it takes them.
func TestOTLPCollectorThatIsDead(t *testing.T) {
	c := &collector{status: http.StatusServiceUnavailable}
	server := httptest.NewServer(c)
	defer server.Close()
	l := newTold("pay").Live
	o := newOTLP(l, server.URL, nil)
	l.Begin(Start{Name: "shop", Started: time.Now()})
	l.Rulings(nil, true)
	o.pushAll(o.ctx)
	o.pushAll(o.ctx)
	if failed := l.otlp.failed.Load(); failed != 4 {
		t.Errorf("%d pushes failed, want 4", failed)
	}
	c.mu.Lock()
	c.status = 0
	c.mu.Unlock()
	o.close()
	if len(c.traces) != 1 || len(c.metrics) != 1 {
		t.Errorf("%d traces and %d metrics came in the end", len(c.traces), len(c.metrics))
	}

	dead := &Live{}
	end := dead.OTLP("http://127.0.0.1:1", nil) // nothing listens there
	dead.Begin(Start{Name: "shop", Started: time.Now()})
	end()
	if dead.otlp.failed.Load() == 0 || dead.Lost() == "" {
		t.Error("it is not counted")
	}
}

// What waits is bounded.
func TestSpansAreBounded(t *testing.T) {
	var counts dropped
	p := newSpans(&counts)
	s := Start{Name: "shop", Faults: []Fault{{"errors", "bank"}}}
	p.begin(s)
	for range spansRoom + 10 {
		p.event(s, evidence.Event{Kind: evidence.KindInject, Fault: 1})
		p.event(s, evidence.Event{Kind: evidence.KindHeal, Fault: 1})
		p.event(s, evidence.Event{Kind: evidence.KindNote, Text: "a note"})
	}
	taken := p.take()
	if len(taken) != spansRoom || counts.full.Load() != 10 || len(p.run.Events) != eventsRoom || p.run.DroppedEventsCount != spansRoom+10-eventsRoom {
		t.Errorf("%d spans, %d without room, %d events and %d more", len(taken), counts.full.Load(), len(p.run.Events), p.run.DroppedEventsCount)
	}
	p.putBack(taken)
	if len(p.take()) != spansRoom {
		t.Error("what was put back is gone")
	}
}
