package reference

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Flaw breaks one pattern in one way.
type Flaw struct {
	Name    string
	Pattern string // what it breaks; for all but timeout, calls, queue and attempts the setting that must be switched on
	Claim   string // the kind of claim that refutes it
	Meaning string // what it does wrong
}

var flaws = []Flaw{
	{"never-opens", "breaker", "breaker", "takes every attempt for a success"},
	{"opens-late", "breaker", "breaker", "needs ten times the failures"},
	{"keeps-calling", "breaker", "breaker",
		"answers at once while open, but calls the dependency in the background for every second rejected call"},
	{"half-open-flood", "breaker", "breaker", "lets everything through from the first probe until its result is known"},
	{"never-closes", "breaker", "breaker", "takes every probe for a failure"},
	{"trips-on-4xx", "breaker", "breaker", "counts 4xx as failures of the dependency"},

	{"immediate", "retry", "backoff", "retries without a wait"},
	{"no-growth", "retry", "backoff", "waits for base each time"},
	{"no-jitter", "retry", "backoff", "waits exactly base·factor^n"},
	{"unbounded", "retry", "retry", "makes 25 attempts; the waits stop growing (at cap, or at the last sound one)"},
	{"retries-400", "retry", "retry", "retries every 4xx"},
	{"retries-post", "retry", "retry", "retries POST and PATCH without an Idempotency-Key"},
	{"ignores-retry-after", "retry", "backoff", "comes back before Retry-After is over"},

	{"shared-pool", "bulkhead", "bulkhead", "one pool for all dependencies, as large as theirs together"},
	{"over-limit", "bulkhead", "bulkhead", "has half as many permits again as it was told"},
	{"slow-reject", "bulkhead", "bulkhead", "rejects only after 500ms"},
	{"leaks", "bulkhead", "bulkhead", "loses the permit of a call that fails or times out"},

	{"errors-only", "fallback", "stands", "falls back where the dependency answers with an error, not where no answer comes"},

	{"dedupes-late", "dedupe", "effects", "remembers a request once it is answered: one that comes again before is done again"},

	{"no-timeout", "timeout", "timeout", "waits for an answer for ever; the same as timeout: none"},
}

// pageFlaws are those of a page.
var pageFlaws = []Flaw{
	{"n-plus-one", "calls", "fanout", "makes a call for each item, one after another, in place of one for all"},
	{"serial", "calls", "fanout", "makes its calls one after another"},
	{"hoards", "calls", "growth", "keeps 64 KiB of each page, and two descriptors of every tenth"},
}

// workerFlaws are those of a worker.
var workerFlaws = []Flaw{
	{"unbounded-queue", "queue", "shed", "lets any number wait, and turns none away"},
}

// rpcFlaws are those of an rpc.
var rpcFlaws = []Flaw{
	{"retries-any", "attempts", "retry", "retries a call whatever the code that it ended with"},
}

// flawRetriable makes a policy retry anything.
func flawRetriable(flaw string, code int) bool { return flaw == "retries-any" || retriable(code) }

// checkFlaw tells what is wrong with the choice of a flaw, given the library
// that was chosen for each pattern.
func checkFlaw(name string, chosen map[string]string) error {
	var names []string
	for _, f := range flaws {
		if f.Name == name {
			if chosen[f.Pattern] == "none" {
				return fmt.Errorf("frontend: flaw %q breaks the pattern %s, which is off: set %s to one of %s",
					name, f.Pattern, f.Pattern, libraries(f.Pattern))
			}
			return nil
		}
		names = append(names, f.Name)
	}
	if name == "none" {
		return errors.New(`frontend: flaw "none" may mean two things: ` +
			`leave flaw out for a sound service, or give no-timeout for one without timeouts`)
	}
	return unknown("flaw of frontend", name, names)
}

// applyFlaw makes the settings wrong, for flaws that are no more than that.
func (s *frontendSettings) applyFlaw() {
	switch s.flaw {
	case "opens-late":
		s.failures *= 10
	case "immediate":
		s.law.base = 0
	case "no-growth":
		s.law.factor = 1
	case "no-jitter":
		s.law.jitter, s.law.noise = 0, 0
	case "unbounded":
		if s.law.cap == 0 {
			s.law.cap = s.law.least(max(0, s.retries-1))
		}
		s.retries = 24
	case "retries-400":
		for status := 400; status < 500; status++ {
			s.retryOn = append(s.retryOn, status)
		}
	case "no-timeout":
		s.timeout = 0
	}
}

// The other flaws wrap a sound part.

// flawGuard misleads a breaker. Calls of keeps-calling live until life is
// done, and the frontend waits for them by background.
func flawGuard(flaw string, b *breaker, g guard, life context.Context, background *sync.WaitGroup) http.RoundTripper {
	switch flaw {
	case "never-opens":
		g.judge = func(*http.Request, *http.Response, error) outcome { return succeeded }
	case "trips-on-4xx":
		g.judge = func(req *http.Request, resp *http.Response, err error) outcome {
			if err == nil && resp.StatusCode >= 400 {
				return failed
			}
			return outcomeOf(req, resp, err)
		}
	case "never-closes":
		g.admission = neverCloses{b}
	case "half-open-flood":
		g.admission = halfOpenFlood{b}
	case "keeps-calling":
		return &keepsCalling{guard: g, life: life, background: background}
	}
	return g
}

