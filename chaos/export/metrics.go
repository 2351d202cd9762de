package export

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/stormctl/stormctl/chaos/guard"
)

// scrapeEnd is how a scrape ended.
type scrapeEnd int

const (
	scrapeServed scrapeEnd = iota
	scrapeBusy             // refused, because so many others were being answered
	scrapeSlow             // its reader took the answer too slowly, or went away
	scrapeFailed           // nothing could be made of it
	scrapeEnds
)

func (e scrapeEnd) String() string {
	return [scrapeEnds]string{"served", "refused", "unread", "failed"}[e]
}

const (
	// scrapesAtOnce is how many scrapes are answered at a time; more are refused.
	scrapesAtOnce = 4

	// readWithin is how long the reader of an answer may take.
	readWithin = 5 * time.Second
)

// Metrics is the handler of GET /metrics: what l knows, in the format that a scraper
// asks for. However often it is asked, what l knows is written once.
func (l *Live) Metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(l)
	m := &metrics{live: l, registry: registry, free: make(chan struct{}, scrapesAtOnce), texts: map[expfmt.Format]text{}}
	paths := http.NewServeMux()
	paths.Handle("GET /metrics", m)
	return paths
}

type metrics struct {
	live     *Live
	registry *prometheus.Registry
	free     chan struct{}

	mu    sync.Mutex // held while a text is made
	texts map[expfmt.Format]text
}

// text is what was known, as it is served.
type text struct {
	of   uint64 // number of the snapshot
	made time.Time
	body []byte
}

func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case m.free <- struct{}{}:
		defer func() { <-m.free }()
	default:
		m.count(scrapeBusy)
		http.Error(w, fmt.Sprintf("%d scrapes are being answered: ask again later", scrapesAtOnce), http.StatusServiceUnavailable)
		return
	}
	format := expfmt.NegotiateIncludingOpenMetrics(r.Header)
	body, err := m.text(format)
	if err != nil {
		m.count(scrapeFailed)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(readWithin)) // the server's own is later
	w.Header().Set("Content-Type", string(format))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if _, err := w.Write(body); err != nil {
		m.count(scrapeSlow)
		return
	}
	if err := http.NewResponseController(w).Flush(); err != nil {
		m.count(scrapeSlow)
		return
	}
	m.count(scrapeServed)
}

func (m *metrics) count(end scrapeEnd) { m.live.scrapes[end].Add(1) }

// text is what is known in a format. Before anything changes, or a second is over, it
// is the same text.
func (m *metrics) text(format expfmt.Format) ([]byte, error) {
	var number uint64
	if now := m.live.now.Load(); now != nil {
		number = now.number
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t, made := m.texts[format]; made && time.Since(t.made) < time.Second && t.of == number {
		return t.body, nil
	}
	families, err := m.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather metrics: %w", err)
	}
	var out bytes.Buffer
	encoder := expfmt.NewEncoder(&out, format)
	for _, f := range families {
		if err := encoder.Encode(f); err != nil {
			return nil, fmt.Errorf("write metrics as %s: %w", format, err)
		}
	}
	if closer, ok := encoder.(expfmt.Closer); ok { // OpenMetrics has an end
		if err := closer.Close(); err != nil {
			return nil, fmt.Errorf("write metrics as %s: %w", format, err)
		}
	}
	if len(m.texts) >= mostFormats {
		clear(m.texts)
	}
	m.texts[format] = text{number, time.Now(), out.Bytes()}
	return out.Bytes(), nil
}

// mostFormats bounds the texts that are kept: a scraper asks for one, and there are
// parameters to it.
const mostFormats = 8

// Serve answers scrapes on listener, which must bear token unless that is "", until ctx
// is done. It closes the listener.
func (l *Live) Serve(ctx context.Context, listener net.Listener, token string) error {
	return guard.Serve(ctx, listener, guard.New(guard.Config{Token: token}).Wrap(l.Metrics()))
}
