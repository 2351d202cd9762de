package reference

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func dial(t *testing.T, network, addr string) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// What is plain and what is not is answered alike, one after the other on the
// same connection, however it is cut.
func TestHTTP1AnswersInTurn(t *testing.T) {
	url := serving(t, "dependency", Config{})
	tests := []struct {
		name, requests string
		want           []int
	}{
		{"pipelined", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /?status=503 HTTP/1.1\r\nHost: x\r\n\r\nGET /?status=204 HTTP/1.1\r\nhost:x\r\n\r\n", []int{200, 503, 204}},
		{"waiting in between", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /?delay=10ms HTTP/1.1\r\nHost: x\r\n\r\n", []int{200, 200}},
		{"bodies", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbodyPUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", []int{200, 200}},
		{"a long body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n" + strings.Repeat("x", 40000) + "GET /?status=418 HTTP/1.1\r\nHost: x\r\n\r\n", []int{200, 418}},
		{"chunked behind plain", "GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST /?status=418 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\nGET /?status=503 HTTP/1.1\r\nHost: x\r\n\r\n", []int{200, 418, 503}},
		{"told to close", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", []int{200, 200, 0}},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", []int{200, 0}},
		{"no host", "GET / HTTP/1.1\r\n\r\n", []int{400, 0}},
		{"two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody", []int{400, 0}},
		{"a long header", "GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 2*longestPlain) + "\r\n\r\n", []int{200}},
		{"begun like HTTP/2", "PRI /?status=418 HTTP/1.1\r\nHost: x\r\n\r\n", []int{418}},
		{"neither protocol", "\x16\x03\x01\x02\x00\x01\r\n\r\n", []int{400, 0}},
	}
	for _, test := range tests {
		for _, piece := range []int{len(test.requests), 7} {
			t.Run(fmt.Sprintf("%s in pieces of %d", test.name, piece), func(t *testing.T) {
				conn := dial(t, "tcp", strings.TrimPrefix(url, "http://"))
				go func() {
					for b := []byte(test.requests); len(b) > 0; b = b[min(piece, len(b)):] {
						_, _ = conn.Write(b[:min(piece, len(b))])
					}
				}()
				in := bufio.NewReader(conn)
				for i, want := range test.want {
					got := 0
					if resp, err := http.ReadResponse(in, nil); err == nil {
						got = resp.StatusCode
						_, _ = io.Copy(io.Discard, resp.Body)
					}
					if got != want {
						t.Errorf("answer %d: got %d, want %d (0 is the end of the connection)", i, got, want)
					}
				}
			})
		}
	}
}

func TestHTTP1Retires(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	ready, served := make(chan string, 1), make(chan error, 1)
	path := filepath.Join(t.TempDir(), "s")
	go func() {
		served <- Serve(ctx, "dependency", Config{Listen: "unix:" + path}, func(addr string) { ready <- addr })
	}()
	if got := <-ready; got != "unix:"+path {
		t.Errorf("it says that it listens on %q", got)
	}
	// The answer to the first tells that what follows it has been read too.
	const first = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	requests := map[string]string{
		"idle":        first,
		"busy":        first + "GET /?delay=100ms HTTP/1.1\r\nHost: x\r\n\r\n",
		"in a header": first + "GET / HTTP/1.1\r\nHo",
		"in a body":   first + "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo",
	}
	rest := map[string]string{"in a header": "st: x\r\n\r\n", "in a body": "dy"}
	conns, answers := map[string]net.Conn{}, map[string]*bufio.Reader{}
	for name, text := range requests {
		conns[name] = dial(t, "unix", path)
		answers[name] = bufio.NewReader(conns[name])
		_, _ = io.WriteString(conns[name], text)
		if resp, err := http.ReadResponse(answers[name], nil); err != nil {
			t.Fatal(err)
		} else {
			_, _ = io.Copy(io.Discard, resp.Body)
		}
	}
	stop()
	if b, err := io.ReadAll(answers["idle"]); len(b) > 0 || err != nil {
		t.Errorf("idle: %q, %v", b, err)
	}
	delete(requests, "idle")
	for name := range requests {
		_, _ = io.WriteString(conns[name], rest[name])
		b, err := io.ReadAll(answers[name])
		if err != nil || !bytes.HasPrefix(b, []byte("HTTP/1.1 200 OK\r\n")) || !bytes.Contains(b, []byte("\r\nConnection: close\r\n")) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// What is taken for plain is what net/http reads.
func FuzzPlainAgrees(f *testing.F) {
	f.Add([]byte("GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-Request-Id: 7\r\nTraceparent: 00-a-b-01"))
	f.Add([]byte("POST /%41 HTTP/1.1\r\nHost:\r\ncontent-length: 12\r\nConnection:\tkeep-alive "))
	f.Add([]byte("HEAD / HTTP/1.1\r\nhost: [::1]:80\r\nX-A: \x80\r\n folded"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Contains(b, []byte("\r\n\r\n")) {
			return
		}
		var p plain
		if !p.parse(append(bytes.Clone(b), "\r\n"...), "x-request-id") {
			return
		}
		path, query, ok := locate(string(p.target))
		if !ok {
			return
		}
		req, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(b), strings.NewReader("\r\n\r\n"))))
		if err != nil {
			t.Fatalf("%q: plain, but %v", b, err)
		}
		got := fmt.Sprintln(path, query, p.head, p.length, requestID(p.id, p.trace))
		want := fmt.Sprintln(req.URL.Path, req.URL.RawQuery, req.Method == "HEAD", req.ContentLength, requestID(req.Header.Get("X-Request-Id"), req.Header.Get("Traceparent")))
		if got != want {
			t.Errorf("%q: got %s, want %s", b, got, want)
		}
	})
}

// source is a connection on which the same arrives again and again.
type source struct {
	sink
	bytes []byte
	times int
}

func (s *source) Read(b []byte) (int, error) {
	if s.times--; s.times < 0 {
		return 0, io.EOF
	}
	return copy(b, s.bytes), nil
}

func BenchmarkHTTP1(b *testing.B) {
	d := newDependency(&dependencySettings{body: 2, remember: 1000, idHeader: "X-Request-Id"})
	conn := &source{bytes: []byte("GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"), times: b.N}
	b.ReportAllocs()
	newHTTP1(d, conn).serve()
}
