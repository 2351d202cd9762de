package reference

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Rejection is the error of a call that a pattern did not let through. The
// caller is answered 503 with X-Rejected: breaker or bulkhead.
type Rejection struct{ By string }

func (r *Rejection) Error() string { return "rejected by " + r.By }

// frontend answers
//
//	/NAME[/rest]  by calling dependency NAME at /rest, with the same method, query, body and request ids
//	/local        by itself
//	/healthz      by itself
//
// A call that fails is 502, one that timed out 504, one that was rejected 503;
// all else is the dependency's answer.
type frontend struct {
	settings   *frontendSettings
	callees    map[string]*callee
	transports []*http.Transport
	background sync.WaitGroup
}

// callee is a dependency with its own patterns in front of it.
type callee struct {
	base *url.URL
	call http.RoundTripper
}

// maxRequest bounds the body of a request, which is held in memory so that it
// can be sent again.
const maxRequest = 1 << 20

// frontendService is the reference service frontend.
func frontendService() service {
	return configured(Description{
		Name: "frontend", About: "calls a dependency for each request, protected by the patterns that are switched on",
		Settings: describe(frontendKeys), Flaws: slices.Clone(flaws),
	}, parseFrontend, nil, func(life context.Context, s *frontendSettings, c Config) (http.Handler, error) {
		return newFrontend(life, s, c.Deps)
	})
}

// newFrontend builds the patterns in front of each dependency. Calls in the
// background end with life.
func newFrontend(life context.Context, s *frontendSettings, deps map[string]string) (*frontend, error) {
	bases, err := checkDeps(s, deps)
	if err != nil {
		return nil, err
	}
	f := &frontend{settings: s, callees: map[string]*callee{}}
	names := slices.Sorted(maps.Keys(bases))
	var pools map[string]pool
	if s.bulkhead != "none" {
		pools = flawPools(s, names, newPools(s, names))
	}
	for _, name := range names {
		transport := newTransport(s.dialTimeout, s.protocol)
		f.transports = append(f.transports, transport)
		f.callees[name] = &callee{
			base: bases[name],
			call: protect(life, s, name, pools[name], once{transport}, &f.background),
		}
	}
	return f, nil
}

// protect puts the patterns that are switched on around a transport, the
// innermost first.
func protect(life context.Context, s *frontendSettings, name string, p pool, transport http.RoundTripper,
	background *sync.WaitGroup) http.RoundTripper {
	var call http.RoundTripper = attempt{timeout: s.timeout, next: transport}
	if s.breaker != "none" {
		b := newBreaker(s, name)
		call = flawGuard(s.flaw, b, guard{admission: b, judge: outcomeOf, next: call}, life, background)
	}
	if s.retry != "none" {
		call = flawRetrier(s.flaw, newRetrier(s, call))
	}
	if s.bulkhead != "none" {
		call = flawCompartment(s.flaw, compartment{pool: p, linger: s.linger, next: call})
	}
	if s.fallback != "none" {
		call = flawFallback(s.flaw, fallback{call})
	}
	if s.dedupe != "none" {
		call = flawDedupe(s.flaw, newDedupe(call))
	}
	return call
}

// checkDeps parses the dependencies' URLs.
func checkDeps(s *frontendSettings, deps map[string]string) (map[string]*url.URL, error) {
	var errs []error
	bases := map[string]*url.URL{}
	for _, name := range slices.Sorted(maps.Keys(deps)) {
		if name == "local" || name == "healthz" || name == "" || strings.Contains(name, "/") {
			errs = append(errs, fmt.Errorf("dependency %q cannot have that name: the frontend answers /%s itself", name, name))
			continue
		}
		base, err := parseDep(name, deps[name])
		bases[name], errs = base, append(errs, err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.limits)) {
		if _, known := deps[name]; !known {
			errs = append(errs, fmt.Errorf("limits: %w", unknown("dependency", name, slices.Sorted(maps.Keys(deps)))))
		}
	}
	return bases, errors.Join(errs...)
}

// parseDep parses the URL of one dependency.
func parseDep(name, raw string) (*url.URL, error) {
	base, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("dependency %s: %w", name, err)
	}
	if base.Scheme != "http" || base.Host == "" {
		return nil, fmt.Errorf("dependency %s: %q is not an http://host:port URL", name, raw)
	}
	base.Path = cmp.Or(base.Path, "/") // joined to an empty one, a path would become relative
	return base, nil
}

// close ends what the frontend keeps open. Its life must be over.
func (f *frontend) close() {
	f.background.Wait()
	for _, t := range f.transports {
		t.CloseIdleConnections()
	}
}

func (f *frontend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	if c, known := f.callees[name]; known {
		f.pass(w, r, c, rest)
		return
	}
	switch r.URL.Path {
	case "/local", "/healthz":
		io.WriteString(w, "ok\n")
	default:
		http.Error(w, fmt.Sprintf("no dependency %q; there are: %s", name,
			strings.Join(slices.Sorted(maps.Keys(f.callees)), ", ")), http.StatusNotFound)
	}
}

// pass calls a dependency and answers with what came of it.
func (f *frontend) pass(w http.ResponseWriter, r *http.Request, c *callee, rest string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "body: "+err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	ctx := r.Context()
	if f.settings.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.settings.deadline)
		defer cancel()
	}
	resp, err := c.call.RoundTrip(f.outgoing(ctx, r, c, rest, body))
	if err == nil {
		defer resp.Body.Close()
		copyHeader(w.Header(), resp.Header)
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body) // fails only if the caller is gone
		return
	}
	var rejected *Rejection
	switch {
	case errors.As(err, &rejected):
		w.Header().Set("X-Rejected", rejected.By)
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case errors.Is(err, context.Canceled):
		// The caller has gone.
	case errors.Is(err, errTimeout), errors.Is(err, context.DeadlineExceeded):
		http.Error(w, err.Error(), http.StatusGatewayTimeout)
	default:
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

// outgoing makes the request to the dependency. Its body is in GetBody alone:
// see attempt.
func (f *frontend) outgoing(ctx context.Context, r *http.Request, c *callee, rest string, body []byte) *http.Request {
	target := c.base.JoinPath(rest)
	target.RawQuery = r.URL.RawQuery
	out := (&http.Request{
		Method: r.Method, URL: target, Host: target.Host, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	passOn(out.Header, r.Header, f.settings.idHeader, "Content-Type")
	if len(body) > 0 {
		out.ContentLength = int64(len(body))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	return out
}

// passOn copies the headers that tell which request a call is of, and the named ones.
func passOn(to, from http.Header, named ...string) {
	for _, name := range append([]string{"X-Request-Id", "Traceparent", "Idempotency-Key"}, named...) {
		if values := from.Values(name); len(values) > 0 {
			to[name] = values
		}
	}
}

// notPassed are the headers of an answer that belong to its connection, or
// that would be taken for our own.
var notPassed = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Transfer-Encoding": true, "Trailer": true, "Upgrade": true,
	"Content-Length": true, "Date": true, "X-Rejected": true,
}

func copyHeader(to, from http.Header) {
	for name, values := range from {
		if !notPassed[name] {
			to[name] = values
		}
	}
}
