package reference

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// chainOfEvents is a publisher, a broker and a ledger, between which consumers come and go.
type chainOfEvents struct {
	t         *testing.T
	broker    string // its URL
	publisher *publisher
	ledger    *ledger
	link      *httptest.Server // to the ledger
	answers   atomic.Int32     // how the link answers: see below
	dir       string           // of consumers
	published []string         // ids, in the order in which they were acknowledged
}

// How a link to the ledger answers.
const (
	asItIs  int32 = iota
	refuses       // 503, before anything is done
	drops         // not at all, after it was done
)

// newEvents starts a real broker. The publisher may have a flaw.
func newEvents(t *testing.T, flaw string) *chainOfEvents {
	t.Helper()
	c := &chainOfEvents{t: t, ledger: newLedger(&ledgerSettings{}), dir: t.TempDir()}
	at := make(chan string, 1)
	ctx, stop := context.WithCancel(context.Background())
	var broker sync.WaitGroup
	broker.Go(func() {
		if err := Serve(ctx, "broker", Config{Listen: "127.0.0.1:0", Dir: t.TempDir()}, func(addr string) { at <- addr }); err != nil {
			t.Error(err)
			at <- ""
		}
	})
	t.Cleanup(func() { stop(); broker.Wait() })
	c.broker = "http://" + <-at
	c.link = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch how := c.answers.Load(); {
		case how == refuses:
			w.WriteHeader(http.StatusServiceUnavailable)
		case how == drops && r.Method == http.MethodPost:
			c.ledger.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			c.ledger.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(c.link.Close)
	with := map[string]string{}
	if flaw != "" {
		with["flaw"] = flaw
	}
	s, err := parsePublisher(with)
	if err != nil {
		t.Fatal(err)
	}
	life, end := context.WithCancel(context.Background())
	p, err := newPublisher(life, s, map[string]string{"publish": c.broker})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(); p.close() })
	c.publisher = p
	untilIs(t, "the stream is made", func() bool { return p.ready.Load() })
	return c
}

// untilIs waits for something that must come to be; what takes minutes has failed.
func untilIs(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for a minute: %s", what)
		}
	}
}

// publish publishes n events of three keys, one after another.
func (c *chainOfEvents) publish(n int) {
	c.t.Helper()
	for range n {
		id := fmt.Sprintf("%04d", len(c.published))
		r := httptest.NewRequest(http.MethodPost, fmt.Sprintf("/event/k%d", len(c.published)%3), nil)
		r.Header.Set("X-Request-Id", id)
		out := httptest.NewRecorder()
		if c.publisher.ServeHTTP(out, r); out.Code != http.StatusOK {
			c.t.Fatalf("publish %s: %d %s", id, out.Code, out.Body)
		}
		c.published = append(c.published, id)
	}
}

// consume starts a consumer, which ends at the end, or earlier by stop. A stop is a crash as far as the broker
// and the ledger can see: nothing more is acknowledged.
func (c *chainOfEvents) consume(with ...string) (k *consumer, stop func()) {
	c.t.Helper()
	settings := map[string]string{"ack_wait": "300ms", "timeout": "5s"}
	for _, setting := range with {
		key, value, _ := strings.Cut(setting, "=")
		settings[key] = value
	}
	s, err := parseConsumer(settings)
	if err != nil {
		c.t.Fatal(err)
	}
	life, end := context.WithCancel(context.Background())
	k, err = newConsumer(life, s, map[string]string{"events": c.broker, "ledger": c.link.URL}, c.dir)
	if err != nil {
		c.t.Fatal(err)
	}
	var once sync.Once
	stop = func() { once.Do(func() { end(); k.close() }) }
	c.t.Cleanup(stop)
	return k, stop
}

// pending waits until all that was published has been delivered, and n of it are not acknowledged.
func (c *chainOfEvents) pending(n int) {
	c.t.Helper()
	untilIs(c.t, fmt.Sprintf("%d events are delivered and not acknowledged", n), func() bool {
		s, err := c.publisher.broker.(*jetStreamTopic).js.Consumer(c.t.Context(), streamName, durableName)
		if err != nil {
			return false
		}
		info := s.CachedInfo()
		return int(info.Delivered.Stream) == len(c.published) && info.NumAckPending == n
	})
}

