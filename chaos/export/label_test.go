package export

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load/input"
)

// Words of others, as a target's last output, reach no receiver with controls in them:
// who reads metrics with curl, or notices in a log, has a terminal.
func TestReceiversAreToldNoControls(t *testing.T) {
	const evil = "a\x1b[2J\u202eb\u009bc\x00d\x7f"
	start := Start{Name: evil, Started: time.Now(), Routes: []string{evil}, Links: []string{evil}, Faults: []Fault{{Name: evil, On: evil}}, Claims: []string{evil}}
	var mu sync.Mutex
	var sent []string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var n Notice
		if err := json.Unmarshal(body, &n); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		sent = append(sent, n.Run, n.Text, n.Fault, n.On, n.Target, n.Error)
		for _, c := range n.Claims {
			sent = append(sent, c.Name, c.Reason)
		}
	}))
	defer receiver.Close()
	l := &Live{Version: "v"}
	end := l.Webhook(receiver.URL, nil)
	spans := newSpans(&l.otlp)
	l.sinks = append(l.sinks, spans)
	l.Begin(start)
	l.Event(evidence.Event{Kind: evidence.KindInject, Fault: 1, Text: evil})
	l.Event(evidence.Event{Kind: evidence.KindHeal, Fault: 1, Error: evil})
	l.Event(evidence.Event{Kind: evidence.KindDeath, Target: evil, Text: "one line\n" + evil})
	l.Rulings([]judge.Verdict{{Name: evil, Ruling: judge.Refuted, Reason: evil}}, true)
	end()
	mu.Lock()
	defer mu.Unlock()
	l.now.Load().collectTexts(t, &sent)
	for _, s := range spans.take() {
		text, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{s}}}}}})
		if err != nil {
			t.Error(err)
		}
		if strings.Contains(string(text), "\x1b[2J") || strings.Contains(string(text), "\u202e") {
			t.Errorf("a span has controls: %q", text)
		}
	}
	if len(sent) < 20 {
		t.Fatalf("%d texts were sent: %q", len(sent), sent)
	}
	for _, text := range sent {
		for _, r := range text {
			if r != '\n' && !input.Shown(r) {
				t.Errorf("%q was sent", text)
				break
			}
		}
	}
}

// collectTexts adds the metrics of a snapshot as they are scraped.
func (s *snapshot) collectTexts(t *testing.T, to *[]string) {
	t.Helper()
	l := &Live{}
	l.now.Store(s)
	server := httptest.NewServer(l.Metrics())
	defer server.Close()
	res, err := http.Get(server.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d: %v", res.StatusCode, err)
	}
	*to = append(*to, string(text))
}
