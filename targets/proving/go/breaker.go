package main

import (
	"context"
	"net/http"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"
)

// gobreakerDoer has the defaults of sony/gobreaker but for its open time: more than
// five failures in a row, one request while half-open.
func gobreakerDoer(client *http.Client) doer {
	breaker := gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{Timeout: setting("OPEN", 0)})
	return func(call *http.Request) (*http.Response, error) {
		return breaker.Execute(func() (*http.Response, error) { return failing(client.Do(call)) })
	}
}

// failsafeBreakerDoer is failsafe-go's breaker with a threshold of failures and a
// delay. Without a threshold of successes its half-open state has as many permits as
// the threshold of failures.
func failsafeBreakerDoer(client *http.Client) doer {
	breaker := circuitbreaker.NewBuilder[*http.Response]().
		HandleIf(func(resp *http.Response, err error) bool {
			_, err = failing(resp, err)
			return err != nil
		}).
		WithFailureThreshold(uint(number("FAILURES", 1))).
		WithDelay(setting("OPEN", time.Minute)).
		Build()
	return func(call *http.Request) (*http.Response, error) {
		return failsafe.With(breaker).Get(func() (*http.Response, error) { return client.Do(call) })
	}
}

// hystrixDoer has the defaults of hystrix-go: half of at least 20 requests within 10 s,
// a sleep window of 5 s, a timeout of 1 s, 10 at a time.
func hystrixDoer(client *http.Client) doer {
	return func(call *http.Request) (*http.Response, error) {
		got := make(chan *http.Response, 1)
		err := hystrix.DoC(call.Context(), "dependency", func(ctx context.Context) error {
			resp, err := failing(client.Do(call.WithContext(ctx)))
			got <- resp
			return err
		}, nil)
		select {
		case resp := <-got:
			return resp, err
		default:
			return nil, err // it was not called, or has not answered yet
		}
	}
}

// failsafeBulkheadDoer is failsafe-go's bulkhead: what finds it full is turned away at once.
func failsafeBulkheadDoer(client *http.Client) doer {
	full := bulkhead.New[*http.Response](uint(number("LIMIT", 10)))
	return func(call *http.Request) (*http.Response, error) {
		return failsafe.With(full).Get(func() (*http.Response, error) { return client.Do(call) })
	}
}
