package reference

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// asked sends n requests at once to a worker of 2 that takes 10 ms for each, and returns
// their statuses, the quickest first, and how long the last took.
func asked(t *testing.T, n int, flaw string) (statuses []int, last time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		with := map[string]string{"workers": "2", "waiting": "3", "service_time": "10ms"}
		if flaw != "" {
			with["flaw"] = flaw
		}
		s, err := parseWorker(with)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorker(s)
		w.work = time.Sleep // whose time is the bubble's
		begin := time.Now()
		var mu sync.Mutex
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				out := httptest.NewRecorder()
				w.ServeHTTP(out, httptest.NewRequest(http.MethodGet, "/any", nil))
				mu.Lock()
				defer mu.Unlock()
				statuses, last = append(statuses, out.Code), time.Since(begin)
				if out.Code == http.StatusServiceUnavailable && out.Header().Get("X-Rejected") != "queue" {
					t.Errorf("turned away by %q", out.Header().Get("X-Rejected"))
				}
			})
		}
		all.Wait()
	})
	return statuses, last
}

// Two are worked on and three wait; what comes beside is turned away at once. With its flaw none is.
func TestWorker(t *testing.T) {
	for _, c := range []struct {
		n    int
		flaw string
		away int
		last time.Duration
	}{
		{1, "", 0, 10 * time.Millisecond},
		{5, "", 0, 30 * time.Millisecond}, // 2, 2 and 1 of them
		{8, "", 3, 30 * time.Millisecond},
		{8, "unbounded-queue", 0, 40 * time.Millisecond},
	} {
		statuses, last := asked(t, c.n, c.flaw)
		away := 0
		for _, status := range statuses {
			if status == http.StatusServiceUnavailable {
				away++
			}
		}
		if away != c.away || last != c.last || !slices.Equal(statuses[:away], slices.Repeat([]int{503}, away)) {
			t.Errorf("%d at once, flaw %q: %v, the last after %v; want %d turned away first, and %v", c.n, c.flaw, statuses, last, c.away, c.last)
		}
	}
}

func TestWorkerIsWellHoweverMuchItHasToDo(t *testing.T) {
	s, _ := parseWorker(map[string]string{"workers": "1", "waiting": "0"})
	w := newWorker(s)
	w.places <- struct{}{}
	out := httptest.NewRecorder()
	w.ServeHTTP(out, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	if out.Code != http.StatusOK {
		t.Errorf("%d %s", out.Code, out.Body)
	}
}
