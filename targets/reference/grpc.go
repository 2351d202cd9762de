package reference

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rpc answers unary calls of gRPC over HTTP/2 without TLS: by the message that it got, or, if it has a
// dependency, by what that answers to the same call.
//
//	caller ──▶ rpc ──(tried again by its policy)──▶ dependency
//
// Its policy is that of a service config (gRFC A6): so many attempts at most, only after the codes that
// may be retried, with waits that grow and are spread by a fifth to either side, as grpc-go does.
type rpc struct {
	settings *rpcSettings
	base     *url.URL // nil: it answers by itself
	next     http.RoundTripper
	conns    *http.Transport
}

// rpcSettings configure an rpc.
type rpcSettings struct {
	attempts    int
	base        time.Duration
	factor      float64
	cap         time.Duration
	timeout     time.Duration
	serviceTime time.Duration
	idHeader    string
	flaw        string
}

// Codes of gRPC that an rpc knows.
const (
	rpcOK               = 0
	rpcCancelled        = 1
	rpcUnknown          = 2
	rpcDeadlineExceeded = 4
	rpcUnavailable      = 14
)

var rpcKeys = []key[rpcSettings]{
	whole("attempts", "1", "", "maxAttempts of the retry policy, the first included", 1, 5,
		func(s *rpcSettings) *int { return &s.attempts }),
	wait("base", "100ms", "", "initialBackoff: wait before the first retry, without jitter", 0, never,
		func(s *rpcSettings) *time.Duration { return &s.base }),
	number("factor", "2", "", "backoffMultiplier: growth from one wait to the next", 1, 100,
		func(s *rpcSettings) *float64 { return &s.factor }),
	wait("cap", "1s", "", "maxBackoff: longest wait without jitter", time.Millisecond, never,
		func(s *rpcSettings) *time.Duration { return &s.cap }),
	wait("timeout", "1s", "", "bound of one attempt", time.Millisecond, never,
		func(s *rpcSettings) *time.Duration { return &s.timeout }),
	wait("service_time", "0s", "", "how long a call is worked on that is answered by itself", 0, never,
		func(s *rpcSettings) *time.Duration { return &s.serviceTime }),
	header("id_header", "X-Request-Id", "header passed on to the dependency; traceparent, X-Request-Id and Idempotency-Key always are",
		func(s *rpcSettings) *string { return &s.idHeader }),
	flawOf("breaks it in one way", func(s *rpcSettings) *string { return &s.flaw }),
}

func parseRPC(with map[string]string) (*rpcSettings, error) {
	return parseFlawed("rpc", rpcKeys, rpcFlaws, with)
}

// rpcService is the reference service rpc.
func rpcService() service {
	return configured(Description{
		Name: "rpc", About: "answers unary calls of gRPC, by itself or by its dependency, which it calls again by a retry policy",
		Settings: describe(rpcKeys), Flaws: slices.Clone(rpcFlaws),
	}, parseRPC, func(life context.Context, h http.Handler) listening {
		return overH2C(overNetHTTP(life, h))
	}, func(_ context.Context, s *rpcSettings, c Config) (http.Handler, error) {
		return newRPC(s, c.Deps)
	})
}

func newRPC(s *rpcSettings, deps map[string]string) (*rpc, error) {
	g := &rpc{settings: s, conns: newTransport(s.timeout, "h2")}
	g.next = once{g.conns}
	if len(deps) > 1 {
		return nil, errors.New("an rpc calls one dependency: leave one link to it")
	}
	for name, raw := range deps {
		base, err := parseDep(name, raw)
		if err != nil {
			return nil, err
		}
		g.base = base
	}
	return g, nil
}

func (g *rpc) close() { g.conns.CloseIdleConnections() }

func (g *rpc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/healthz":
		io.WriteString(w, "ok\n")
		return
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
		http.Error(w, "there are calls of gRPC, and /healthz", http.StatusUnsupportedMediaType)
		return
	}
	message, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return // the caller has gone, or sends too much
	}
	code := rpcOK
	if g.base == nil {
		sleep(g.settings.serviceTime)
	} else {
		code, message = g.call(r, message)
	}
	w.Header().Set("Content-Type", "application/grpc")
	if code != rpcOK {
		w.Header().Set("Grpc-Status", strconv.Itoa(code)) // with no message it is the head that has it
		return
	}
	w.Header().Set("Trailer", "Grpc-Status")
	_, _ = w.Write(message) // fails only if the caller is gone
	w.Header().Set("Grpc-Status", "0")
}

// call calls the dependency, and again as the policy says.
func (g *rpc) call(r *http.Request, message []byte) (code int, answer []byte) {
	for n := 1; ; n++ {
		code, answer = g.attempt(r, message)
		if code == rpcOK || n >= g.settings.attempts || !flawRetriable(g.settings.flaw, code) {
			return code, answer
		}
		timer := time.NewTimer(g.wait(n))
		select {
		case <-timer.C:
		case <-r.Context().Done():
			timer.Stop()
			return rpcCancelled, nil
		}
	}
}

// retriable reports whether the policy retries a call that ended with this code.
func retriable(code int) bool { return code == rpcUnavailable }

// wait is the wait before the retry n, from 1.
func (g *rpc) wait(n int) time.Duration {
	d := min(float64(g.settings.cap), float64(g.settings.base)*math.Pow(g.settings.factor, float64(n-1)))
	return time.Duration(d * (0.8 + 0.4*rand.Float64()))
}

// attempt makes one call.
func (g *rpc) attempt(r *http.Request, message []byte) (code int, answer []byte) {
	ctx, cancel := context.WithTimeout(r.Context(), g.settings.timeout)
	defer cancel()
	target := g.base.JoinPath(strings.TrimPrefix(r.URL.Path, "/"))
	out := (&http.Request{
		Method: http.MethodPost, URL: target, Host: target.Host, Header: http.Header{"Te": {"trailers"}},
		Proto: "HTTP/2.0", ProtoMajor: 2, Body: io.NopCloser(bytes.NewReader(message)), ContentLength: int64(len(message)),
	}).WithContext(ctx)
	passOn(out.Header, r.Header, g.settings.idHeader, "Content-Type")
	resp, err := g.next.RoundTrip(out)
	if err == nil {
		defer resp.Body.Close()
		answer, err = io.ReadAll(io.LimitReader(resp.Body, maxRequest))
	}
	switch {
	case r.Context().Err() != nil:
		return rpcCancelled, nil
	case ctx.Err() != nil:
		return rpcDeadlineExceeded, nil
	case err != nil, resp.StatusCode == http.StatusServiceUnavailable:
		return rpcUnavailable, nil
	case resp.StatusCode != http.StatusOK:
		return rpcUnknown, nil
	}
	text := resp.Trailer.Get("Grpc-Status")
	text = cmp.Or(text, resp.Header.Get("Grpc-Status"))
	if code, err = strconv.Atoi(text); err != nil {
		return rpcUnknown, nil
	}
	return code, answer
}

// overH2C makes a server take HTTP/2 without TLS beside HTTP/1.1.
func overH2C(server *http.Server) *http.Server {
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	return server
}
