package guard

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	for _, tt := range []struct {
		name    string
		config  Config
		host    string
		method  string
		headers []string // name, value, ...
		want    int
	}{
		{"loopback by number", Config{}, "127.0.0.1:9474", "GET", nil, 200},
		{"another number", Config{}, "192.0.2.7:9474", "GET", nil, 200},
		{"in brackets", Config{}, "[::1]:9474", "POST", nil, 200},
		{"localhost", Config{}, "LocalHost:9474", "GET", nil, 200},
		{"a name that leads here", Config{}, "rebind.example:9474", "GET", nil, 403},
		{"a name that looks like one", Config{}, "localhost.example", "GET", nil, 403},
		{"a number that no parser takes", Config{}, "127.1", "GET", nil, 403},
		{"no host", Config{}, "", "GET", nil, 403},
		{"a name that was given", Config{Hosts: []string{"room.example"}}, "Room.example:9474", "GET", nil, 200},
		{"one below it", Config{Hosts: []string{"room.example"}}, "a.room.example:9474", "GET", nil, 403},
		{"the token, by any name", Config{Token: "s3cret"}, "rebind.example", "GET", []string{"Authorization", "Bearer s3cret"}, 200},
		{"another token", Config{Token: "s3cret"}, "localhost", "GET", []string{"Authorization", "Bearer s3cre"}, 401},
		{"no token", Config{Token: "s3cret"}, "localhost", "GET", nil, 401},
		{"a browser, where there is no page", Config{}, "localhost", "GET", []string{"User-Agent", "Mozilla/5.0"}, 403},
		{"an origin, where there is no page", Config{}, "localhost", "GET", []string{"Origin", "http://localhost"}, 403},
		{"a browser at our page", Config{Pages: true}, "localhost", "GET", []string{"User-Agent", "Mozilla/5.0"}, 200},
		{"what our page sends", Config{Pages: true}, "localhost", "POST", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"the same, of an older browser", Config{Pages: true}, "localhost", "POST", []string{"Origin", "http://localhost"}, 200},
		{"what another page sends", Config{Pages: true}, "localhost", "POST", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"what a neighbour's page sends", Config{Pages: true}, "localhost", "POST", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"the same, of an older browser", Config{Pages: true}, "localhost", "POST", []string{"Origin", "http://other.example"}, 403},
		{"a page that has no origin", Config{Pages: true}, "localhost", "POST", []string{"Origin", "null"}, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			served := false
			h := New(tt.config).Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true }))
			r := httptest.NewRequest(tt.method, "/", nil)
			r.Host = tt.host
			for i := 0; i < len(tt.headers); i += 2 {
				r.Header.Set(tt.headers[i], tt.headers[i+1])
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.want || served != (tt.want == 200) {
				t.Errorf("%d, served %v, want %d: %s", w.Code, served, tt.want, w.Body)
			}
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || !strings.Contains(got, "frame-ancestors 'none'") {
				t.Errorf("Content-Security-Policy: %q", got)
			}
		})
	}
}

// What is longer than it may be is refused by the length that it tells of, before
// any of it is read; where it tells none, as it is read.
func TestLongBody(t *testing.T) {
	for _, told := range []bool{true, false} {
		var read int64
		var failed error
		h := New(Config{MaxBody: 1000}).Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			read, failed = io.Copy(io.Discard, r.Body)
		}))
		r := httptest.NewRequest("POST", "/", bytes.NewReader(make([]byte, 10<<20)))
		r.Host = "localhost"
		if !told {
			r.ContentLength = -1
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var long *http.MaxBytesError
		switch {
		case told && (w.Code != http.StatusRequestEntityTooLarge || read > 0):
			t.Errorf("told: %d, %d bytes read, want 413 and none", w.Code, read)
		case !told && (read > 1000 || !errors.As(failed, &long)):
			t.Errorf("not told: %d bytes read, %v, want 1000 at most and an error", read, failed)
		}
	}
}

// However many connections come that say nothing, or half of something, whoever asks is
// answered; whoever is being answered keeps his place.
func TestManyConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	begun, release := make(chan struct{}, MaxConnections), make(chan struct{})
	go func() {
		served <- Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if r.URL.Path == "/held" {
				begun <- struct{}{}
				<-release
			}
			_, _ = io.WriteString(w, "served")
		}))
	}()
	ask := func(c net.Conn) string {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		answer := make([]byte, 12)
		_, _ = io.ReadFull(c, answer)
		return string(answer)
	}
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	answered := func(what string) {
		t.Helper()
		if got := ask(dial()); got != "HTTP/1.1 200" {
			t.Errorf("beside %s the answer is %q", what, got)
		}
	}
	for what, begin := range map[string]string{
		"silence":     "",
		"half a head": "GET / HTTP/1.1\r\nX: ",
		"half a body": "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
		"an answer":   "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		for range MaxConnections + 50 {
			_, _ = io.WriteString(dial(), begin)
		}
		answered(what)
	}
	var waiting []net.Conn
	for range MaxConnections {
		c := dial()
		_, _ = io.WriteString(c, "GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n")
		<-begun
		waiting = append(waiting, c)
	}
	if got := ask(dial()); strings.HasPrefix(got, "HTTP") {
		t.Errorf("beside %d that are being answered the answer is %q", MaxConnections, got)
	}
	close(release)
	for i, c := range waiting {
		answer := make([]byte, 12)
		if _, _ = io.ReadFull(c, answer); string(answer) != "HTTP/1.1 200" {
			t.Errorf("number %d of those that were being answered got %q", i, answer)
		}
	}
	answered("those that were answered")
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
