package reference

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/hashicorp/go-retryablehttp"
)

// law is how long to wait before a retry: d(n) = base·factor^n, at most cap,
// and then evenly spread from d to d·(1+jitter). By the kinds other than add
//
//	noise         from d to d+noise
//	linear        d(n) = base·(n+1)
//	decorrelated  from base to three times the wait before, at most cap
type law struct {
	kind   string // "" is add
	base   time.Duration
	factor float64
	cap    time.Duration // 0 means none
	jitter float64
	noise  time.Duration
}

// own reports whether the libraries do not have the law, so that it is drawn for
// them.
func (l law) own() bool { return l.kind != "" && l.kind != "add" }

// longest bounds every wait, so that growth does not overflow.
const longest = 24 * time.Hour

// least returns d(n), the shortest wait before retry n, counted from 0.
func (l law) least(n int) time.Duration {
	most := longest
	if l.cap > 0 {
		most = min(most, l.cap)
	}
	d := float64(l.base)
	switch l.kind {
	case "linear":
		d *= float64(n + 1)
	case "decorrelated":
	default:
		d *= math.Pow(l.factor, float64(n))
	}
	if d >= float64(most) {
		return most
	}
	return time.Duration(d)
}

// spread adds the jitter to d; u is drawn evenly from [0, 1).
func (l law) spread(d time.Duration, u float64) time.Duration {
	if l.kind == "noise" {
		return d + time.Duration(u*float64(l.noise))
	}
	return d + time.Duration(l.jitter*u*float64(d))
}

// drawn is the wait before retry n, where the one before was so long; 0 if there
// was none.
func (l law) drawn(n int, before time.Duration, u float64) time.Duration {
	d := l.least(n)
	if l.kind != "decorrelated" {
		return l.spread(d, u)
	}
	most := longest
	if l.cap > 0 {
		most = min(most, l.cap)
	}
	return min(most, d+time.Duration(u*(3*float64(max(before, d))-float64(d))))
}

// centred gives the same law to libraries that spread around a middle m, from
// m·(1−f) to m·(1+f): m = d·(1+jitter/2) and f = (jitter/2)/(1+jitter/2). With
// a jitter of 50% that is 1.25·d and 0.2: from 1.25·0.8 = 1 to 1.25·1.2 = 1.5.
func (l law) centred(d time.Duration) (middle time.Duration, factor float64) {
	half := l.jitter / 2
	return time.Duration(float64(d) * (1 + half)), half / (1 + half)
}

// retryPolicy is what is retried, how often and when.
type retryPolicy struct {
	retries       int
	law           law
	on            []int // statuses; network errors and timeouts are always retried
	anyMethod     bool  // also POST and PATCH without an Idempotency-Key
	deaf          bool  // to Retry-After
	retryAfterMax time.Duration
}

// retrier is the layer of retries.
type retrier struct {
	policy retryPolicy
	run    func(*call) (*http.Response, error) // a library's loop
	next   http.RoundTripper
}

func newRetrier(s *frontendSettings, next http.RoundTripper) retrier {
	r := retrier{next: next, policy: retryPolicy{
		retries: s.retries, law: s.law, on: s.retryOn, retryAfterMax: s.retryAfterMax,
	}}
	switch s.retry {
	case "cenkalti":
		r.run = runCenkalti
	case "retryablehttp":
		r.run = runRetryablehttp
	case "failsafe":
		r.run = runFailsafe
	default:
		panic("retry " + s.retry + " passed the check of settings")
	}
	return r
}

// RoundTrip returns the last answer, if there was one to the last attempt,
// and else its error.
func (r retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.run(&call{retryPolicy: r.policy, req: req, next: r.next})
	if resp != nil {
		return resp, nil
	}
	return nil, err
}

// call is one call with all its attempts; it belongs to one goroutine.
type call struct {
	retryPolicy
	req      *http.Request
	next     http.RoundTripper
	attempts int
	after    time.Duration // the Retry-After of the last answer; 0 means none
	before   time.Duration // the last wait that the law had drawn; 0 means none
}

