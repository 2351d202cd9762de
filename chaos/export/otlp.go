package export

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// otlpEvery is how often metrics are pushed.
const otlpEvery = 10 * time.Second

// otlpScope is who measured it.
const otlpScope = "github.com/stormctl/stormctl"

// otlp pushes metrics and spans to a collector, by OTLP over HTTP, on a goroutine of its
// own. The messages are made of the snapshot as they are sent, and the same bytes as
// those of the collector's service: its request has the fields of MetricsData, and of
// TracesData.
type otlp struct {
	live    *Live
	base    string // URL, without a slash at its end
	headers http.Header
	client  *http.Client
	spans   *spans

	done sync.WaitGroup
	ctx  context.Context // of all pushes but the last
	stop context.CancelFunc
}

// OTLP has l push metrics and spans to the collector at base, to base/v1/metrics and
// base/v1/traces, with headers. It must be called before the first Begin. close pushes
// what there is to push, for two seconds at most.
func (l *Live) OTLP(base string, headers http.Header) (close func()) {
	o := newOTLP(l, base, headers)
	o.done.Go(func() { o.push(otlpEvery) })
	return o.close
}

func newOTLP(l *Live, base string, headers http.Header) *otlp {
	o := &otlp{live: l, base: strings.TrimSuffix(base, "/"), headers: headers, client: newClient(), spans: newSpans(&l.otlp)}
	o.ctx, o.stop = context.WithCancel(context.Background())
	l.sinks = append(l.sinks, o.spans)
	return o
}

func (o *otlp) push(every time.Duration) {
	again := time.NewTicker(every)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			o.pushAll(o.ctx)
		case <-o.ctx.Done():
			return
		}
	}
}

func (o *otlp) close() {
	o.stop()
	o.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
	defer cancel()
	o.pushAll(ctx)
	o.client.CloseIdleConnections()
}

// pushAll pushes what is known now, and the spans that have ended. Metrics that are not
// taken are in the next push, as they count from the start; spans wait for it.
func (o *otlp) pushAll(ctx context.Context) {
	resource := o.resource()
	var pushed sync.WaitGroup
	pushed.Go(func() {
		metrics := o.live.otlpMetrics(time.Now())
		if metrics == nil {
			return
		}
		data := &metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{Resource: resource,
			ScopeMetrics: []*metricspb.ScopeMetrics{{Scope: o.scope(), Metrics: metrics}}}}}
		if o.send(ctx, "/v1/metrics", data) != nil {
			o.live.otlp.failed.Add(1)
		}
	})
	pushed.Go(func() {
		ended := o.spans.take()
		if len(ended) == 0 {
			return
		}
		data := &tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{Resource: resource,
			ScopeSpans: []*tracepb.ScopeSpans{{Scope: o.scope(), Spans: ended}}}}}
		if o.send(ctx, "/v1/traces", data) != nil {
			o.live.otlp.failed.Add(1)
			o.spans.putBack(ended)
		}
	})
	pushed.Wait()
}

func (o *otlp) scope() *commonpb.InstrumentationScope {
	return &commonpb.InstrumentationScope{Name: otlpScope, Version: label(o.live.Version)}
}

// resource is what is told of: this program, and the run by its name.
func (o *otlp) resource() *resourcepb.Resource {
	attributes := []*commonpb.KeyValue{attribute("service.name", "stormctl"), attribute("service.version", o.live.Version)}
	if now := o.live.now.Load(); now != nil {
		attributes = append(attributes, attribute("stormctl.experiment", now.name))
	}
	return &resourcepb.Resource{Attributes: attributes}
}

func attribute(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: label(value)}}}
}

// send posts a message once.
func (o *otlp) send(ctx context.Context, path string, message proto.Message) error {
	body, err := proto.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	for name, values := range o.headers {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("User-Agent", "stormctl")
	status, err := answered(o.client, r)
	if err == nil && status >= 300 {
		err = fmt.Errorf("push: status %d", status)
	}
	return err
}
