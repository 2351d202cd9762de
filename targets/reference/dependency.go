package reference

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// dependency answers every path with 200 and a body of fixed size, after its
// service time, and counts what it has processed:
//
//	GET /effects       totals
//	GET /effects/ID    of one request
//	GET /healthz       200
//
// A query changes a single answer: status=503 refuses (nothing is processed),
// retry_after=1 adds the header (seconds, or any text), delay=50ms adds to the
// service time.
//
// A request is processed even if its caller has gone meanwhile, as most
// services do: that is how retries double effects.
//
// What it answers is decided here for every protocol: take, wait, then done.
type dependency struct {
	settings *dependencySettings
	effects  *effects
	body     []byte // only read
	idHeader string // in lower case, as it is compared
}

// dependencyService is the reference service dependency.
func dependencyService() service {
	return configured(Description{
		Name: "dependency", About: "answers every request, and counts how often each was processed",
		Settings: describe(dependencyKeys),
	}, parseDependency, func(life context.Context, h http.Handler) listening {
		return newServer(h.(*dependency), overNetHTTP(life, h))
	}, func(_ context.Context, s *dependencySettings, c Config) (http.Handler, error) {
		return newDependency(s), callsNobody("dependency", c.Deps)
	})
}

func newDependency(s *dependencySettings) *dependency {
	return &dependency{
		settings: s,
		effects:  newEffects(s.remember),
		body:     bytes.Repeat([]byte("ok"), s.body/2+1)[:s.body],
		idHeader: strings.ToLower(s.idHeader),
	}
}

// ask is what the dependency looks at in a request.
type ask struct {
	path, query string
	id          string // of its id header
	trace       string // its traceparent, which counts if there is no id
}

// reply is what becomes of an ask.
type reply struct {
	wait        time.Duration // before anything is processed or sent
	effect      effect        // what is counted once the wait is over
	id          string        // what an effect is counted for
	status      int
	contentType string
	retryAfter  string // "" is none
	body        []byte // only lent; left out if the status has none
}

type effect uint8

const (
	none effect = iota
	processed
	refused
)

// take decides what becomes of an ask. It neither waits nor counts.
func (d *dependency) take(a ask) reply {
	switch {
	case a.path == "/healthz":
		return d.answer(http.StatusOK)
	case a.path == "/effects":
		return inJSON(d.effects.totals())
	case strings.HasPrefix(a.path, "/effects/"):
		id := strings.TrimPrefix(a.path, "/effects/")
		return inJSON(struct {
			ID      string `json:"id"`
			Effects uint32 `json:"effects"`
		}{id, d.effects.of(id)})
	}
	return d.work(a)
}

func (d *dependency) work(a ask) reply {
	o := override{status: http.StatusOK}
	if a.query != "" {
		var err error
		if o, err = parseOverride(a.query); err != nil {
			return reply{status: http.StatusBadRequest, contentType: "text/plain; charset=utf-8", body: []byte(err.Error() + "\n")}
		}
	}
	r := d.answer(o.status)
	r.retryAfter = o.retryAfter
	r.wait = d.settings.serviceTime + o.delay
	if d.settings.jitter > 0 {
		r.wait += rand.N(d.settings.jitter)
	}
	r.effect = refused
	if o.status < 400 {
		r.effect, r.id = processed, requestID(a.id, a.trace)
	}
	return r
}

func (d *dependency) answer(status int) reply {
	return reply{status: status, contentType: "text/plain", body: d.body}
}

// done counts the effect of what was taken, after its wait.
func (d *dependency) done(r *reply) {
	switch r.effect {
	case processed:
		d.effects.count(r.id)
	case refused:
		d.effects.refused.Add(1)
	}
}

// bodiless reports whether answers of that status end with their header.
func bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// ServeHTTP serves what the server leaves to net/http.
func (d *dependency) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply := d.take(ask{r.URL.Path, r.URL.RawQuery, r.Header.Get(d.settings.idHeader), r.Header.Get("Traceparent")})
	sleep(reply.wait)
	d.done(&reply)
	h := w.Header()
	h.Set("Content-Type", reply.contentType)
	if reply.retryAfter != "" {
		h.Set("Retry-After", reply.retryAfter)
	}
	if bodiless(reply.status) {
		w.WriteHeader(reply.status)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(reply.body)))
	w.WriteHeader(reply.status)
	_, _ = w.Write(reply.body) // fails only if the caller is gone
}

// override is what a query changes.
type override struct {
	status     int
	retryAfter string
	delay      time.Duration
}

func parseOverride(raw string) (override, error) {
	o := override{status: http.StatusOK}
	query, _ := url.ParseQuery(raw) // what cannot be read changes nothing
	var errs []error
	if v := query.Get("status"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 200 || n > 599 {
			errs = append(errs, fmt.Errorf("status %q: must be from 200 to 599", v))
		}
		o.status = n
	}
	if v := query.Get("delay"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 {
			errs = append(errs, fmt.Errorf("delay %q: must be a duration like 50ms", v))
		}
		o.delay = d
	}
	o.retryAfter = query.Get("retry_after")
	if !isValue(o.retryAfter) {
		errs = append(errs, fmt.Errorf("retry_after %.20q: must be at most %d bytes that a header may carry", o.retryAfter, longestValue))
	}
	return o, errors.Join(errs...)
}

// longestValue of a header that a query asks for: it fits in any frame.
const longestValue = 256

func isValue(s string) bool {
	return len(s) <= longestValue && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// requestID returns the id, or the trace id of a traceparent (W3C Trace
// Context: version-traceid-spanid-flags), or "".
func requestID(id, trace string) string {
	if id != "" || trace == "" {
		return id
	}
	if parts := strings.SplitN(trace, "-", 4); len(parts) == 4 {
		return parts[1]
	}
	return ""
}

// locate takes a request's target apart, as sent; false if it is none.
func locate(target string) (path, query string, ok bool) {
	path, query, _ = strings.Cut(target, "?")
	if path == "" || path[0] != '/' && path != "*" || strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "", "", false
	}
	if strings.IndexByte(path, '%') >= 0 {
		var err error
		if path, err = url.PathUnescape(path); err != nil {
			return "", "", false
		}
	}
	return path, query, true
}

func inJSON(v any) reply {
	text, err := json.Marshal(v)
	if err != nil { // of numbers and strings: cannot be
		return reply{status: http.StatusInternalServerError, contentType: "text/plain", body: []byte(err.Error())}
	}
	return reply{status: http.StatusOK, contentType: "application/json", body: append(text, '\n')}
}