// audit is what the ledger answers.
func (c *chainOfEvents) audit() (a struct {
	Count             int
	IDs, Keys, Parked []string
}) {
	c.t.Helper()
	out := httptest.NewRecorder()
	c.ledger.ServeHTTP(out, httptest.NewRequest(http.MethodGet, "/ledger", nil))
	if err := json.Unmarshal(out.Body.Bytes(), &a); err != nil {
		c.t.Fatal(err)
	}
	if a.Count != len(a.IDs) || len(a.Keys) != len(a.IDs) {
		c.t.Fatalf("the ledger counts %d, and has %d ids and %d keys", a.Count, len(a.IDs), len(a.Keys))
	}
	return a
}

func (c *chainOfEvents) booked(n int) {
	c.t.Helper()
	untilIs(c.t, fmt.Sprintf("%d events are booked", n), func() bool { return c.audit().Count >= n })
}

// findings are how many events are lost, were booked again, and were overtaken by a later one of their key.
func (c *chainOfEvents) findings() (lost, again, overtaken int) {
	c.t.Helper()
	a := c.audit()
	latest, seen := map[string]string{}, map[string]bool{}
	for i, id := range a.IDs {
		if seen[id] {
			again++
			continue
		}
		seen[id] = true
		if key := a.Keys[i]; id < latest[key] { // ids grow
			overtaken++
		} else {
			latest[key] = id
		}
	}
	for _, id := range c.published {
		if !seen[id] {
			lost++
		}
	}
	return lost, again, overtaken
}

func (c *chainOfEvents) want(wantLost, wantAgain, wantOvertaken bool) {
	c.t.Helper()
	lost, again, overtaken := c.findings()
	if lost > 0 != wantLost || again > 0 != wantAgain || overtaken > 0 != wantOvertaken {
		c.t.Errorf("%d of %d lost, %d booked again, %d overtaken; want some: %t, %t, %t",
			lost, len(c.published), again, overtaken, wantLost, wantAgain, wantOvertaken)
	}
}

func TestConsumer(t *testing.T) {
	c := newEvents(t, "")
	c.consume()
	c.publish(60)
	c.booked(60)
	c.want(false, false, false)
	out := httptest.NewRecorder()
	c.ledger.ServeHTTP(out, httptest.NewRequest(http.MethodGet, "/state", nil))
	if got := strings.TrimSpace(out.Body.String()); got != `{"total":60}` {
		t.Errorf("state %s", got)
	}
}

// Calls that took effect and had no answer, and calls that failed: whoever has no table books again.
func TestConsumerHasNoAnswer(t *testing.T) {
	for _, flaw := range []string{"", "applies-twice"} {
		t.Run("flaw="+flaw, func(t *testing.T) {
			c := newEvents(t, "")
			c.answers.Store(drops)
			c.consume(given(flaw)...)
			c.publish(10)
			c.booked(3) // one of each key
			if flaw != "" {
				c.booked(6)
			}
			c.answers.Store(asItIs)
			untilIs(t, "all are booked", func() bool { lost, _, _ := c.findings(); return lost == 0 })
			c.want(false, flaw != "", false)
		})
	}
}

func given(flaw string) []string {
	if flaw == "" {
		return nil
	}
	return []string{"flaw=" + flaw}
}

// No acknowledgement arrives, and the consumer is started anew: the broker delivers all again.
func TestConsumerIsRestartedWithoutAcknowledgements(t *testing.T) {
	for _, flaw := range []string{"", "forgets-after-restart"} {
		t.Run("flaw="+flaw, func(t *testing.T) {
			c := newEvents(t, "")
			k, stop := c.consume("flaw=never-acks")
			c.publish(30)
			c.booked(30)
			stop()
			k.noting.Lock()
			before := len(k.lines)
			k.noting.Unlock()
			k, _ = c.consume(given(flaw)...)
			c.publish(1) // its turn comes after that of all others
			if flaw == "" {
				c.booked(31)
			} else {
				c.booked(61)
			}
			c.want(false, flaw != "", false)
			out := httptest.NewRecorder()
			k.ServeHTTP(out, httptest.NewRequest(http.MethodGet, "/deliveries", nil))
			var all struct{ Count int }
			if err := json.Unmarshal(out.Body.Bytes(), &all); err != nil || all.Count < before+31 {
				t.Errorf("%d deliveries, %v; want those of the first process, %d, and 31 more", all.Count, err, before)
			}
		})
	}
}

