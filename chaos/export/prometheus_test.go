package export

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

const (
	plainText   = "text/plain; version=0.0.4"
	openMetrics = "application/openmetrics-text; version=1.0.0"
	protobuf    = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)

// scraped is what a scrape answers.
func scraped(t *testing.T, h http.Handler, accept string) (body []byte, header http.Header) {
	t.Helper()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d: %s", accept, w.Code, w.Body)
	}
	return w.Body.Bytes(), w.Result().Header
}

// families reads an answer as Prometheus's own library does.
func families(t *testing.T, body []byte, header http.Header) map[string]*dto.MetricFamily {
	t.Helper()
	all := map[string]*dto.MetricFamily{}
	decoder := expfmt.NewDecoder(bytes.NewReader(body), expfmt.ResponseFormat(header))
	for {
		var f dto.MetricFamily
		err := decoder.Decode(&f)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all[f.GetName()] = &f
	}
}

// familiesOf are those of a scrape.
func familiesOf(t *testing.T, h http.Handler, accept string) map[string]*dto.MetricFamily {
	t.Helper()
	body, header := scraped(t, h, accept)
	return families(t, body, header)
}

// value is that of the one metric of a family that has these labels, name and value in
// turn.
func value(t *testing.T, f *dto.MetricFamily, labels ...string) float64 {
	t.Helper()
	for _, m := range f.GetMetric() {
		has := map[string]string{}
		for _, l := range m.Label {
			has[l.GetName()] = l.GetValue()
		}
		matches := len(has) == len(labels)/2
		for i := 0; i < len(labels); i += 2 {
			matches = matches && has[labels[i]] == labels[i+1]
		}
		if matches {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Errorf("%s has no metric with %q", f.GetName(), labels)
	return math.NaN()
}

func TestMetricsSayWhatWasCounted(t *testing.T) {
	l := newTold("pay", hostile)
	handler := l.Metrics()
	for range 3 {
		l.second(5000, 20*time.Millisecond)
	}
	l.Event(evidence.Event{Kind: evidence.KindInject, Fault: 1})
	for _, accept := range []string{plainText, protobuf} {
		body, header := scraped(t, handler, accept)
		all := families(t, body, header)
		for r, name := range []string{"pay", strings.ToValidUTF8(hostile, "\ufffd")} {
			for o, n := range l.sent[r] {
				if got := value(t, all["stormctl_requests_total"], "route", name, "outcome", load.Outcome(o).String()); got != float64(n) {
					t.Errorf("%s: %v requests of %s that are %v, want %d", accept, got, name, load.Outcome(o), n)
				}
			}
		}
		for _, c := range []struct {
			name   string
			want   float64
			labels []string
		}{
			{"stormctl_offered_total", 30_000, nil},
			{"stormctl_link_exchanges_total", 21, []string{"link", "bank", "outcome", "ok"}},
			{"stormctl_link_exchanges_total", 9, []string{"link", "bank", "outcome", "error"}},
			{"stormctl_link_in_flight", 4, []string{"link", "bank"}},
			{"stormctl_fault_active", 1, []string{"fault", "errors 503 on bank", "on", "bank"}},
			{"stormctl_fault_active", 0, []string{"fault", "pause of shop", "on", "shop"}},
			{"stormctl_claim_ruling", 1, []string{"claim", "steady", "ruling", "inconclusive"}},
			{"stormctl_claim_ruling", 0, []string{"claim", "steady", "ruling", "held"}},
			{"stormctl_evidence_lost_total", 7, nil},
			{"stormctl_run_seconds", 3, nil},
			{"stormctl_target_resident_bytes", 5 << 20, []string{"target", "shop"}},
			{"stormctl_target_open_fds", 9, []string{"target", "shop"}},
			{"stormctl_target_threads", 4, []string{"target", "shop"}},
			{"stormctl_run_info", 1, []string{"experiment", "shop", "version", "v1"}},
			{"stormctl_send_lag_seconds", 0.001, []string{"quantile", "0.5"}},
		} {
			if got := value(t, all[c.name], c.labels...); math.Abs(got-c.want) > 0.001*c.want {
				t.Errorf("%s: %s%q is %v, want %v", accept, c.name, c.labels, got, c.want)
			}
		}
		for r := range l.times {
			sameTimes(t, l, r, all["stormctl_response_seconds"].GetMetric(), accept == protobuf)
		}
	}
}

// sameTimes compares the histogram of a route with what was recorded: counts are
// right, and percentiles are as near as its buckets are wide.
func sameTimes(t *testing.T, l *told, route int, metrics []*dto.Metric, exponential bool) {
	t.Helper()
	var h *dto.Histogram
	for _, m := range metrics {
		if (m.Label[0].GetValue() == "pay") == (route == 0) {
			h = m.Histogram
		}
	}
	want := l.times[route]
	mean := want.Summary().Mean.Seconds()
	if h.GetSampleCount() != uint64(want.Count()) || math.Abs(h.GetSampleSum()/float64(h.GetSampleCount())-mean) > 0.002*mean {
		t.Errorf("%d times with a mean of %v, want %d with %v", h.GetSampleCount(), h.GetSampleSum()/float64(h.GetSampleCount()), want.Count(), mean)
	}
	buckets := h.Bucket
	if n := len(buckets); n > 0 && math.IsInf(buckets[n-1].GetUpperBound(), 1) { // the text has it
		buckets = buckets[:n-1]
	}
	if len(buckets) != len(bounds) {
		t.Errorf("%d fixed buckets, want %d", len(buckets), len(bounds))
	}
	for _, b := range buckets {
		var least, most uint64 // that are surely at most as long, and that may be
		want.Buckets(func(from, to time.Duration, n int64) {
			if to.Seconds() <= b.GetUpperBound() {
				least += uint64(n)
			}
			if from.Seconds() <= 1.002*b.GetUpperBound() {
				most += uint64(n)
			}
		})
		if n := b.GetCumulativeCount(); n < least || n > most {
			t.Errorf("%d times within %v s, want %d to %d", n, b.GetUpperBound(), least, most)
		}
	}
	if !exponential {
		return
	}
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		if got, want := quantileOf(h, q), want.Quantile(q).Seconds(); got < want*0.999 || got > want*1.046 {
			t.Errorf("the exponential buckets say that the %v quantile is at most %v s, want %v", q, got, want)
		}
	}
}

// quantileOf is the end of the exponential bucket that a quantile is in.
func quantileOf(h *dto.Histogram, q float64) float64 {
	rank, i, n, below := q*float64(h.GetSampleCount()), int32(0), int64(0), float64(h.GetZeroCount())
	delta := 0
	for _, span := range h.PositiveSpan {
		i += span.GetOffset()
		for range span.GetLength() {
			n += h.PositiveDelta[delta]
			delta++
			if below += float64(n); below >= rank {
				return math.Exp2(float64(i) / math.Exp2(float64(h.GetSchema())))
			}
			i++
		}
	}
	return math.NaN()
}

// Prometheus itself reads OpenMetrics so; its end must be there.
func TestMetricsAreOpenMetrics(t *testing.T) {
	l := newTold("pay", hostile)
	l.second(100, time.Millisecond)
	body, header := scraped(t, l.Metrics(), openMetrics)
	if got := header.Get("Content-Type"); !strings.HasPrefix(got, "application/openmetrics-text") {
		t.Errorf("Content-Type %q", got)
	}
	parser := textparse.NewOpenMetricsParser(body, labels.NewSymbolTable())
	series := 0
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry == textparse.EntrySeries {
			series++
		}
	}
	if series < 50 {
		t.Errorf("%d series", series)
	}
	for name := range familiesOf(t, l.Metrics(), plainText) {
		if !model.LegacyValidation.IsValidMetricName(name) || !strings.HasPrefix(name, "stormctl_") {
			t.Errorf("%q is no name for a metric of ours", name)
		}
	}
}

