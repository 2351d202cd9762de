package reference

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// answer is what a scripted dependency does with one attempt.
type answer struct {
	status     int // 0 with err nil means 200
	err        error
	takes      time.Duration
	retryAfter string
}

var errRefused = errors.New("connection refused")

// script is a dependency in the place of the transport: no network, so that
// tests in a bubble have exact times. It may be called at once.
type script struct {
	answer func(n int, req *http.Request) answer // n counts attempts from 0

	mu         sync.Mutex
	begun      []time.Time
	ended      []time.Time // by attempt; zero while in progress
	bodies     []string
	inProgress int
	most       int
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		text, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		body = string(text)
	}
	s.mu.Lock()
	n := len(s.begun)
	s.begun = append(s.begun, time.Now())
	s.ended = append(s.ended, time.Time{})
	s.bodies = append(s.bodies, body)
	s.inProgress++
	s.most = max(s.most, s.inProgress)
	s.mu.Unlock()
	a := answer{}
	if s.answer != nil {
		a = s.answer(n, req)
	}
	timer := time.NewTimer(a.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-req.Context().Done():
		a.err = req.Context().Err()
	}
	s.mu.Lock()
	s.inProgress--
	s.ended[n] = time.Now()
	s.mu.Unlock()
	if a.err != nil {
		return nil, a.err
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	h := http.Header{}
	if a.retryAfter != "" {
		h.Set("Retry-After", a.retryAfter)
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(strings.NewReader("answer"))}, nil
}

func (s *script) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.begun)
}

func always(a answer) func(int, *http.Request) answer {
	return func(int, *http.Request) answer { return a }
}

// chain is the patterns in front of one scripted dependency.
type chain struct {
	t          *testing.T
	call       http.RoundTripper
	background sync.WaitGroup
}

func newChain(t *testing.T, with map[string]string, s *script) *chain {
	t.Helper()
	settings, err := parseFrontend(with)
	if err != nil {
		t.Fatal(err)
	}
	c := &chain{t: t}
	var p pool
	if settings.bulkhead != "none" {
		p = flawPools(settings, []string{"a"}, newPools(settings, []string{"a"}))["a"]
	}
	c.call = protect(t.Context(), settings, "a", p, s, &c.background)
	return c
}

func request(ctx context.Context, method string) *http.Request {
	return (&http.Request{
		Method: method, URL: &url.URL{Scheme: "http", Host: "a", Path: "/"}, Header: http.Header{},
	}).WithContext(ctx)
}

// get sends a GET and returns the status, or 0 and the error.
func (c *chain) get() (int, error) { return c.send(request(c.t.Context(), http.MethodGet)) }

func (c *chain) send(req *http.Request) (int, error) {
	resp, err := c.call.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

// rejectedBy returns the pattern that rejected a call, or "".
func rejectedBy(err error) string {
	var r *Rejection
	if errors.As(err, &r) {
		return r.By
	}
	return ""
}

func merge(parts ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range parts {
		maps.Copy(all, m)
	}
	return all
}
