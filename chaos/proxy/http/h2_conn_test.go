package http

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// speaks makes a relay speak a protocol.
func speaks(protocol string) func(*Config) {
	return func(c *Config) { c.Protocol = protocol }
}

// h2server is a server of net/http that speaks HTTP/2 by prior knowledge, and
// HTTP/1.1.
func h2server(t *testing.T, handler http.HandlerFunc, edit ...func(*http.Server)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: handler, Protocols: new(http.Protocols)}
	s.Protocols.SetUnencryptedHTTP2(true)
	s.Protocols.SetHTTP1(true)
	for _, e := range edit {
		e(s)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		s.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// h2client is a client of net/http that speaks HTTP/2 by prior knowledge.
func h2client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: wiretest.Patience}
}

// fetch does a request and reads what is answered.
func fetch(t *testing.T, client *http.Client, method, url string, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

func TestStreamsPass(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 3<<20/16)
	addr := h2server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 && r.URL.Path != "/old" {
			t.Errorf("the dependency was spoken to in %s", r.Proto)
		}
		switch r.URL.Path {
		case "/echo":
			w.Header().Set("Trailer", "Sum")
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(body)
			w.Header().Set("Sum", sum(body))
			if r.Trailer.Get("Sum") != "" && r.Trailer.Get("Sum") != sum(body) {
				t.Error("the request's trailer was not that of its body")
			}
		case "/hints":
			w.Header().Set("Link", "</a>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNoContent)
		case "/long":
			w.Header().Set("X-Long", r.Header.Get("X-Long"))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	l := listen(t, addr, speaks(toxic.ProtocolHTTP2))
	client := h2client(t)
	url := "http://" + l.Addr()

	t.Run("HEAD", func(t *testing.T) {
		resp, body := fetch(t, client, "HEAD", url+"/none?x=1", "")
		if resp.StatusCode != 404 || body != "" {
			t.Errorf("got %d %q", resp.StatusCode, body)
		}
		if x := l.Next(); x.Status != 404 || x.Ending != evidence.Answered || x.Method != "HEAD" || x.Path != "/none" || x.Payload != 0 || x.Conn != 1 {
			t.Errorf("recorded %+v", x)
		}
	})
	for _, size := range []int{1, 1000, 65535, 65536, len(large)} {
		t.Run(fmt.Sprintf("echo of %d bytes with trailers both ways", size), func(t *testing.T) {
			req, _ := http.NewRequest("POST", url+"/echo", strings.NewReader(large[:size]))
			req.ContentLength = -1
			req.Trailer = http.Header{"Sum": {sum([]byte(large[:size]))}}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(body) != large[:size] {
				t.Fatalf("got %d bytes back, %v", len(body), err)
			}
			if got := resp.Trailer.Get("Sum"); got != sum(body) {
				t.Errorf("trailer %q, want %q", got, sum(body))
			}
			if x := l.Next(); x.Status != 200 || x.Ending != evidence.Answered || x.Payload != hashBytes(body) {
				t.Errorf("recorded %+v", x)
			}
		})
	}
	t.Run("interim", func(t *testing.T) {
		hints := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if code == 103 && h.Get("Link") != "" {
				hints++
			}
			return nil
		}})
		req, _ := http.NewRequestWithContext(ctx, "GET", url+"/hints", nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 204 || hints != 1 {
			t.Errorf("got %d after %d hints, want 204 after one", resp.StatusCode, hints)
		}
		if x := l.Next(); x.Status != 204 {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("heads that take CONTINUATION", func(t *testing.T) {
		req, _ := http.NewRequest("GET", url+"/long", nil)
		req.Header.Set("X-Long", large[:100_000])
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("X-Long"); got != large[:100_000] {
			t.Errorf("got a field of %d bytes, want 100000", len(got))
		}
		l.Next()
	})
	t.Run("a caller of HTTP/1.1", func(t *testing.T) {
		c := l.Dial()
		c.Send("PRI /old HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp, err := http.ReadResponse(c.In, nil); err != nil || resp.StatusCode != 404 && resp.StatusCode != 400 {
			t.Errorf("got %v, %v", resp, err)
		}
		c.Close()
		l.Next()
	})
}

// TestStreamsFaults does to a stream what a fault says, while another one on
// the same connection is left alone.
func TestStreamsFaults(t *testing.T) {
	var served atomic.Int64
	release := make(chan struct{})
	addr := h2server(t, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		if r.URL.Path == "/wait" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		_, _ = io.WriteString(w, "ok")
	})
	l := listen(t, addr, speaks(toxic.ProtocolHTTP2))
	client := h2client(t)
	url := "http://" + l.Addr()
	only := toxic.Select{Share: 1, Match: &toxic.Match{Path: "/pay*"}}
	untouched := func(t *testing.T) {
		t.Helper()
		before := served.Load()
		if resp, body := fetch(t, client, "GET", url+"/browse", ""); resp.StatusCode != 200 || body != "ok" {
			t.Errorf("another stream got %d %q", resp.StatusCode, body)
		}
		if x := l.Next(); x.Faults != 0 || x.Ending != evidence.Answered || x.Conn != 1 {
			t.Errorf("another stream was recorded as %+v", x)
		}
		if served.Load() != before+1 {
			t.Error("the dependency did not serve it")
		}
	}
	untouched(t)

	t.Run("errors", func(t *testing.T) {
		before := served.Load()
		remove := l.Add(3, toxic.Errors{Status: toxic.Statuses{503}, RetryAfter: 1500 * time.Millisecond, Body: "no", Select: only})
		defer remove()
		for _, body := range []string{"", "abc"} {
			resp, got := fetch(t, client, "POST", url+"/pay", body)
			if resp.StatusCode != 503 || got != "no" || resp.Header.Get("Retry-After") != "2" {
				t.Errorf("got %d %q %v", resp.StatusCode, got, resp.Header)
			}
			x := l.Next()
			if x.Status != 503 || x.Ending != evidence.Injected || x.Faults != 1<<3 || x.Extra().RetryAfter != 2*time.Second ||
				(x.Payload != 0) != (body != "") {
				t.Errorf("recorded %+v", x)
			}
		}
		if resp, got := fetch(t, client, "HEAD", url+"/pay", ""); resp.StatusCode != 503 || got != "" || resp.ContentLength != 2 {
			t.Errorf("HEAD got %d %q %d", resp.StatusCode, got, resp.ContentLength)
		}
		l.Next()
		if served.Load() != before {
			t.Error("the dependency saw what was answered in its place")
		}
		untouched(t)
	})
	t.Run("reset", func(t *testing.T) {
		remove := l.Add(4, toxic.Reset{Select: only})
		defer remove()
		_, err := client.Get(url + "/pay")
		var reset http2.StreamError
		if err == nil || !strings.Contains(err.Error(), "INTERNAL_ERROR") && !errors.As(err, &reset) {
			t.Errorf("got %v, want the stream reset", err)
		}
		if x := l.Next(); x.Status != 0 || x.Ending != evidence.Broken || x.Faults != 1<<4 {
			t.Errorf("recorded %+v", x)
		}
		untouched(t)
	})
	t.Run("latency", func(t *testing.T) {
		remove := l.Add(5, toxic.Latency{Delay: time.Hour, Select: only})
		defer remove()
		before := served.Load()
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			req, _ := http.NewRequestWithContext(ctx, "GET", url+"/pay", nil)
			_, err := client.Do(req)
			gone <- err
		}()
		wiretest.Eventually(t, "the request is held", func() bool { return l.Hit(5) == 1 })
		untouched(t)
		leave()
		<-gone
		if x := l.Next(); x.Status != 0 || x.Ending != evidence.CallerGone || x.Faults != 1<<5 {
			t.Errorf("recorded %+v", x)
		}
		if served.Load() != before+1 {
			t.Error("the dependency saw what was delayed for an hour")
		}
	})
	t.Run("a short latency", func(t *testing.T) {
		remove := l.Add(5, toxic.Latency{Delay: 30 * time.Millisecond, Select: only})
		defer remove()
		if resp, _ := fetch(t, client, "GET", url+"/pay", ""); resp.StatusCode != 200 {
			t.Errorf("got %d", resp.StatusCode)
		}
		if x := l.Next(); x.Duration() < 30*time.Millisecond || x.Ending != evidence.Answered {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("partition and heal", func(t *testing.T) {
		remove := l.Add(6, toxic.Partition{Select: only})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if resp, body := fetch(t, client, "POST", url+"/pay", "abc"); resp.StatusCode != 200 || body != "ok" {
					t.Errorf("got %d %q after the heal", resp.StatusCode, body)
				}
			})
		}
		wiretest.Eventually(t, "they are held", func() bool { return l.Hit(6) == 5 })
		untouched(t)
		remove()
		wg.Wait()
		for range 5 {
			if x := l.Next(); x.Faults != 1<<6 || x.Ending != evidence.Answered || x.Payload != hashBytes([]byte("abc")) {
				t.Errorf("recorded %+v", x)
			}
		}
	})
	t.Run("errors for a call in flight", func(t *testing.T) {
		got := make(chan int, 1)
		before := served.Load()
		go func() {
			resp, _ := fetch(t, client, "GET", url+"/wait", "")
			got <- resp.StatusCode
		}()
		wiretest.Eventually(t, "the dependency works on it", func() bool { return served.Load() > before })
		remove := l.Add(7, toxic.Errors{Status: toxic.Statuses{502}, Select: toxic.Select{Share: 1, Match: &toxic.Match{Path: "/wait"}}})
		defer remove()
		if status := <-got; status != 502 {
			t.Errorf("got %d, want 502", status)
		}
		if x := l.Next(); x.Status != 502 || x.Ending != evidence.Injected {
			t.Errorf("recorded %+v", x)
		}
		untouched(t)
	})
	t.Run("reset of the connection", func(t *testing.T) {
		done := make(chan error, 1)
		go func() {
			_, err := client.Get(url + "/wait")
			done <- err
		}()
		wiretest.Eventually(t, "a call is in flight", func() bool { return l.InFlight() == 1 })
		remove := l.Add(8, fated{toxic.Fate{Verb: toxic.Break, Connection: true}, only})
		defer remove()
		if _, err := client.Get(url + "/pay"); err == nil {
			t.Error("the stream was answered")
		}
		if err := <-done; err == nil {
			t.Error("another stream of the connection was answered")
		}
		for range 2 {
			if x := l.Next(); x.Ending != evidence.Broken {
				t.Errorf("recorded %+v", x)
			}
		}
	})
	close(release)
}

// fated is a toxic that decides the same for all that it takes.
type fated struct {
	fate toxic.Fate
	toxic.Select
}

func (f fated) DecideExchange(*toxic.Head, *rand.Rand) toxic.Fate { return f.fate }

// A latency that differs from exchange to exchange reorders the responses of a connection: of
// two streams the one that is answered last gets its response first.
func TestLatencyReordersStreams(t *testing.T) {
	answered := make(chan string, 2)
	addr := h2server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
		answered <- r.URL.Path
	})
	l := listen(t, addr, speaks(toxic.ProtocolHTTP2))
	client := h2client(t)
	url := "http://" + l.Addr()
	heal := l.Add(4, toxic.Latency{Delay: time.Hour, On: "response", Select: toxic.Select{Share: 1, Match: &toxic.Match{Path: "/first"}}})
	first := make(chan string, 1)
	go func() {
		defer close(first)
		resp, err := client.Get(url + "/first")
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		first <- string(body)
	}()
	<-answered
	if resp, body := fetch(t, client, "GET", url+"/second", ""); resp.StatusCode != 200 || body != "/second" {
		t.Errorf("the second stream got %d %q", resp.StatusCode, body)
	}
	if x := l.Next(); x.Path != "/second" || x.Conn != 1 || x.Faults != 0 {
		t.Errorf("recorded %+v, want the second stream first", x)
	}
	heal()
	if body := <-first; body != "/first" {
		t.Errorf("the first stream got %q", body)
	}
	if x := l.Next(); x.Path != "/first" || x.Conn != 1 || x.Faults != 1<<4 {
		t.Errorf("recorded %+v, want the first stream, delayed", x)
	}
}

