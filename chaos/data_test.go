package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load"
)

// shop keeps prices and orders. It forgets each forgets-th order, and answers every
// stale-th read with the first price that a key had. One that is late has its orders once
// it was asked for them.
type shop struct {
	forgets, stale int
	late           bool

	mu       sync.Mutex
	price    map[string][]string
	orders   []string
	queue    []string
	writes   int
	reads    int
	asked    int // for the sum
	complete bool
	unwell   int
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, ofPrice := strings.CutPrefix(r.URL.Path, "/price/")
	id, ofOrder := strings.CutPrefix(r.URL.Path, "/order/")
	switch {
	case ofPrice && r.Method == http.MethodPut:
		v, _ := io.ReadAll(r.Body)
		s.price[key] = append(s.price[key], string(v))
	case ofPrice:
		all := s.price[key]
		if len(all) == 0 {
			http.NotFound(w, r)
			return
		}
		v := all[len(all)-1]
		if s.reads++; s.stale > 0 && s.reads%s.stale == 0 {
			v = all[0]
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"v": v})
	case ofOrder:
		switch s.writes++; {
		case s.late:
			s.queue = append(s.queue, id)
		case s.forgets == 0 || s.writes%s.forgets != 0:
			s.orders = append(s.orders, id)
		}
	case r.URL.Path == "/orders":
		if s.unwell++; s.unwell == 1 {
			http.Error(w, "it is recovering", http.StatusServiceUnavailable)
			return
		}
		n := len(s.orders)
		if !s.complete {
			n++
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"count": n, "orders": append([]string{}, s.orders...)})
		s.orders, s.queue = append(s.orders, s.queue...), nil
	case r.URL.Path == "/sum":
		s.asked++
		fmt.Fprintf(w, `{"sum": %d}`, len(s.orders))
	}
}

const shopExperiment = `
name: shop
targets: {shop: {url: URL}, other: {url: URL}}
links: {side: {from: other, to: shop, listen: "127.0.0.1:0"}}
load:
  rate: 500/s
  warmup: 500ms
  duration: 2s
  keys: 3
  settle: 100ms
  routes:
    - {name: reprice, to: shop, put: "/price/${key}", body: "${id}", writes: price}
    - {name: look, to: shop, get: "/price/${key}", reads: {price: "json:$.v"}, weight: 3}
    - {name: order, to: shop, post: "/order/${id}", writes: order}
  audit:
    - {name: orders, to: shop, get: /orders, ids: "json:$.orders[*]", count: "json:$.count"}
    - {name: sum, to: shop, get: /sum, number: "json:$.sum", every: 200ms}
chaos: [{at: 500ms, for: 1s, on: side, latency: {delay: 1ms}}]
claims:
  - linearizable: {data: price}
  - fresh: {data: price, within: 500ms}
  - durable: {writes: order, in: orders}
`

func runShop(t *testing.T, s *shop) (*result.Result, *evidence.Run) {
	t.Helper()
	s.price = map[string][]string{}
	server := httptest.NewServer(s)
	defer server.Close()
	return runAt(t, server)
}

