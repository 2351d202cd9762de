package reference

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// publisher answers
//
//	POST /event/KEY   publishes an event of that key, with the id of the request
//	/healthz          whether the broker has a place for events
//
// over the broker that its links lead to, each to one of its nodes. A sound publisher answers 200 once the broker has
// acknowledged the event, and 503 for whatever else becomes of it: whether it was published is then not
// known. It never publishes a request twice.
type publisher struct {
	settings *publisherSettings
	broker   topic
	ready    atomic.Bool // the broker has a place for events
	made     sync.WaitGroup
}

// topic is a broker as its publishers have it. Its methods may be called at once.
type topic interface {
	keep(ctx context.Context) error // makes the place that events are kept in, or finds it made
	// publish sends an event once. It returns when the broker has acknowledged it or, without confirms, when it is
	// on its way.
	publish(ctx context.Context, e news) error
	close()
}

// news is an event that is to be published.
type news struct {
	key, id, trace string
	body           []byte
}

// publisherSettings configure a publisher, and the place for events that it makes.
type publisherSettings struct {
	driver   string
	confirms string
	persist  string
	replicas int
	keep     int
	timeout  time.Duration
	flaw     string
}

var publisherKeys = []key[publisherSettings]{
	oneOf("driver", "jetstream", "what its link leads to: a NATS server with JetStream, or RabbitMQ, "+
		"where events are persistent and their queue is durable",
		[]string{"jetstream", "rabbitmq"}, func(s *publisherSettings) *string { return &s.driver }),
	oneOf("confirms", "on", "whether it waits until the broker has acknowledged an event (of RabbitMQ: publisher confirms), "+
		"or answers once that is sent",
		[]string{"on", "off"}, func(s *publisherSettings) *string { return &s.confirms }),
	oneOf("persist", "default", "of jetstream: whether the broker writes an event before it acknowledges it (default), "+
		"or later (async, its persist_mode)",
		[]string{"default", "async"}, func(s *publisherSettings) *string { return &s.persist }),
	whole("replicas", "1", "", "of jetstream: nodes of its cluster that have each event, "+
		"of which a majority must have it before it is acknowledged", 1, 5,
		func(s *publisherSettings) *int { return &s.replicas }),
	whole("keep", "0", "", "events that the broker keeps, the latest, consumed or not; 0 keeps all", 0, 100_000_000,
		func(s *publisherSettings) *int { return &s.keep }),
	wait("timeout", "2s", "", "how long the broker may take to acknowledge an event", time.Millisecond, never,
		func(s *publisherSettings) *time.Duration { return &s.timeout }),
	flawOf("breaks it in one way", func(s *publisherSettings) *string { return &s.flaw }),
}

// publisherFlaws are those of a publisher.
var publisherFlaws = []Flaw{
	{"drops-oldest", "keep", "drains", "has the broker keep the latest 200 events only, consumed or not"},
	{"unconfirmed", "confirms", "durable", "answers 200 for what is on its way to the broker, acknowledged or not"},
	{"async-persist", "persist", "durable", "has the broker acknowledge events before they are written (persist_mode: async)"},
}

func parsePublisher(with map[string]string) (*publisherSettings, error) {
	s, err := parseFlawed("publisher", publisherKeys, publisherFlaws, with)
	if err != nil {
		return nil, err
	}
	switch s.flaw {
	case "drops-oldest":
		s.keep = 200
	case "unconfirmed":
		s.confirms = "off"
	case "async-persist":
		s.persist = "async"
	}
	if s.persist != "default" && s.driver != "jetstream" {
		return nil, errors.New("publisher: persist async, and the flaw async-persist, go with driver jetstream only")
	}
	if s.replicas > 1 && (s.driver != "jetstream" || s.persist != "default") {
		return nil, errors.New("publisher: replicas: more than one go with driver jetstream and persist default only")
	}
	return s, nil
}

// publisherService is the reference service publisher.
func publisherService() service {
	return configured(Description{
		Name: "publisher", About: "publishes each request to a broker, and answers once that has acknowledged it",
		Settings: describe(publisherKeys), Flaws: slices.Clone(publisherFlaws),
	}, parsePublisher, nil, func(life context.Context, s *publisherSettings, c Config) (http.Handler, error) {
		return newPublisher(life, s, c.Deps)
	})
}

func newPublisher(life context.Context, s *publisherSettings, deps map[string]string) (*publisher, error) {
	addrs, err := nodes(deps)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 || len(addrs) > 1 && s.driver != "jetstream" {
		return nil, errors.New("a publisher needs a link to its broker: links: {publish: {from: PUBLISHER, to: BROKER, protocol: tcp}}; " +
			"with driver jetstream there may be one to each node")
	}
	p := &publisher{settings: s}
	if s.driver == "rabbitmq" {
		p.broker = newRabbitTopic(life, s, addrs[0])
	} else if p.broker, err = newJetStreamTopic(s, addrs); err != nil {
		return nil, err
	}
	p.made.Go(func() {
		for !p.ready.Load() {
			ctx, cancel := context.WithTimeout(life, s.timeout)
			p.ready.Store(p.broker.keep(ctx) == nil)
			cancel()
			if !p.ready.Load() && !rest(life, retryPause) {
				return
			}
		}
	})
	return p, nil
}

func (p *publisher) close() {
	p.made.Wait()
	p.broker.close()
}

// isKey reports whether a key can be part of a subject of NATS.
func isKey(key string) bool {
	return key != "" && len(key) <= longestValue && !strings.ContainsFunc(key, func(r rune) bool {
		return r <= ' ' || r == '.' || r == '*' || r == '>' || r == '/' || r == 0x7f
	})
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, ofEvent := strings.CutPrefix(r.URL.Path, "/event/")
	id := requestID(r.Header.Get(idHeader), r.Header.Get(traceHeader))
	switch {
	case r.URL.Path == "/healthz":
		if !p.ready.Load() {
			http.Error(w, "the broker has no place for events yet", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	case !ofEvent || r.Method != http.MethodPost:
		http.Error(w, "there are POST /event/KEY and /healthz", http.StatusNotFound)
	case !isKey(key):
		http.Error(w, "a key has neither white space nor any of . * > /", http.StatusBadRequest)
	case id == "":
		http.Error(w, "an event needs an id: X-Request-Id, or traceparent", http.StatusBadRequest)
	default:
		p.publish(w, r, key, id)
	}
}

func (p *publisher) publish(w http.ResponseWriter, r *http.Request, key, id string) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxValue))
	if err != nil {
		http.Error(w, "the body ended early", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), p.settings.timeout)
	defer cancel()
	err = p.broker.publish(ctx, news{key, id, r.Header.Get(traceHeader), body})
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	writeJSON(w, map[string]any{"id": id, "key": key})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the caller has gone if it fails
}
