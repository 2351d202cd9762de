package http

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// ledger is a server that does work: it books an amount. If it is sound it does
// so once per Idempotency-Key, and answers a request that comes again like the
// first.
type ledger struct {
	sound bool

	mu      sync.Mutex
	asked   map[string]int // requests by key
	effects map[string]int // bookings by key
}

func (s *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	amount, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	s.mu.Lock()
	s.asked[key]++
	if !s.sound || s.effects[key] == 0 {
		s.effects[key]++
	}
	s.mu.Unlock()
	fmt.Fprintf(w, "booked %s", amount)
}

func (s *ledger) of(key string) (asked, effects int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[key], s.effects[key]
}

// TestIdempotency: a request that comes twice, by the network's doing or by a
// caller's who never heard of the first, must not be done twice. The faults
// show which of two servers is right.
func TestIdempotency(t *testing.T) {
	for _, sound := range []bool{true, false} {
		for _, tx := range []toxic.Toxic{
			toxic.Duplicate{Select: toxic.Select{Share: 1, Match: &toxic.Match{Method: "POST"}}},
			toxic.DropResponse{Then: "reset", Select: toxic.Select{Share: 1, First: 1, Match: &toxic.Match{Method: "POST"}}},
		} {
			t.Run(fmt.Sprintf("%v, sound: %v", tx, sound), func(t *testing.T) {
				book := &ledger{sound: sound, asked: map[string]int{}, effects: map[string]int{}}
				server := httptest.NewServer(book)
				defer server.Close()
				l := listen(t, server.Listener.Addr().String())
				remove := l.Add(4, tx)

				const key = "order-7"
				tries := 0
				for answer := ""; answer != "booked 42"; tries++ {
					if tries == 3 {
						t.Fatalf("the caller never heard that it is booked, but %q", answer)
					}
					answer = book.ask(l, key)
				}
				wiretest.Eventually(t, "it is asked twice", func() bool { asked, _ := book.of(key); return asked >= 2 })
				asked, effects := book.of(key)
				want := 1
				if !sound {
					want = 2
				}
				if asked != 2 || effects != want {
					t.Errorf("asked %d times, booked %d times; want 2 and %d", asked, effects, want)
				}
				if hit := l.Hit(4); hit != 1 {
					t.Errorf("hit %d, want 1", hit)
				}
				for i := range tries {
					x := l.Next()
					if x.Key == 0 || x.Payload == 0 || x.HitBy(4) != (i == 0) {
						t.Errorf("recorded %+v, want the key and the payload, and the fault on the first", x)
					}
				}
				remove()
				book.ask(l, "order-8")
				if asked, effects := book.of("order-8"); asked != 1 || effects != 1 {
					t.Errorf("after the heal: asked %d times, booked %d times; want once", asked, effects)
				}
				l.recorded(evidence.Answered, 200, false)
			})
		}
	}
}

// ask books 42 and returns the answer, or the error.
func (s *ledger) ask(l *testLink, key string) string {
	req, err := http.NewRequest("POST", "http://"+l.Addr()+"/book", strings.NewReader("42"))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Idempotency-Key", key)
	transport := &http.Transport{DisableKeepAlives: true} // no retry of its own
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}