func (c *call) attempt() (*http.Response, error) {
	c.attempts++
	c.after = 0
	resp, err := c.next.RoundTrip(c.req)
	if err == nil && !c.deaf {
		c.after = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return resp, err
}

// again reports whether the last attempt's result may be retried. How often is
// the library's to count.
func (c *call) again(resp *http.Response, err error) bool {
	if c.req.Context().Err() != nil {
		return false // the caller has gone
	}
	if !c.anyMethod && !repeatable(c.req) {
		return false
	}
	if err != nil {
		var rejected *Rejection
		return !errors.As(err, &rejected) && !errors.Is(err, errTooLarge) && c.inTime()
	}
	return slices.Contains(c.on, resp.StatusCode) && c.after <= c.retryAfterMax && c.inTime()
}

// inTime reports whether the next attempt begins before the call's deadline.
func (c *call) inTime() bool {
	deadline, bounded := c.req.Context().Deadline()
	return !bounded || time.Until(deadline) > c.wait()
}

// wait returns the shortest wait before the next attempt. Retry-After is a
// lower bound; jitter comes on top of that too, so that calls that were sent
// away together do not come back together.
func (c *call) wait() time.Duration { return max(c.law.least(c.attempts-1), c.after) }

// draw is the wait before the next attempt.
func (c *call) draw() time.Duration {
	n, u := c.attempts-1, rand.Float64()
	if c.after > c.law.least(n) {
		return c.law.spread(c.after, u)
	}
	c.before = c.law.drawn(n, c.before, u)
	return c.before
}

// NextBackOff and Reset make a call a law of its own for cenkalti/backoff.
func (c *call) NextBackOff() time.Duration { return c.draw() }
func (c *call) Reset()                     {}

// repeatable reports whether a request may be sent twice: by its method (RFC
// 9110, 9.2.2) or because it carries an Idempotency-Key.
func repeatable(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return req.Header.Get("Idempotency-Key") != ""
}

// retryAfter reads a Retry-After in either form, seconds or an HTTP date (RFC
// 9110, 10.2.3). What cannot be read, or lies in the past, is 0.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(max(0, min(seconds, math.MaxInt32))) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

var errRetried = errors.New("answer may be retried")

// runCenkalti leaves the loop and the growth to cenkalti/backoff.
func runCenkalti(c *call) (*http.Response, error) {
	growth := &backoff.ExponentialBackOff{Multiplier: c.law.factor}
	growth.InitialInterval, growth.RandomizationFactor = c.law.centred(c.law.least(0))
	most := longest
	if c.law.cap > 0 {
		most = c.law.cap
	}
	growth.MaxInterval, _ = c.law.centred(most) // the library caps before it spreads
	var waits backoff.BackOff = atLeast{growth, c}
	if c.law.own() {
		waits = c
	}
	return backoff.Retry(c.req.Context(), func() (*http.Response, error) {
		resp, err := c.attempt()
		if !c.again(resp, err) {
			if err != nil {
				err = backoff.Permanent(err)
			}
			return resp, err
		}
		if err == nil {
			err = errRetried
		}
		return resp, err
	},
		backoff.WithBackOff(waits),
		backoff.WithMaxTries(uint(c.retries+1)),
		backoff.WithMaxElapsedTime(0), // else it gives up after 15 minutes
	)
}

// atLeast lengthens a wait to the Retry-After. The library's own
// RetryAfterError will not do: it forgets the growth, and may shorten the wait.
type atLeast struct {
	*backoff.ExponentialBackOff
	call *call
}

func (b atLeast) NextBackOff() time.Duration {
	d := b.ExponentialBackOff.NextBackOff()
	if c := b.call; c.after > c.law.least(c.attempts-1) {
		return c.law.spread(c.after, rand.Float64())
	}
	return d
}

// runRetryablehttp leaves the loop to hashicorp/go-retryablehttp. Its default
// policies retry every method and wait without jitter; both are replaced.
func runRetryablehttp(c *call) (*http.Response, error) {
	client := retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport:     roundTrip(func(*http.Request) (*http.Response, error) { return c.attempt() }),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryMax: c.retries,
		CheckRetry: func(_ context.Context, resp *http.Response, err error) (bool, error) {
			return c.again(resp, err), nil
		},
		Backoff: func(_, _ time.Duration, _ int, _ *http.Response) time.Duration {
			return c.draw()
		},
		ErrorHandler: retryablehttp.PassthroughErrorHandler, // the last answer as it is
	}
	// Its body stays nil, so that the library does not rewind it: attempt does.
	return client.Do(&retryablehttp.Request{Request: c.req})
}

// runFailsafe leaves the loop and the jitter to failsafe-go.
func runFailsafe(c *call) (*http.Response, error) {
	_, jitter := c.law.centred(0)
	if c.law.own() {
		jitter = 0
	}
	policy := retrypolicy.NewBuilder[*http.Response]().
		HandleIf(c.again).
		WithMaxRetries(c.retries).
		// Not WithBackoffFactor: its growth stands still while a DelayFunc
		// answers with a Retry-After.
		WithDelayFunc(func(failsafe.ExecutionAttempt[*http.Response]) time.Duration {
			if c.law.own() {
				return c.draw()
			}
			middle, _ := c.law.centred(c.wait())
			return middle
		}).
		WithJitterFactor(jitter).
		ReturnLastFailure().
		Build()
	return failsafe.With(policy).WithContext(c.req.Context()).Get(c.attempt)
}
