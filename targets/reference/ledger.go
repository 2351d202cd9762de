package reference

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// ledger answers
//
//	POST /event/KEY   books an event: that of X-Request-Id, or else of traceparent
//	GET  /event/ID    {"times": N}: how often an event was booked
//	PUT  /parked/ID   notes an event that its consumer has given up
//	GET  /ledger      {"count": N, "ids": [..], "keys": [..], "parked": [..]} in the order in which they were booked
//	GET  /state       {"total": N}: the sum over all keys, as it was kept with each event
//	GET  /fold        {"total": N}: the same, folded from the events
//	/healthz
//
// It books what it is told, as often as it is told: that nothing is booked twice or out of turn is for its
// caller to see to. It keeps all in memory, and ends with its process.
type ledger struct {
	settings *ledgerSettings

	mu        sync.Mutex
	ids, keys []string // of one booking each
	times     map[string]int
	state     map[string]int // bookings of each key
	parked    []string
}

// ledgerSettings configure a ledger.
type ledgerSettings struct {
	serviceTime time.Duration
	flaw        string
}

var ledgerKeys = []key[ledgerSettings]{
	wait("service_time", "0s", "", "how long a booking takes", 0, never,
		func(s *ledgerSettings) *time.Duration { return &s.serviceTime }),
	flawOf("breaks it in one way", func(s *ledgerSettings) *string { return &s.flaw }),
}

// ledgerFlaws are those of a ledger.
var ledgerFlaws = []Flaw{
	{"skips-event", "state", "conserved", "leaves the hundredth event out of its state"},
}

// skipped is the booking that the flaw leaves out.
const skipped = 100

func parseLedger(with map[string]string) (*ledgerSettings, error) {
	return parseFlawed("ledger", ledgerKeys, ledgerFlaws, with)
}

// ledgerService is the reference service ledger.
func ledgerService() service {
	return configured(Description{
		Name: "ledger", About: "books what is applied to it, in order, and says what is there",
		Settings: describe(ledgerKeys), Flaws: slices.Clone(ledgerFlaws),
	}, parseLedger, nil, func(_ context.Context, s *ledgerSettings, c Config) (http.Handler, error) {
		return newLedger(s), callsNobody("ledger", c.Deps)
	})
}

func newLedger(s *ledgerSettings) *ledger {
	return &ledger{settings: s, times: map[string]int{}, state: map[string]int{}}
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	event, ofEvent := strings.CutPrefix(r.URL.Path, "/event/")
	parked, ofParked := strings.CutPrefix(r.URL.Path, "/parked/")
	switch {
	case ofEvent && event != "" && r.Method == http.MethodPost:
		id := requestID(r.Header.Get(idHeader), r.Header.Get(traceHeader))
		if id == "" {
			http.Error(w, "an event needs an id: X-Request-Id, or traceparent", http.StatusBadRequest)
			return
		}
		sleep(l.settings.serviceTime)
		l.book(id, event)
		writeJSON(w, map[string]any{"id": id})
	case ofEvent && event != "" && r.Method == http.MethodGet:
		l.mu.Lock()
		n := l.times[event]
		l.mu.Unlock()
		writeJSON(w, bookings{n})
	case ofParked && parked != "" && r.Method == http.MethodPut:
		l.park(parked)
		writeJSON(w, map[string]any{"id": parked})
	case r.URL.Path == "/ledger":
		l.mu.Lock()
		all := map[string]any{
			"count": len(l.ids), "ids": append([]string{}, l.ids...),
			"keys": append([]string{}, l.keys...), "parked": append([]string{}, l.parked...),
		}
		l.mu.Unlock()
		writeJSON(w, all)
	case r.URL.Path == "/state":
		writeJSON(w, map[string]any{"total": l.kept()})
	case r.URL.Path == "/fold":
		l.mu.Lock()
		n := len(l.keys)
		l.mu.Unlock()
		writeJSON(w, map[string]any{"total": n})
	case r.URL.Path == "/healthz":
		_, _ = io.WriteString(w, "ok\n")
	default:
		http.Error(w, "there are POST /event/KEY, GET /event/ID, PUT /parked/ID, GET /ledger, /state, /fold and /healthz",
			http.StatusNotFound)
	}
}

// bookings is the answer of a ledger that is asked for one event.
type bookings struct {
	Times int `json:"times"`
}

func (l *ledger) book(id, key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids, l.keys = append(l.ids, id), append(l.keys, key)
	l.times[id]++
	if l.settings.flaw != "skips-event" || len(l.ids) != skipped {
		l.state[key]++
	}
}

func (l *ledger) park(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.parked, id) {
		l.parked = append(l.parked, id)
	}
}

// kept is the sum of the state.
func (l *ledger) kept() (total int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.state {
		total += n
	}
	return total
}