// runAt runs the shop's experiment at a server.
func runAt(t *testing.T, server *httptest.Server) (*result.Result, *evidence.Run) {
	t.Helper()
	r, err := runText(t, strings.ReplaceAll(shopExperiment, "URL", server.URL))
	if err != nil {
		t.Fatal(err)
	}
	run, err := evidence.Read(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return r, run
}

// The fault is of a link that nobody calls, so that nothing is held, and outlives no
// test, so that no guardian is started. From the wire to the ruling: what is written and read is recorded as it was, audits
// are asked when all is over, and a sound shop is not refuted.
func TestDataOfASoundShop(t *testing.T) {
	t.Parallel()
	s := &shop{complete: true}
	r, run := runShop(t, s)
	for _, v := range r.Verdicts {
		if v.Ruling == judge.Refuted {
			t.Errorf("%s: %s", v.Claim, v.Reason)
		}
	}
	if len(run.Flaws) > 0 || len(run.Values) == 0 {
		t.Errorf("%d values, flaws %v", len(run.Values), run.Flaws)
	}
	found := 0
	for o := range run.Operations("price") {
		if o.Key < 1 || o.Key > 3 || o.Value.Value == load.ForeignValue {
			t.Errorf("key %d, value %d", o.Key, o.Value.Value)
		}
		if !o.Access.Writes && o.Value.Value != load.NoValue {
			found++
		}
	}
	if found < 100 {
		t.Errorf("%d reads found a value", found)
	}
	audit, sum := run.Audit("orders"), run.Audit("sum")
	acknowledged := 0
	for o := range run.Operations("order") {
		if o.Certainty == evidence.Yes {
			acknowledged++
			if !slices.Contains(audit.IDs, o.ID) {
				t.Errorf("order %d is not in the audit", o.ID)
			}
		}
	}
	if audit == nil || !audit.Whole || acknowledged < 50 || len(audit.IDs) != len(s.orders) || audit.At < run.End {
		t.Errorf("%d orders acknowledged, %d there, the audit: %+v", acknowledged, len(s.orders), audit)
	}
	if sum == nil || sum.Number == nil || *sum.Number != float64(len(s.orders)) || s.asked < 4 || len(run.Audits) < s.asked {
		t.Errorf("asked %d times, %d audits, the last sum: %+v", s.asked, len(run.Audits), sum)
	}
}

// What is missing in an audit that finds something else a moment later is not lost.
func TestDataOfAShopThatHasNotSettled(t *testing.T) {
	t.Parallel()
	r, run := runShop(t, &shop{complete: true, late: true})
	if audit := run.Audit("orders"); audit == nil || !audit.Whole || !strings.Contains(audit.Moved, "of its entries were new") {
		t.Errorf("the audit: %+v", audit)
	}
	i := slices.IndexFunc(r.Verdicts, func(v judge.Verdict) bool { return v.Kind == "durable" })
	if v := r.Verdicts[i]; v.Ruling != judge.Inconclusive || !strings.Contains(v.Reason, "had not settled") {
		t.Errorf("%v: %s", v.Ruling, v.Reason)
	}
}

// An audit that is answered once, and not when it is asked again, is none that has found the same
// twice: what it lacks may yet come, and is not ruled lost.
func TestDataOfAShopThatAnswersOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		again http.HandlerFunc
		says  string
	}{
		"fails": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", http.StatusInternalServerError) }, "status 500"},
		"hangs": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline exceeded"},
		"closes": {func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				conn.Close()
			}
		}, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &shop{complete: true, forgets: 50, price: map[string][]string{}}
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/orders" && asked.Add(1) > 2 { // at first it is recovering
					c.again(w, r)
					return
				}
				s.ServeHTTP(w, r)
			}))
			defer server.Close()
			text := strings.ReplaceAll(shopExperiment, `count: "json:$.count"}`, `count: "json:$.count", timeout: 2s}`)
			r, err := runText(t, strings.ReplaceAll(text, "URL", server.URL))
			if err != nil {
				t.Fatal(err)
			}
			run, err := evidence.Read(r.Dir)
			if err != nil {
				t.Fatal(err)
			}
			audit := run.Audit("orders")
			if audit == nil || !audit.Whole || !strings.HasPrefix(audit.Moved, "when it was asked again, ") ||
				!strings.Contains(audit.Moved, c.says) {
				t.Errorf("moved must say %q: %+v", c.says, audit)
			}
			i := slices.IndexFunc(r.Verdicts, func(v judge.Verdict) bool { return v.Kind == "durable" })
			if v := r.Verdicts[i]; v.Ruling != judge.Inconclusive || !strings.Contains(v.Reason, "had not settled") {
				t.Errorf("%v: %s", v.Ruling, v.Reason)
			}
		})
	}
}

// Stale reads and lost orders are found; an audit that is cut short tells nothing.
func TestDataOfABrokenShop(t *testing.T) {
	t.Parallel()
	r, _ := runShop(t, &shop{complete: true, forgets: 50, stale: 20})
	for _, v := range r.Verdicts {
		if v.Ruling != judge.Refuted {
			t.Errorf("%s: %v, %s", v.Claim, v.Ruling, v.Reason)
		}
	}
	r, _ = runShop(t, &shop{})
	for _, v := range r.Verdicts {
		if v.Kind == "durable" && (v.Ruling != judge.Inconclusive || !strings.Contains(v.Reason, "says itself that there are")) {
			t.Errorf("a torn audit: %v, %s", v.Ruling, v.Reason)
		}
	}
}

// An audit that lists the same when it is asked again, and in another order, is noted as one that has none.
func TestDataOfAShopThatKeepsNoOrder(t *testing.T) {
	t.Parallel()
	s := &shop{complete: true, price: map[string][]string{}}
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/orders" || asked.Add(1) <= 2 { // at first it is recovering
			s.ServeHTTP(w, r)
			return
		}
		kept := httptest.NewRecorder()
		s.ServeHTTP(kept, r)
		var answer map[string]any
		if err := json.Unmarshal(kept.Body.Bytes(), &answer); err != nil {
			t.Error(err)
		}
		for _, list := range answer {
			if ids, is := list.([]any); is {
				slices.Reverse(ids)
			}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer server.Close()
	_, run := runAt(t, server)
	if audit := run.Audit("orders"); audit == nil || !audit.Whole || !audit.Shuffled || audit.Moved != "" {
		t.Errorf("%+v is not one that is whole, has not moved, and has no order", audit)
	}
}
