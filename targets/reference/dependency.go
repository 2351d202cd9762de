package reference

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"syscall"
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
type dependency struct {
	settings *dependencySettings
	effects  *effects

	// Encoded once. The server only reads them.
	body        []byte
	length      []string
	contentType []string
}

func newDependency(s *dependencySettings) *dependency {
	return &dependency{
		settings:    s,
		effects:     newEffects(s.remember),
		body:        []byte(strings.Repeat("ok", s.body/2+1)[:s.body]),
		length:      []string{strconv.Itoa(s.body)},
		contentType: []string{"text/plain"},
	}
}

func (d *dependency) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == "/healthz":
		d.answer(w, http.StatusOK)
	case path == "/effects":
		writeJSON(w, d.effects.totals())
	case strings.HasPrefix(path, "/effects/"):
		id := strings.TrimPrefix(path, "/effects/")
		writeJSON(w, struct {
			ID      string `json:"id"`
			Effects uint32 `json:"effects"`
		}{id, d.effects.of(id)})
	default:
		d.work(w, r)
	}
}

func (d *dependency) work(w http.ResponseWriter, r *http.Request) {
	o := override{status: http.StatusOK}
	if r.URL.RawQuery != "" {
		var err error
		if o, err = parseOverride(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	took := d.settings.serviceTime + o.delay
	if d.settings.jitter > 0 {
		took += rand.N(d.settings.jitter)
	}
	sleep(took)
	if o.retryAfter != "" {
		w.Header().Set("Retry-After", o.retryAfter)
	}
	if o.status < 400 {
		d.effects.count(requestID(r.Header, d.settings.idHeader))
	} else {
		d.effects.refused.Add(1)
	}
	d.answer(w, o.status)
}

func (d *dependency) answer(w http.ResponseWriter, status int) {
	h := w.Header()
	h["Content-Type"] = d.contentType
	if status == http.StatusNoContent || status == http.StatusNotModified {
		w.WriteHeader(status)
		return
	}
	h["Content-Length"] = d.length
	w.WriteHeader(status)
	_, _ = w.Write(d.body) // an error is the caller's, who has gone
}

// override is what a query changes.
type override struct {
	status     int
	retryAfter string
	delay      time.Duration
}

func parseOverride(r *http.Request) (override, error) {
	o := override{status: http.StatusOK}
	query := r.URL.Query()
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
	return o, errors.Join(errs...)
}

// requestID returns the id header, or the trace id of traceparent (W3C Trace
// Context: version-traceid-spanid-flags), or "".
func requestID(h http.Header, name string) string {
	if id := h[name]; len(id) > 0 {
		return id[0]
	}
	if trace := h["Traceparent"]; len(trace) > 0 {
		if parts := strings.SplitN(trace[0], "-", 4); len(parts) == 4 {
			return parts[1]
		}
	}
	return ""
}

// sleep waits for d. The runtime's timers round short waits up to 1 ms
// (golang/go#53824), so the last of it is left to the kernel.
func sleep(d time.Duration) {
	const coarse = 2 * time.Millisecond
	end := time.Now().Add(d)
	if d > coarse {
		time.Sleep(d - coarse)
	}
	for left := time.Until(end); left > 0; left = time.Until(end) {
		spec := syscall.NsecToTimespec(int64(left))
		_ = syscall.Nanosleep(&spec, nil) // interrupted: the loop sleeps on
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // an error is the caller's, who has gone
}