// Before a run has begun there is nothing but what receivers failed at, and that is a
// whole answer.
func TestMetricsBeforeARun(t *testing.T) {
	all := familiesOf(t, (&Live{}).Metrics(), protobuf)
	if all["stormctl_scrapes_total"] == nil || all["stormctl_offered_total"] != nil {
		t.Errorf("families %v", all)
	}
}

// pipes is a listener whose connections buffer nothing: who does not read lets the
// writer wait at once.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.done) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// Scrapers that ask and do not read are cut off after a while, and more of them at once
// are refused. They change these counters, and who tells waits for none of them.
func TestScrapersThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTold("pay", "browse")
		listener := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- l.Serve(ctx, listener, "") }()
		const hanging, more = scrapesAtOnce, 3
		for i := range hanging + more {
			server, client := net.Pipe()
			defer client.Close()
			listener.conns <- server
			if _, err := io.WriteString(client, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if i >= hanging { // these get an answer, which says so
				answer := make([]byte, 12)
				if _, err := io.ReadFull(client, answer); err != nil || string(answer) != "HTTP/1.1 503" {
					t.Errorf("%q, %v, want 503", answer, err)
				}
			}
		}
		began := time.Now()
		for range 100 {
			l.second(10, time.Millisecond)
			l.Event(evidence.Event{Kind: evidence.KindInject, Fault: 1})
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("who tells of seconds waited %v", took)
		}
		time.Sleep(readWithin + time.Second)
		if unread, refused := l.scrapes[scrapeSlow].Load(), l.scrapes[scrapeBusy].Load(); unread != hanging || refused != more {
			t.Errorf("%d scrapes were unread and %d refused, want %d and %d", unread, refused, hanging, more)
		}
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// A page of a browser, a foreign name and who has not the token get nothing.
func TestMetricsAreGuarded(t *testing.T) {
	for _, c := range []struct {
		token, host string
		headers     []string
		want        int
	}{
		{"", "127.0.0.1:9464", nil, 200},
		{"", "rebind.example", nil, 403},
		{"", "localhost", []string{"Origin", "http://localhost"}, 403},
		{"s3cret", "127.0.0.1", nil, 401},
		{"s3cret", "storm.example", []string{"Authorization", "Bearer s3cret"}, 200},
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- newTold("pay").Serve(ctx, listener, c.token) }()
		r, err := http.NewRequest("GET", "http://"+listener.Addr().String()+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		for i := 0; i < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != c.want {
			t.Errorf("%+v: %d", c, answer.StatusCode)
		}
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}
