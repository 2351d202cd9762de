package reference

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serving runs a reference service until the test ends and returns its URL.
func serving(t *testing.T, name string, c Config) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c.Listen = "127.0.0.1:0"
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- Serve(ctx, name, c, func(addr string) { ready <- addr }) }()
	select {
	case addr := <-ready:
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Serve after its context is done: %v", err)
			}
		})
		return "http://" + addr
	case err := <-done:
		cancel()
		t.Fatal(err)
		return ""
	}
}

func fetch(t *testing.T, method, url, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	return fetchBy(t, http.DefaultTransport, method, url, body, header...)
}

func fetchBy(t *testing.T, transport http.RoundTripper, method, url, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

func TestFrontendPassesOn(t *testing.T) {
	dep := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Kept", "yes")
		w.Header().Set("Retry-After", "1")
		w.Header().Set("X-Rejected", "by the dependency itself")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, "%s %s body=%s id=%s trace=%s key=%s own=%s other=%s length=%d coding=%v", r.Method, r.URL, body,
			r.Header.Get("X-Request-Id"), r.Header.Get("traceparent"), r.Header.Get("Idempotency-Key"),
			r.Header.Get("X-Own"), r.Header.Get("X-Other"), r.ContentLength, r.TransferEncoding)
	}))
	defer dep.Close()
	url := serving(t, "frontend", Config{
		Deps: map[string]string{"pay": dep.URL, "based": dep.URL + "/v1"},
		With: map[string]string{"id_header": "x-own", "timeout": "1m", "breaker": "failsafe", "retry": "retryablehttp", "bulkhead": "failsafe"},
	})
	ids := []string{"X-Request-Id", "i", "Traceparent", "t", "Idempotency-Key", "k", "X-Own", "o", "X-Other", "x"}
	tests := []struct{ method, path, body, want string }{
		{"GET", "/pay", "", "GET / body= id=i trace=t key=k own=o other= length=0 coding=[]"},
		{"GET", "/pay/a/b?c=d", "", "GET /a/b?c=d body= id=i trace=t key=k own=o other= length=0 coding=[]"},
		{"GET", "/pay/50%25%2Foff", "", "GET /50%25%2Foff body= id=i trace=t key=k own=o other= length=0 coding=[]"},
		{"GET", "/based", "", "GET /v1 body= id=i trace=t key=k own=o other= length=0 coding=[]"},
		{"GET", "/based/a", "", "GET /v1/a body= id=i trace=t key=k own=o other= length=0 coding=[]"},
		{"POST", "/pay", "order", "POST / body=order id=i trace=t key=k own=o other= length=5 coding=[]"},
		{"POST", "/pay", "", "POST / body= id=i trace=t key=k own=o other= length=0 coding=[]"},
		{"DELETE", "/pay/1", "", "DELETE /1 body= id=i trace=t key=k own=o other= length=0 coding=[]"},
	}
	for _, test := range tests {
		status, header, got := fetch(t, test.method, url+test.path, test.body, ids...)
		if status != http.StatusConflict || got != test.want {
			t.Errorf("%s %s: got %d %q, want 409 %q", test.method, test.path, status, got, test.want)
		}
		if header.Get("X-Kept") != "yes" || header.Get("Retry-After") != "1" || header.Get("X-Rejected") != "" {
			t.Errorf("%s %s: headers %v", test.method, test.path, header)
		}
	}
	for path, want := range map[string]int{"/local": 200, "/healthz": 200, "/nobody": 404, "/": 404} {
		if status, _, body := fetch(t, "GET", url+path, ""); status != want {
			t.Errorf("%s: %d %q, want %d", path, status, body, want)
		}
	}
	if status, _, _ := fetch(t, "POST", url+"/pay", strings.Repeat("x", maxRequest+1)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body past the bound: %d", status)
	}
}

func TestFrontendTellsFailuresApart(t *testing.T) {
	hang := make(chan struct{})
	dep := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer dep.Close()
	defer close(hang)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	url := serving(t, "frontend", Config{
		Deps: map[string]string{"hangs": dep.URL, "refuses": "http://" + closed.Addr().String()},
		With: map[string]string{"timeout": "500ms", "breaker": "gobreaker", "failures": "2", "open": "1h"},
	})
	for _, test := range []struct {
		dep      string
		status   int
		rejected string
	}{
		{"hangs", 504, ""}, {"refuses", 502, ""}, {"hangs", 504, ""},
		{"hangs", 503, "breaker"}, // two failures opened its own breaker, not that of the other
		{"refuses", 502, ""}, {"refuses", 503, "breaker"},
	} {
		status, header, body := fetch(t, "GET", url+"/"+test.dep, "")
		if status != test.status || header.Get("X-Rejected") != test.rejected {
			t.Errorf("%s: got %d %q (%s), want %d %q", test.dep, status, header.Get("X-Rejected"), body, test.status, test.rejected)
		}
	}
}