type neverCloses struct{ sound admission }

func (n neverCloses) admit() (permit, bool) {
	p, ok := n.sound.admit()
	if ok && p.probe {
		report := p.report
		p.report = func(outcome) { report(failed) }
	}
	return p, ok
}

// halfOpenFlood admits what a half-open breaker rejects, and forgets the
// results of those: only the sound probe's decides.
type halfOpenFlood struct{ sound *breaker }

func (h halfOpenFlood) admit() (permit, bool) {
	p, ok := h.sound.admit()
	if !ok && h.sound.probing() {
		return permit{report: func(outcome) {}}, true
	}
	return p, ok
}

type keepsCalling struct {
	guard      guard
	life       context.Context
	background *sync.WaitGroup
	rejected   atomic.Uint64
}

func (k *keepsCalling) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := k.guard.RoundTrip(req)
	if _, ok := errors.AsType[*Rejection](err); ok && k.rejected.Add(1)%2 == 0 {
		k.background.Go(func() {
			// Its result is dropped.
			if resp, err := k.guard.next.RoundTrip(req.WithContext(k.life)); err == nil {
				resp.Body.Close()
			}
		})
	}
	return resp, err
}

// flawRetrier makes a retrier careless.
func flawRetrier(flaw string, r retrier) retrier {
	switch flaw {
	case "retries-post":
		r.policy.anyMethod = true
	case "ignores-retry-after":
		r.policy.deaf = true
	}
	return r
}

// flawPools deals out permits wrongly.
func flawPools(s *frontendSettings, dependencies []string, sound map[string]pool) map[string]pool {
	wrong := map[string]pool{}
	permits := limitsOf(s, dependencies)
	switch s.flaw {
	case "shared-pool":
		sum := 0
		for _, n := range permits {
			sum += n
		}
		shared := newPool(s.bulkhead, sum)
		for name := range permits {
			wrong[name] = shared
		}
	case "over-limit":
		for name, n := range permits {
			wrong[name] = newPool(s.bulkhead, n+(n+1)/2)
		}
	case "leaks":
		for name, p := range sound {
			wrong[name] = leaks{p}
		}
	default:
		return sound
	}
	return wrong
}

type leaks struct{ pool }

func (l leaks) leave(failed bool) {
	if !failed {
		l.pool.leave(failed)
	}
}

// flawCompartment makes rejections slow.
func flawCompartment(flaw string, c compartment) http.RoundTripper {
	if flaw != "slow-reject" {
		return c
	}
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		resp, err := c.RoundTrip(req)
		if rejected, ok := errors.AsType[*Rejection](err); ok && rejected.By == "bulkhead" {
			timer := time.NewTimer(500 * time.Millisecond)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-req.Context().Done():
			}
		}
		return resp, err
	})
}

// flawFallback makes a fallback forget calls without an answer.
func flawFallback(flaw string, f fallback) http.RoundTripper {
	if flaw == "errors-only" {
		return roundTrip(func(req *http.Request) (*http.Response, error) {
			resp, err := f.next.RoundTrip(req)
			if err != nil {
				return nil, err
			}
			return fallback{roundTrip(func(*http.Request) (*http.Response, error) { return resp, nil })}.RoundTrip(req)
		})
	}
	return f
}

// flawQueue makes a worker's queue as long as it likes.
func flawQueue(flaw string, w *worker) *worker {
	if flaw == "unbounded-queue" {
		w.places = nil
	}
	return w
}

// flawDedupe makes it check first, and act then.
func flawDedupe(flaw string, d *dedupe) http.RoundTripper {
	if flaw == "dedupes-late" {
		return dedupesLate{d}
	}
	return d
}

type dedupesLate struct{ sound *dedupe }

func (l dedupesLate) RoundTrip(req *http.Request) (*http.Response, error) {
	key := dedupeKey(req)
	if key == "" {
		return l.sound.next.RoundTrip(req)
	}
	l.sound.mu.Lock()
	c, known := l.sound.calls[key]
	l.sound.mu.Unlock()
	if !known {
		c = &dedupedCall{done: make(chan struct{})}
		c.make(l.sound.next, req)
		close(c.done)
		if c.err == nil && c.answer.StatusCode < 500 {
			l.sound.mu.Lock()
			l.sound.keep(key, c)
			l.sound.mu.Unlock()
		}
	}
	return c.wait(req)
}

// flawRows makes a page chatty. The first row is that of its items.
func flawRows(flaw string, items int, sound [][]pageCall) [][]pageCall {
	switch flaw {
	case "n-plus-one":
		each := make([]pageCall, items)
		for i := range each {
			each[i] = pageCall{ask{path: "/item/" + strconv.Itoa(i+1)}, sound[0][0].of}
		}
		return append([][]pageCall{each}, sound[1:]...)
	case "serial":
		return [][]pageCall{slices.Concat(sound...)}
	}
	return sound
}
