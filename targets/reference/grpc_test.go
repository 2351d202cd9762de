package reference

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// rpcAt serves an rpc until the test ends, and returns its URL.
func rpcAt(t *testing.T, with map[string]string, deps map[string]string) string {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	at, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- Serve(ctx, "rpc", Config{Listen: "127.0.0.1:0", With: with, Deps: deps}, func(addr string) { at <- addr })
	}()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case addr := <-at:
		return "http://" + addr
	case err := <-ended:
		t.Fatal(err)
	}
	return ""
}

// called makes a unary call with a message, and returns its code and the answer.
func called(t *testing.T, base string, message []byte) (code string, answer []byte) {
	t.Helper()
	conns := newTransport(time.Second, "h2")
	defer conns.CloseIdleConnections()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/shop.v1.Stock/Get"
	req := (&http.Request{Method: http.MethodPost, URL: u, Host: u.Host,
		Header: http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "X-Request-Id": {"7"}},
		Body:   io.NopCloser(bytes.NewReader(message)), ContentLength: int64(len(message))}).WithContext(t.Context())
	resp, err := conns.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	if code = resp.Trailer.Get("Grpc-Status"); code == "" {
		code = resp.Header.Get("Grpc-Status")
	}
	return code, answer
}

// A message comes back through two of them.
func TestRPC(t *testing.T) {
	message := []byte{0, 0, 0, 0, 2, 8, 1}
	stock := rpcAt(t, nil, nil)
	shop := rpcAt(t, map[string]string{"attempts": "3"}, map[string]string{"stock": stock})
	if code, answer := called(t, shop, message); code != "0" || !bytes.Equal(answer, message) {
		t.Errorf("code %q, %v", code, answer)
	}
}

// UNAVAILABLE is tried again, up to the attempts; INTERNAL is not, but for its flaw.
func TestRPCRetries(t *testing.T) {
	const internal = 13
	for _, c := range []struct {
		flaw  string
		codes []int // what each attempt is answered with; the last one for all that follow
		code  int
		calls int64
	}{
		{"", []int{rpcUnavailable, rpcUnavailable, rpcOK}, rpcOK, 3},
		{"", []int{rpcUnavailable}, rpcUnavailable, 3},
		{"", []int{internal}, internal, 1},
		{"retries-any", []int{internal, rpcOK}, rpcOK, 2},
	} {
		var calls atomic.Int64
		g := &rpc{settings: &rpcSettings{attempts: 3, base: time.Microsecond, factor: 2, cap: time.Millisecond, timeout: time.Second,
			flaw: c.flaw},
			base: &url.URL{Scheme: "http", Host: "stock", Path: "/"},
			next: roundTrip(func(*http.Request) (*http.Response, error) {
				n := int(calls.Add(1)) - 1
				code := c.codes[min(n, len(c.codes)-1)]
				return &http.Response{StatusCode: 200, Header: http.Header{"Grpc-Status": {strconv.Itoa(code)}}, Body: http.NoBody}, nil
			})}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://shop/shop.v1.Stock/Get", nil)
		if err != nil {
			t.Fatal(err)
		}
		if code, _ := g.call(req, nil); code != c.code || calls.Load() != c.calls {
			t.Errorf("%v, flaw %q: code %d after %d calls, want %d after %d", c.codes, c.flaw, code, calls.Load(), c.code, c.calls)
		}
	}
}
