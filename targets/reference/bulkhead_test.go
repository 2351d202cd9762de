package reference

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var bulkheadLibraries = []string{"failsafe", "semaphore"}

func eachBulkhead(t *testing.T, with map[string]string, test func(t *testing.T, c *chain, s *script)) {
	for _, library := range bulkheadLibraries {
		t.Run(library, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{}
				test(t, newChain(t, merge(map[string]string{"bulkhead": library, "limit": "10"}, with), s), s)
			})
		})
	}
}

// drown sends n calls at once and returns how many were rejected, and how long
// the slowest rejection took.
func drown(c *chain, n int) (rejected int, slowest time.Duration) {
	type result struct {
		rejected bool
		took     time.Duration
	}
	results := make(chan result)
	for range n {
		go func() {
			began := time.Now()
			_, err := c.get()
			results <- result{rejectedBy(err) == "bulkhead", time.Since(began)}
		}()
	}
	for range n {
		if r := <-results; r.rejected {
			rejected++
			slowest = max(slowest, r.took)
		}
	}
	return rejected, slowest
}

func TestBulkhead(t *testing.T) {
	tests := map[string]struct {
		flaw     string
		most     int // calls in progress
		slowest  time.Duration
		refilled int // calls in progress when it is filled again after timeouts
	}{
		"sound":       {"", 10, 0, 10},
		"over-limit":  {"over-limit", 15, 0, 15},
		"slow-reject": {"slow-reject", 10, 500 * ms, 10},
		"leaks":       {"leaks", 10, 0, 0},
		// One dependency alone: the pool is as large as its own.
		"shared-pool": {"shared-pool", 10, 0, 10},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			with := map[string]string{}
			if test.flaw != "" {
				with["flaw"] = test.flaw
			}
			eachBulkhead(t, with, func(t *testing.T, c *chain, s *script) {
				for range 3 { // calls that succeed give their permits back
					s.answer = always(answer{takes: 100 * ms})
					s.most = 0
					rejected, slowest := drown(c, 40)
					if s.most != test.most || rejected != 40-test.most || slowest != test.slowest {
						t.Fatalf("%d in progress, %d of 40 rejected within %s; want %d, %d, %s",
							s.most, rejected, slowest, test.most, 40-test.most, test.slowest)
					}
				}
				for range 3 { // so do calls that time out, after 1 s and the linger
					s.answer = always(answer{takes: time.Hour})
					drown(c, 40)
					time.Sleep(21 * ms)
				}
				s.answer = always(answer{takes: 100 * ms})
				s.most = 0
				drown(c, 40)
				if s.most != test.refilled {
					t.Errorf("after timeouts: %d in progress, want %d", s.most, test.refilled)
				}
			})
		})
	}
}

func TestBulkheadGivesPermitsBack(t *testing.T) {
	ends := map[string]answer{
		"4xx":           {status: 404, takes: ms},
		"5xx":           {status: 503, takes: ms},
		"network error": {err: errRefused, takes: ms},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			eachBulkhead(t, nil, func(t *testing.T, c *chain, s *script) {
				s.answer = always(end)
				for range 20 {
					if rejected, _ := drown(c, 10); rejected > 0 {
						t.Fatalf("%d of 10 rejected", rejected)
					}
				}
			})
		})
	}
}

// When we hang up, the dependency works on for a moment: a permit that is free
// at once would let one call too many in.
func TestBulkheadLingersAfterHangingUp(t *testing.T) {
	eachBulkhead(t, map[string]string{"limit": "1"}, func(t *testing.T, c *chain, s *script) {
		s.answer = always(answer{takes: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 300*ms)
		defer cancel()
		for name, req := range map[string]*http.Request{
			"timeout":     request(t.Context(), http.MethodGet),
			"caller gone": request(ctx, http.MethodGet),
		} {
			c.send(req)
			s.answer = nil
			time.Sleep(20*ms - 1)
			if _, err := c.get(); rejectedBy(err) != "bulkhead" {
				t.Errorf("%s, just before the linger is over: %v, want a rejection", name, err)
			}
			time.Sleep(2 * time.Nanosecond)
			if _, err := c.get(); err != nil {
				t.Errorf("%s, after it: %v", name, err)
			}
			s.answer = always(answer{takes: time.Hour})
		}
	})
}

// The permit covers the waits between attempts.
func TestBulkheadHoldsThePermitForTheWholeCall(t *testing.T) {
	eachBulkhead(t, map[string]string{"limit": "1", "retry": "cenkalti"}, func(t *testing.T, c *chain, s *script) {
		s.answer = always(answer{status: 503})
		done := make(chan bool)
		go func() { c.get(); close(done) }()
		time.Sleep(50 * ms) // the first retry comes after 100 ms at least
		if _, err := c.get(); rejectedBy(err) != "bulkhead" {
			t.Errorf("during a wait: %v, want a rejection", err)
		}
		<-done
		if _, err := c.get(); err != nil {
			t.Errorf("after the call: %v", err)
		}
	})
}

func TestSharedPoolLetsOneDependencyTakeAll(t *testing.T) {
	for _, library := range bulkheadLibraries {
		for flaw, want := range map[string]int{"": 40, "shared-pool": 100} {
			s, err := parseFrontend(map[string]string{"bulkhead": library})
			if err != nil {
				t.Fatal(err)
			}
			s.flaw = flaw
			names := []string{"a", "b", "c"}
			pools := flawPools(s, names, newPools(s, names))
			entered := 0
			for entered < 1000 && pools["a"].enter() {
				entered++
			}
			if entered != want { // 40 + 30 + 30 = 100
				t.Errorf("%s %q: a took %d permits, want %d", library, flaw, entered, want)
			}
			if got := pools["b"].enter(); got != (flaw == "") {
				t.Errorf("%s %q: b enters: %t", library, flaw, got)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	tests := map[string]struct {
		with map[string]string
		deps []string
		want map[string]int
	}{
		"textbook":         {nil, []string{"c", "a", "b"}, map[string]int{"a": 40, "b": 30, "c": 30}},
		"one":              {nil, []string{"x"}, map[string]int{"x": 40}},
		"four":             {nil, []string{"a", "b", "c", "d"}, map[string]int{"a": 40, "b": 40, "c": 40, "d": 40}},
		"limit":            {map[string]string{"limit": "7"}, []string{"a", "b", "c"}, map[string]int{"a": 7, "b": 7, "c": 7}},
		"limits":           {map[string]string{"limits": "b=5, a=6"}, []string{"a", "b", "c"}, map[string]int{"a": 6, "b": 5, "c": 30}},
		"limit and limits": {map[string]string{"limit": "7", "limits": "b=5"}, []string{"a", "b"}, map[string]int{"a": 7, "b": 5}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := parseFrontend(merge(map[string]string{"bulkhead": "semaphore"}, test.with))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, limitsOf(s, test.deps)); diff != "" {
				t.Errorf("limits (-want +got):\n%s", diff)
			}
		})
	}
}