// TestStreamsOfSlowCallerHoldUpTheDependency lets a caller not read a response:
// the dependency cannot send on for ever, and other streams go on.
func TestStreamsOfSlowCallerHoldUpTheDependency(t *testing.T) {
	var wrote atomic.Int64
	addr := h2server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/endless" {
			return
		}
		piece := bytes.Repeat([]byte("x"), 16<<10)
		for {
			n, err := w.Write(piece)
			wrote.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	l := listen(t, addr, speaks(toxic.ProtocolHTTP2))
	// Windows as small as they can be, so that it is the relay's that count.
	transport := &http.Transport{Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+l.Addr()+"/endless", nil)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	last := int64(-1)
	wiretest.Eventually(t, "the dependency cannot write on", func() bool {
		now := wrote.Load()
		still := now == last
		last = now
		time.Sleep(50 * time.Millisecond)
		return still && now > 0
	})
	if last > 1<<20 {
		t.Errorf("the dependency could write %d bytes that nobody reads", last)
	}
	if resp, err := client.Get("http://" + l.Addr() + "/other"); err != nil || resp.StatusCode != 200 {
		t.Errorf("another stream got %v, %v", resp, err)
	}
	if x := l.Next(); x.Path != "/other" || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
	leave()
	resp.Body.Close()
	if x := l.Next(); x.Path != "/endless" || x.Ending != evidence.CallerGone || x.Status != 200 {
		t.Errorf("recorded %+v", x)
	}
}

// TestTrafficOfStreams: HTTP/2 has heads that say the same in other bytes, so
// only the bodies tell how much it is at least.
func TestTrafficOfStreams(t *testing.T) {
	const up, down = 10_000, 100_000
	addr := h2server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(make([]byte, down))
	})
	l := listen(t, addr, func(c *Config) { c.Protocol = toxic.ProtocolHTTP2 })
	fetch(t, h2client(t), "POST", "http://"+l.Addr()+"/pay", strings.Repeat("x", up))
	l.Next()
	const heads = 2_000
	wiretest.Eventually(t, "it is counted", func() bool { return l.Bytes(toxic.Upstream) >= up && l.Bytes(toxic.Downstream) >= down })
	for what, of := range map[string]func(toxic.Direction) uint64{"sent": l.Bytes, "received": l.Received} {
		if gotUp, gotDown := of(toxic.Upstream), of(toxic.Downstream); gotUp < up || gotUp > up+heads || gotDown < down || gotDown > down+heads {
			t.Errorf("%d bytes %s up, %d down, want %d, %d and a little", gotUp, what, gotDown, up, down)
		}
	}
}
