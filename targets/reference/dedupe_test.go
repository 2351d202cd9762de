package reference

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// posted is a POST with an Idempotency-Key.
func posted(ctx context.Context, key string) *http.Request {
	req := request(ctx, http.MethodPost)
	req.Header.Set("Idempotency-Key", key)
	return req
}

// Of requests with one key, one is done, whether they come at once or one after the other. Its flaw
// does those that come at once.
func TestDedupe(t *testing.T) {
	for _, c := range []struct {
		name   string
		flaw   string
		apart  time.Duration
		method string
		keys   [2]string
		calls  int
	}{
		{"at once", "", 0, http.MethodPost, [2]string{"a", "a"}, 1},
		{"later", "", time.Second, http.MethodPost, [2]string{"a", "a"}, 1},
		{"two keys", "", 0, http.MethodPost, [2]string{"a", "b"}, 2},
		{"no key", "", 0, http.MethodPost, [2]string{"", ""}, 2},
		{"reads", "", 0, http.MethodGet, [2]string{"a", "a"}, 2},
		{"the flaw, at once", "dedupes-late", 0, http.MethodPost, [2]string{"a", "a"}, 2},
		{"the flaw, later", "dedupes-late", time.Second, http.MethodPost, [2]string{"a", "a"}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			with := map[string]string{"dedupe": "memory"}
			if c.flaw != "" {
				with["flaw"] = c.flaw
			}
			var mu sync.Mutex
			calls := 0
			chain := newChain(t, with, &script{answer: func(int, *http.Request) answer {
				mu.Lock()
				defer mu.Unlock()
				calls++
				return answer{takes: 10 * time.Millisecond, status: 201}
			}})
			var both sync.WaitGroup
			for i, key := range c.keys {
				both.Go(func() {
					time.Sleep(time.Duration(i) * c.apart)
					req := request(t.Context(), c.method)
					if key != "" {
						req.Header.Set("Idempotency-Key", key)
					}
					resp, err := chain.call.RoundTrip(req)
					if err != nil {
						t.Errorf("%s: %v", c.name, err)
						return
					}
					if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 201 {
						t.Errorf("%s: %d, %v", c.name, resp.StatusCode, err)
					}
				})
			}
			both.Wait()
			if calls != c.calls {
				t.Errorf("%s: %d calls, want %d", c.name, calls, c.calls)
			}
		})
	}
}

// Whose caller has gone is done all the same, and who asks again gets its answer; what failed is tried again.
func TestDedupeOfWhoHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := newChain(t, map[string]string{"dedupe": "memory"}, &script{answer: func(int, *http.Request) answer {
			calls++
			return answer{takes: 10 * time.Millisecond}
		}})
		gone, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, leave)
		if status, err := c.send(posted(gone, "a")); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("gone: %d, %v", status, err)
		}
		if status, err := c.send(posted(t.Context(), "a")); status != http.StatusOK || calls != 1 {
			t.Errorf("again: %d, %v, after %d calls", status, err, calls)
		}
	})
	calls := 0
	c := newChain(t, map[string]string{"dedupe": "memory"}, &script{answer: func(int, *http.Request) answer {
		if calls++; calls == 1 {
			return answer{status: 503}
		}
		return answer{}
	}})
	for i, want := range []int{503, 200, 200} {
		if status, err := c.send(posted(t.Context(), "a")); status != want {
			t.Errorf("attempt %d: %d, %v; want %d", i+1, status, err, want)
		}
	}
	if calls != 2 {
		t.Errorf("%d calls, want the one that failed and another", calls)
	}
}
