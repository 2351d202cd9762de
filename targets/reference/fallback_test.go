package reference

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// Whatever does not succeed is answered by the fallback; its flaw passes on what ends
// without an answer.
func TestFallback(t *testing.T) {
	down := errors.New("connection refused")
	for _, c := range []struct {
		name   string
		answer answer
		status int // of a sound one; 200 is the fallback's where degraded
		flawed int // 0 is an error
		sound  bool
	}{
		{"an answer", answer{}, 200, 200, true},
		{"a 404", answer{status: 404}, 404, 404, true},
		{"a 503", answer{status: 503}, 200, 200, false},
		{"a refusal", answer{err: down}, 200, 0, false},
		{"a hang", answer{takes: time.Hour}, 200, 0, false},
	} {
		for flaw, want := range map[string]int{"": c.status, "errors-only": c.flawed} {
			synctest.Test(t, func(t *testing.T) {
				with := map[string]string{"fallback": "static", "timeout": "300ms"}
				if flaw != "" {
					with["flaw"] = flaw
				}
				resp, err := newChain(t, with, &script{answer: always(c.answer)}).call.RoundTrip(request(t.Context(), http.MethodGet))
				if want == 0 {
					if err == nil {
						t.Errorf("%s, flaw %q: %d, want an error", c.name, flaw, resp.StatusCode)
					}
					return
				}
				if err != nil {
					t.Errorf("%s, flaw %q: %v", c.name, flaw, err)
					return
				}
				body, _ := io.ReadAll(resp.Body)
				degraded := resp.Header.Get("X-Degraded") == "fallback" && string(body) == "fallback\n"
				if resp.StatusCode != want || degraded == c.sound {
					t.Errorf("%s, flaw %q: %d %q, degraded %v; want %d, %v", c.name, flaw, resp.StatusCode, body, degraded, want, !c.sound)
				}
			})
		}
	}
}

// Whoever has gone gets no fallback; whose time of the whole call is over does.
func TestFallbackOfWhoHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t, map[string]string{"fallback": "static"}, &script{answer: always(answer{takes: time.Hour})})
		gone, leave := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, leave)
		if status, err := c.send(request(gone, http.MethodGet)); !errors.Is(err, context.Canceled) {
			t.Errorf("gone: %d, %v", status, err)
		}
		late, end := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer end()
		if status, err := c.send(request(late, http.MethodGet)); status != http.StatusOK {
			t.Errorf("late: %d, %v", status, err)
		}
	})
}
