package reference

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"
)

// outcome is what an attempt means to a breaker.
type outcome uint8

const (
	ignored   outcome = iota // says nothing about the dependency
	succeeded                // an answer below 500: a 404 is the caller's own making
	failed                   // 5xx, network error, timeout
)

// outcomeOf judges an attempt. Callers that went away prove nothing.
func outcomeOf(req *http.Request, resp *http.Response, err error) outcome {
	switch {
	case errors.Is(req.Context().Err(), context.Canceled):
		return ignored
	case err != nil, resp.StatusCode >= 500:
		return failed
	}
	return succeeded
}

// guard is the breaker's layer: it lets an attempt through or rejects it at
// once.
type guard struct {
	admission admission
	judge     func(*http.Request, *http.Response, error) outcome
	next      http.RoundTripper
}

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	p, ok := g.admission.admit()
	if !ok {
		return nil, &Rejection{By: "breaker"}
	}
	resp, err := g.next.RoundTrip(req)
	p.report(g.judge(req, resp, err))
	return resp, err
}

// admission decides on each attempt. Report must be called once for each
// permit.
type admission interface {
	admit() (p permit, ok bool)
}

type permit struct {
	probe  bool // given while half-open
	report func(outcome)
}

// breaker makes a library's circuit an admission. Its lock holds admission
// and result apart from each other's state changes, so that a probe is known
// to be one.
type breaker struct {
	mu sync.Mutex
	circuit
}

// circuit is a library's breaker. Its methods are called under the breaker's
// lock, and so are the reports it returns.
type circuit interface {
	allow() (report func(outcome), ok bool)
	halfOpen() bool
}

func (b *breaker) admit() (permit, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	report, ok := b.allow()
	if !ok {
		return permit{}, false
	}
	return permit{probe: b.halfOpen(), report: func(o outcome) {
		b.mu.Lock()
		defer b.mu.Unlock()
		report(o)
	}}, true
}

// probing reports whether the breaker is half-open now.
func (b *breaker) probing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.halfOpen()
}

func newBreaker(s *frontendSettings, dependency string) *breaker {
	switch s.breaker {
	case "gobreaker":
		return &breaker{circuit: newGobreaker(s)}
	case "failsafe":
		return &breaker{circuit: newFailsafe(s)}
	case "hystrix":
		return &breaker{circuit: newHystrix(s, dependency)}
	}
	panic("breaker " + s.breaker + " passed the check of settings")
}

// gobreakerCircuit is sony/gobreaker, which has all we need: results of an
// earlier state do not count, and ignored ones give a probe's place back.
type gobreakerCircuit struct {
	two *gobreaker.TwoStepCircuitBreaker[struct{}]
}

var (
	errFailed  = errors.New("failed")
	errIgnored = errors.New("ignored")
)

func newGobreaker(s *frontendSettings) circuit {
	return gobreakerCircuit{gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: uint32(s.probes),
		Timeout:     s.open,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= uint32(s.failures) },
		IsExcluded:  func(err error) bool { return errors.Is(err, errIgnored) },
	})}
}

func (c gobreakerCircuit) allow() (func(outcome), bool) {
	done, err := c.two.Allow()
	if err != nil {
		return nil, false
	}
	return func(o outcome) {
		switch o {
		case succeeded:
			done(nil)
		case failed:
			done(errFailed)
		default:
			done(errIgnored)
		}
	}, true
}

func (c gobreakerCircuit) halfOpen() bool { return c.two.State() == gobreaker.StateHalfOpen }

// failsafeCircuit is failsafe-go's breaker. It takes results of an attempt
// begun before it opened for those of a probe, and knows no ignored results,
// so both are kept from it here.
type failsafeCircuit struct {
	breaker circuitbreaker.CircuitBreaker[any]
	state   uint64 // counts state changes
}

func newFailsafe(s *frontendSettings) circuit {
	c := &failsafeCircuit{}
	c.breaker = circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(uint(s.failures)). // of as many last ones: in a row
		WithDelay(s.open).
		WithSuccessThreshold(uint(s.probes)).
		OnStateChanged(func(circuitbreaker.StateChangedEvent) { c.state++ }). // called by what we call, under our lock
		Build()
	return c
}

func (c *failsafeCircuit) allow() (func(outcome), bool) {
	if !c.breaker.TryAcquirePermit() {
		return nil, false
	}
	state, probe := c.state, c.breaker.IsHalfOpen()
	return func(o outcome) {
		switch {
		case c.state != state:
			// Begun in an earlier state.
		case o == succeeded:
			c.breaker.RecordSuccess()
		case o == failed, probe:
			// A probe that came to nothing must give its permit back, or no
			// other ever follows; that it failed is the cautious reading.
			c.breaker.RecordFailure()
		}
	}, true
}

func (c *failsafeCircuit) halfOpen() bool { return c.breaker.IsHalfOpen() }

// hystrixCircuit is hystrix-go's circuit without its goroutines, timeout and
// concurrency limit, which are other patterns' business here. It opens when,
// within 10 s, at least `failures` attempts were made and `error_percent` of
// them failed; it cannot count failures in a row. Open, it lets one attempt
// through per `open`, counted from the probe before, and closes on any
// success; successes of attempts begun before it opened are kept from it.
type hystrixCircuit struct {
	circuit *hystrix.CircuitBreaker
	open    bool
	state   uint64 // counts changes of open
	probe   uint64 // the probe that is out, by number; 0 means none
	probes  uint64
}

// hystrixNames tells circuits apart: the library keeps them in a global map.
var hystrixNames atomic.Uint64

func newHystrix(s *frontendSettings, dependency string) circuit {
	name := fmt.Sprintf("%s-%d", dependency, hystrixNames.Add(1))
	hystrix.ConfigureCommand(name, hystrix.CommandConfig{
		RequestVolumeThreshold: s.failures,
		ErrorPercentThreshold:  s.errorPercent,
		SleepWindow:            int((s.open + time.Millisecond - 1) / time.Millisecond),
	})
	c, _, err := hystrix.GetCircuit(name)
	if err != nil {
		panic("hystrix: " + err.Error()) // it only ever returns nil
	}
	return &hystrixCircuit{circuit: c}
}

// look notes whether the circuit has changed between open and closed.
func (c *hystrixCircuit) look() {
	if open := c.circuit.IsOpen(); open != c.open {
		c.open, c.probe = open, 0
		c.state++
	}
}

func (c *hystrixCircuit) allow() (func(outcome), bool) {
	c.look()
	if !c.circuit.AllowRequest() {
		c.look()
		return nil, false // not reported: the library would count it as a failure
	}
	var probe uint64
	if c.open {
		c.probes++
		probe, c.probe = c.probes, c.probes
	}
	state, begun := c.state, time.Now()
	return func(o outcome) {
		if c.probe == probe {
			c.probe = 0
		}
		c.look()
		if c.state != state || o == ignored {
			return
		}
		event := "success"
		if o == failed {
			event = "failure"
		}
		// An error means that its channel is full; the event is lost then.
		_ = c.circuit.ReportEvent([]string{event}, begun, time.Since(begun))
		c.look()
	}, true
}

// halfOpen is true while a probe is out: the library has no such state.
func (c *hystrixCircuit) halfOpen() bool { return c.probe != 0 }
