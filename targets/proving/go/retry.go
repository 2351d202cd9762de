package main

import (
	"net/http"
	"time"

	"github.com/avast/retry-go/v4"
	"github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"
)

// retryablehttpDoer has the policies of hashicorp/go-retryablehttp; its four retries and
// its waits of 1 s to 30 s are its defaults.
func retryablehttpDoer(client *http.Client) doer {
	c := retryablehttp.NewClient()
	c.HTTPClient, c.Logger = client, nil
	c.ErrorHandler = retryablehttp.PassthroughErrorHandler
	c.RetryMax = number("RETRIES", c.RetryMax)
	c.RetryWaitMin, c.RetryWaitMax = setting("WAIT_MIN", c.RetryWaitMin), setting("WAIT_MAX", c.RetryWaitMax)
	return func(call *http.Request) (*http.Response, error) {
		retryable, err := retryablehttp.FromRequest(call)
		if err != nil {
			return nil, err
		}
		return c.Do(retryable)
	}
}

// cenkaltiDoer has the waits of cenkalti/backoff: 500 ms, one and a half as long each
// time, spread by half to either side. How many is said, for it has no number of its own.
func cenkaltiDoer(client *http.Client) doer {
	return func(call *http.Request) (*http.Response, error) {
		var resp *http.Response
		return backoff.Retry(call.Context(), func() (*http.Response, error) {
			var err error
			resp, err = failing(again(client, call, resp))
			return resp, err
		}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxTries(uint(number("TRIES", 0))))
	}
}

// avastDoer has the waits of avast/retry-go: 100 ms, twice as long each time, and up to
// 100 ms more.
func avastDoer(client *http.Client) doer {
	return func(call *http.Request) (*http.Response, error) {
		var resp *http.Response
		err := retry.Do(func() error {
			var err error
			resp, err = failing(again(client, call, resp))
			return err
		}, retry.Attempts(uint(number("ATTEMPTS", 10))), retry.Context(call.Context()))
		return resp, err
	}
}

// failsafehttpDoer has the retry policy of failsafe-go for HTTP; it waits only where it
// is told to.
func failsafehttpDoer(client *http.Client) doer {
	policy := failsafehttp.NewRetryPolicyBuilder()
	if wait := setting("WAIT", 0); wait > 0 {
		policy = policy.WithBackoff(wait, setting("WAIT_MAX", time.Minute))
	}
	client.Transport = failsafehttp.NewRoundTripper(client.Transport, policy.ReturnLastFailure().Build())
	return client.Do
}

// nethttpDoer is net/http as it is: it repeats only what a reused connection lost before
// anything was answered.
func nethttpDoer(client *http.Client) doer { return client.Do }
