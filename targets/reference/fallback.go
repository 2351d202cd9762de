package reference

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// fallback answers in place of a call that did not succeed: one that failed, timed
// out, was rejected, or ended in 5xx. It says so by X-Degraded. A caller that has gone
// gets no answer.
type fallback struct{ next http.RoundTripper }

func (f fallback) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := f.next.RoundTrip(req)
	if err == nil && resp.StatusCode < 500 {
		return resp, nil
	}
	if errors.Is(req.Context().Err(), context.Canceled) {
		return nil, context.Canceled
	}
	if err == nil {
		resp.Body.Close()
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"X-Degraded": {"fallback"}}, Body: io.NopCloser(strings.NewReader("fallback\n")),
	}, nil
}