// A dependency notices when the caller of the frontend goes, and without a
// timeout only then.
func TestFrontendCancelsWhenItsCallerGoes(t *testing.T) {
	for _, with := range []map[string]string{{"timeout": "1h"}, {"flaw": "no-timeout"}} {
		begun, cancelled := make(chan struct{}), make(chan struct{})
		dep := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(begun)
			<-r.Context().Done()
			close(cancelled)
		}))
		url := serving(t, "frontend", Config{Deps: map[string]string{"a": dep.URL}, With: with})
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			<-begun
			leave()
		}()
		req, err := http.NewRequestWithContext(ctx, "GET", url+"/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			resp.Body.Close()
			t.Error("answered, though the dependency hangs")
		}
		select {
		case <-cancelled:
		case <-time.After(30 * time.Second):
			t.Error("the dependency was not told that the caller has gone")
		}
		dep.Close()
	}
}

// net/http repeats requests by itself when a kept connection breaks. Nothing
// may reach the dependency that no retry policy decided on.
func TestNoHiddenRetry(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var requests atomic.Int32
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				reader := bufio.NewReader(conn)
				// The first request of a connection is answered; the second
				// is read, and the connection closed.
				for i := range 2 {
					req, err := http.ReadRequest(reader)
					if err != nil {
						return
					}
					io.Copy(io.Discard, req.Body)
					requests.Add(1)
					if i == 0 {
						io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					}
				}
			}()
		}
	}()
	for _, test := range []struct{ method, body, key string }{
		{"GET", "", ""}, {"HEAD", "", ""}, {"PUT", "x", ""}, {"POST", "x", "k"}, {"POST", "", "k"}, {"GET", "x", ""},
	} {
		url := serving(t, "frontend", Config{Deps: map[string]string{"a": "http://" + l.Addr().String()}, With: map[string]string{"timeout": "1m"}})
		requests.Store(0)
		header := []string{}
		if test.key != "" {
			header = []string{"Idempotency-Key", test.key}
		}
		first, _, _ := fetch(t, test.method, url+"/a", test.body, header...)
		second, _, _ := fetch(t, test.method, url+"/a", test.body, header...)
		if first != 200 || second != 502 || requests.Load() != 2 {
			t.Errorf("%+v: answers %d and %d, %d requests reached the dependency; want 200, 502 and 2",
				test, first, second, requests.Load())
		}
	}
}

func TestServeRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	const free = "127.0.0.1:0"
	for name, test := range map[string]struct {
		service string
		config  Config
		want    string
	}{
		"service":      {"backend", Config{Listen: free}, `unknown reference service "backend"`},
		"setting":      {"frontend", Config{Listen: free, With: map[string]string{"x": "y"}}, `unknown setting`},
		"address":      {"dependency", Config{Listen: taken.Addr().String()}, "address already in use"},
		"url":          {"frontend", Config{Listen: free, Deps: map[string]string{"a": "127.0.0.1:80"}}, "dependency a"},
		"no host":      {"frontend", Config{Listen: free, Deps: map[string]string{"a": "http://"}}, "is not an http://host:port URL"},
		"own path":     {"frontend", Config{Listen: free, Deps: map[string]string{"local": "http://a"}}, "the frontend answers /local itself"},
		"limits":       {"frontend", Config{Listen: free, Deps: map[string]string{"a": "http://a"}, With: map[string]string{"bulkhead": "failsafe", "limits": "b=1"}}, `unknown dependency "b"`},
		"dependency's": {"dependency", Config{Listen: free, Deps: map[string]string{"a": "http://a"}}, "calls nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.Name = "checkout"
			err := Serve(t.Context(), test.service, test.config, func(string) { t.Error("it became ready") })
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "serve checkout: ") {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

// TestFrontendCallsByHTTP2 sends all calls of a dependency over one connection.
func TestFrontendCallsByHTTP2(t *testing.T) {
	var conns atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Proto, r.Header.Get("X-Request-Id"))
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	url := serving(t, "frontend", Config{With: map[string]string{"protocol": "h2"}, Deps: map[string]string{"bank": server.URL}})
	for _, method := range []string{"GET", "POST"} {
		if status, _, body := fetch(t, method, url+"/bank/x", "", "X-Request-Id", "7"); status != 200 || body != "HTTP/2.0 7" {
			t.Errorf("%s: got %d %q", method, status, body)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}