// The ledger is down while events are taken, and the consumer dies: what was acknowledged before it was applied is lost.
func TestConsumerDiesWithEventsInHand(t *testing.T) {
	for _, flaw := range []string{"", "acks-first"} {
		t.Run("flaw="+flaw, func(t *testing.T) {
			c := newEvents(t, "")
			c.answers.Store(refuses)
			_, stop := c.consume(given(flaw)...)
			c.publish(30)
			if flaw == "" {
				c.pending(30)
			} else {
				c.pending(0)
			}
			stop()
			c.answers.Store(asItIs)
			c.consume()
			c.publish(1)
			untilIs(t, "the last one is booked", func() bool { return slices.Contains(c.audit().IDs, c.published[30]) })
			c.want(flaw != "", false, false)
		})
	}
}

// After a crash new events come before those that are delivered again.
func TestConsumerIsGivenEventsOutOfOrder(t *testing.T) {
	for _, flaw := range []string{"", "applies-gap"} {
		t.Run("flaw="+flaw, func(t *testing.T) {
			c := newEvents(t, "")
			c.answers.Store(refuses)
			_, stop := c.consume("ack_wait=3s")
			c.publish(30)
			c.pending(30)
			stop()
			c.answers.Store(asItIs)
			c.consume(append(given(flaw), "ack_wait=3s")...)
			c.publish(30)
			c.booked(60)
			c.want(false, false, flaw != "")
		})
	}
}

// What the broker no longer has is not waited for.
func TestConsumerGoesOnWithoutWhatTheBrokerDropped(t *testing.T) {
	c := newEvents(t, "drops-oldest")
	c.answers.Store(refuses)
	_, stop := c.consume()
	c.publish(1)
	c.pending(1)
	stop()
	c.answers.Store(asItIs)
	c.publish(250)
	c.consume()
	c.booked(200)
	if lost, again, overtaken := c.findings(); lost != 51 || again != 0 || overtaken != 0 {
		t.Errorf("%d lost, %d booked again, %d overtaken; want 251 - 200 lost", lost, again, overtaken)
	}
}

// An event that the ledger refuses is parked, and those after it go on.
func TestConsumerParks(t *testing.T) {
	c := newEvents(t, "")
	inner := c.link.Config.Handler
	c.link.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Request-Id") == "0002" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		inner.ServeHTTP(w, r)
	})
	c.consume("attempts=3")
	c.publish(9)
	c.booked(8)
	if a := c.audit(); !slices.Equal(a.Parked, []string{"0002"}) || slices.Contains(a.IDs, "0002") {
		t.Errorf("parked %v, booked %v", a.Parked, a.IDs)
	}
}

func TestLedgerSkipsAnEvent(t *testing.T) {
	for flaw, want := range map[string]int{"": 150, "skips-event": 149} {
		l := newLedger(&ledgerSettings{flaw: flaw})
		for i := range 150 {
			l.book(fmt.Sprint(i), fmt.Sprint(i%7))
		}
		if got := l.kept(); got != want {
			t.Errorf("flaw %q: the state is %d, want %d of 150", flaw, got, want)
		}
	}
}

func TestPublisherRefuses(t *testing.T) {
	p := &publisher{settings: &publisherSettings{}}
	for _, test := range []struct {
		method, path, id string
		want             int
	}{
		{"POST", "/event/a.b", "1", 400}, {"POST", "/event/", "1", 400}, {"POST", "/event/a", "", 400},
		{"GET", "/event/a", "1", 404}, {"POST", "/", "1", 404}, {"GET", "/healthz", "", 503},
	} {
		r := httptest.NewRequest(test.method, test.path, nil)
		r.Header.Set("X-Request-Id", test.id)
		out := httptest.NewRecorder()
		if p.ServeHTTP(out, r); out.Code != test.want {
			t.Errorf("%s %s: %d, want %d", test.method, test.path, out.Code, test.want)
		}
	}
}
