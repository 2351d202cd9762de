package reference

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
)

// dedupe makes the call of a request once: what comes again with the same Idempotency-Key or, where there is
// none, the same X-Request-Id, waits for the first and is answered as that was. A call goes on although its
// caller has gone, for who asks again is to have its answer. A call that fails is forgotten, so that it may be
// tried again. Requests of safe methods and without an id are passed on.
type dedupe struct {
	next http.RoundTripper

	mu    sync.Mutex
	calls map[string]*dedupedCall
	order []string // of the keys in calls, the oldest first
}

// dedupedCall is one call, for all that ask for it.
type dedupedCall struct {
	done   chan struct{} // closed when it is over
	answer *http.Response
	body   []byte
	err    error
}

// remembered is how many calls are; the oldest are forgotten first.
const remembered = 100_000

func newDedupe(next http.RoundTripper) *dedupe {
	return &dedupe{next: next, calls: map[string]*dedupedCall{}}
}

func (d *dedupe) RoundTrip(req *http.Request) (*http.Response, error) {
	key := dedupeKey(req)
	if key == "" {
		return d.next.RoundTrip(req)
	}
	d.mu.Lock()
	c, known := d.calls[key]
	if !known {
		c = &dedupedCall{done: make(chan struct{})}
		d.keep(key, c)
	}
	d.mu.Unlock()
	if known {
		return c.wait(req)
	}
	c.make(d.next, req)
	if c.err != nil || c.answer.StatusCode >= 500 {
		d.forget(key)
	}
	close(c.done)
	return c.wait(req)
}

// keep remembers a call. mu is locked.
func (d *dedupe) keep(key string, c *dedupedCall) {
	d.calls[key] = c
	if d.order = append(d.order, key); len(d.order) > remembered {
		delete(d.calls, d.order[0])
		d.order = d.order[1:]
	}
}

func (d *dedupe) forget(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.calls, key)
}

// make makes the call, to the end of its answer.
func (c *dedupedCall) make(next http.RoundTripper, req *http.Request) {
	answer, err := next.RoundTrip(req.WithContext(context.WithoutCancel(req.Context())))
	if err != nil {
		c.err = err
		return
	}
	defer answer.Body.Close()
	c.answer = answer
	c.body, c.err = io.ReadAll(answer.Body)
}

// wait returns an answer of its own to each that asks.
func (c *dedupedCall) wait(req *http.Request) (*http.Response, error) {
	select {
	case <-c.done:
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	if c.err != nil {
		return nil, c.err
	}
	return &http.Response{StatusCode: c.answer.StatusCode, Header: c.answer.Header.Clone(), Body: io.NopCloser(bytes.NewReader(c.body))},
		nil
}

// dedupeKey is the same of two requests that are one; "" of those that are never taken for one.
func dedupeKey(req *http.Request) string {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return ""
	}
	if key := req.Header.Get("Idempotency-Key"); key != "" {
		return "key " + key
	}
	if id := req.Header.Get("X-Request-Id"); id != "" {
		return "id " + id
	}
	return ""
}
