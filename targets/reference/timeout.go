package reference

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

var (
	errTimeout  = errors.New("timed out")
	errTooLarge = errors.New("answer is too large")
)

// maxAnswer bounds what an attempt holds in memory.
const maxAnswer = 16 << 20

// attempt is the innermost layer: one request, its answer read to the end, in
// bounded time.
//
// It takes the body from the request's GetBody and leaves Body alone, so that
// the same request can be sent any number of times.
type attempt struct {
	timeout time.Duration // 0 means none
	next    http.RoundTripper
}

func (a attempt) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := req.Context(), context.CancelFunc(func() {})
	if a.timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, a.timeout, errTimeout)
	}
	defer cancel()
	resp, err := a.exchange(ctx, req)
	if err == nil {
		return resp, nil
	}
	// The transport reports a context's end in many ways.
	if req.Context().Err() != nil {
		return nil, req.Context().Err()
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w after %s", errTimeout, a.timeout)
	}
	return nil, err
}

func (a attempt) exchange(ctx context.Context, req *http.Request) (*http.Response, error) {
	out := req.WithContext(ctx)
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		out.Body = body
	}
	resp, err := a.next.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("%w: more than %d MiB", errTooLarge, maxAnswer>>20)
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	return resp, nil
}

// newTransport returns a transport of its own for one dependency. It keeps
// all connections that were ever needed at once, so that load does not churn
// them.
func newTransport(dialTimeout time.Duration, protocol string) *http.Transport {
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		MaxIdleConnsPerHost: 4096,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // answers pass through as they are
	}
	if protocol == "h2" {
		t.Protocols = new(http.Protocols)
		t.Protocols.SetUnencryptedHTTP2(true)
	}
	return t
}

// once keeps net/http from sending a request twice by itself. The transport
// does so, at once and unseen, when a kept connection fails before the first
// byte of the answer; that would be an attempt that no retry policy knows of.
// It needs a body that it can rewind and a method or key that allows it
// (Request.isReplayable), so one of these is taken away. The price is that a
// connection closed by the other side just now is an error, where the
// transport could have told that nothing was sent.
type once struct{ next http.RoundTripper }

func (o once) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.WithContext(req.Context())
	out.GetBody = nil
	switch {
	case out.Body != nil && out.Body != http.NoBody:
		// Nothing to rewind with.
	case req.Method == http.MethodGet, req.Method == http.MethodHead, req.Method == http.MethodOptions:
		// An empty body that does not say so. The transport looks into it, as
		// it does for these methods, and then sends none.
		out.Body = io.NopCloser(new(empty))
	case req.Header.Get("Idempotency-Key") != "":
		// The transport looks for the key as we spell it here; names are
		// compared without case on the wire (RFC 9110, 5.1).
		out.Header = req.Header.Clone()
		out.Header["idempotency-key"] = out.Header["Idempotency-Key"]
		delete(out.Header, "Idempotency-Key")
	}
	return o.next.RoundTrip(out)
}

// empty is a reader that net/http does not know to be empty.
type empty struct{}

func (*empty) Read([]byte) (int, error) { return 0, io.EOF }

// roundTrip makes a function a layer.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
