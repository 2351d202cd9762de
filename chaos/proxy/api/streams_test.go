package api

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/proxy"
)

// muchPatience is how long a test waits for what must come.
const muchPatience = 20 * time.Second

// echoed sends "ping" and reads what comes back, until it has come or the
// connection has ended.
func echoed(addr string, wait time.Duration) (got string, took time.Duration, err error) {
	begin := time.Now()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", time.Since(begin), err
	}
	defer c.Close()
	if _, err = c.Write([]byte("ping")); err != nil {
		return "", time.Since(begin), err
	}
	c.SetReadDeadline(begin.Add(wait))
	b := make([]byte, 4)
	n, err := io.ReadFull(c, b)
	return string(b[:n]), time.Since(begin), err
}

// TestStreams shows each type of toxic on bytes with a real caller and a real
// server: what the caller sees, that it ends when the toxic is taken out, and
// that the toxic is named as what hit it.
func TestStreams(t *testing.T) {
	f := &fake{Server: New(Config{Seed: 7}), t: t}
	defer f.Close()
	f.do(`POST /proxies {"name":"p","listen":"127.0.0.1:0","upstream":"`+echoServer(t)+`"}`, 201)
	e, err := f.get("p")
	if err != nil {
		t.Fatal(err)
	}
	addr := e.view().Listen
	sound := func(when string) {
		t.Helper()
		if got, _, err := echoed(addr, muchPatience); got != "ping" || err != nil {
			t.Errorf("%s: %q, %v, want ping", when, got, err)
		}
	}
	sound("at first")
	const wait, silence = 60 * time.Millisecond, 60 * time.Millisecond
	for _, tt := range []struct {
		toxic   string
		got     string
		err     error         // nil for none
		atLeast time.Duration // that it took
		wait    time.Duration // 0 is muchPatience
	}{
		{toxic: `"type":"latency","attributes":{"latency":60}`, got: "ping", atLeast: wait},
		{toxic: `"type":"latency","stream":"upstream","attributes":{"latency":60}`, got: "ping", atLeast: wait},
		{toxic: `"type":"latency","stream":"both","attributes":{"latency":60}`, got: "ping", atLeast: 2 * wait},
		{toxic: `"type":"bandwidth","attributes":{"rate":0}`, err: os.ErrDeadlineExceeded, wait: silence},
		{toxic: `"type":"bandwidth","attributes":{"rate":1000}`, got: "ping"}, // that narrow it is not
		{toxic: `"type":"slow_close","attributes":{"delay":5}`, got: "ping"},
		{toxic: `"type":"timeout","attributes":{"timeout":60}`, err: io.EOF, atLeast: wait},
		{toxic: `"type":"timeout","attributes":{"timeout":0}`, err: os.ErrDeadlineExceeded, wait: silence},
		{toxic: `"type":"reset_peer","stream":"both"`, err: syscall.ECONNRESET},
		{toxic: `"type":"reset_peer"`, err: syscall.ECONNRESET},
		{toxic: `"type":"slicer","attributes":{"average_size":1,"delay":10}`, got: "ping"},
		{toxic: `"type":"limit_data","attributes":{"bytes":3}`, got: "pin", err: io.ErrUnexpectedEOF},
		{toxic: `"type":"down","stream":"both"`, err: syscall.ECONNREFUSED},
		{toxic: `"type":"down"`, err: syscall.ECONNREFUSED},
		{toxic: `"type":"partition","stream":"upstream"`, err: os.ErrDeadlineExceeded, wait: silence},
		{toxic: `"type":"slow_connect","attributes":{"delay":"60ms"}`, got: "ping", atLeast: wait},
		{toxic: `"type":"flap","stream":"both","attributes":{"down":"60ms","up":"1h"}`, got: "ping"},
		{toxic: `"type":"noop"`, got: "ping"},
	} {
		name := strings.NewReplacer(`"`, "", ",", " ", "attributes:", "", "{", "", "}", "").Replace(tt.toxic)
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.do(`POST /proxies/p/toxics {"name":"`+name+`",`+tt.toxic+`}`, 200)
			wait := tt.wait
			if wait == 0 {
				wait = muchPatience
			}
			got, took, err := echoed(addr, wait)
			if got != tt.got || !errors.Is(err, tt.err) || took < tt.atLeast {
				t.Errorf("%q after %v, %v; want %q after %v, %v", got, took, err, tt.got, tt.atLeast, tt.err)
			}
			// A noop hits nothing, and who is refused was not there to be hit.
			if !strings.Contains(tt.toxic, "noop") && !errors.Is(tt.err, syscall.ECONNREFUSED) {
				v := e.view().Toxics[0]
				none := fmt.Sprintf("stormctl_toxic_hits_total{proxy=\"p\",stream=%q,toxic=%q,type=%q} 0\n", v.Stream, v.Name, v.Type)
				for end := time.Now().Add(muchPatience); strings.Contains(f.do("GET /metrics", 200), none); time.Sleep(time.Millisecond) {
					if time.Now().After(end) { // slow_close hits when the caller has gone
						t.Fatalf("metrics: %s", none)
					}
				}
			}
			f.do("DELETE /proxies/p/toxics/"+strings.ReplaceAll(name, " ", "%20"), 204)
			sound("when it is taken out")
		})
	}
}

// TestNameThatMoves: a name that was on loopback when the proxy was asked for,
// and stands for somewhere else by the time it is dialled, is not dialled.
func TestNameThatMoves(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			upstream, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer upstream.Close()
			_, port, _ := net.SplitHostPort(upstream.Addr().String())
			s := New(Config{})
			defer s.Close()
			s.listen = func(c proxy.Config, prepare func(proxy.Relay)) (proxy.Relay, error) {
				allow := c.Allow
				c.Allow = func(netip.AddrPort) error { return allow(netip.MustParseAddrPort("192.0.2.1:80")) }
				return listen(c, prepare)
			}
			f := &fake{Server: s, t: t}
			f.do(`POST /proxies {"name":"p","listen":"127.0.0.1:0","protocol":"`+protocol+`","upstream":"localhost:`+port+`"}`, 201)
			e, err := f.get("p")
			if err != nil {
				t.Fatal(err)
			}
			// The end may be there before the dial has looked at its connection.
			c, err := net.Dial("tcp", e.view().Listen)
			if err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Fatal(err)
			}
			if err == nil {
				defer c.Close()
				c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
				c.SetReadDeadline(time.Now().Add(muchPatience))
				if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the caller got %d bytes, %v; want its end", n, err)
				}
			}
			if v := e.view(); !strings.Contains(v.Refused, "upstream 192.0.2.1:80 is not allowed") {
				t.Errorf("nothing tells of it: %+v", v)
			}
			if metrics := f.do("GET /metrics", 200); strings.Contains(metrics, `stormctl_proxy_refused_dials_total{proxy="p"} 0`) {
				t.Error("metrics do not count it")
			}
			upstream.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
			if c, err := upstream.Accept(); err == nil {
				c.Close()
				t.Error("it was dialled")
			}
		})
	}
}
