package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/proxy"
)

// line is a connection that is open through a proxy.
type line struct {
	net.Conn
	in *bufio.Reader
}

func dialLine(t *testing.T, addr string) *line {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &line{c, bufio.NewReader(c)}
}

// says sends a line and gets it back.
func (l *line) says(text string) error {
	if _, err := io.WriteString(l, text+"\n"); err != nil {
		return err
	}
	got, err := l.in.ReadString('\n')
	if err == nil && got != text+"\n" {
		err = fmt.Errorf("%q came back", got)
	}
	return err
}

// TestFailedChangeChangesNothing: a proxy that is to listen where somebody does
// already goes on as if nobody had asked: on its connections, for new ones, and
// with its toxics.
func TestFailedChangeChangesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	echo := echoServer(t)
	for _, request := range []string{
		`PATCH /proxies/p {"listen":"TAKEN"}`,
		`POST /proxies/p {"listen":"TAKEN","upstream":"127.0.0.1:1"}`,
		`PATCH /proxies/p {"listen":"TAKEN","ttl":"1ms"}`,
		`POST /populate [{"name":"p","listen":"TAKEN","upstream":"127.0.0.1:1"}]`,
		`POST /populate [{"name":"p","listen":"TAKEN","upstream":"127.0.0.1:1","protocol":"http1","toxics":[{"type":"reset"}]}]`,
	} {
		t.Run(request, func(t *testing.T) {
			f := &fake{Server: New(Config{}), t: t}
			defer f.Close()
			f.do(`POST /proxies {"name":"p","listen":"127.0.0.1:0","upstream":"`+echo+`","toxics":[{"type":"latency","attributes":{"latency":1}}]}`, 201)
			before := f.do(`GET /proxies/p`, 200)
			e, err := f.get("p")
			if err != nil {
				t.Fatal(err)
			}
			addr := e.view().Listen
			open := dialLine(t, addr)
			if err := open.says("before"); err != nil {
				t.Fatal(err)
			}
			if body := f.do(strings.ReplaceAll(request, "TAKEN", taken.Addr().String()), 500); !strings.Contains(body, "address already in use") {
				t.Errorf("it is answered %s", body)
			}
			if after := f.do(`GET /proxies/p`, 200); after != before {
				t.Errorf("it was %s and is %s", before, after)
			}
			if err := open.says("after"); err != nil {
				t.Errorf("a connection that was open: %v", err)
			}
			if err := dialLine(t, addr).says("new"); err != nil {
				t.Errorf("a new connection: %v", err)
			}
			if hits := e.relay.Hit(0); hits != 2 {
				t.Errorf("its toxic has hit %d connections, want 2", hits)
			}
		})
	}
}

// TestUnreachableUpstream: whoever looks whether a proxy is up by connecting to it is
// let in, as by toxiproxy, though its upstream refuses. What follows is an end.
func TestUnreachableUpstream(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	f := &fake{Server: New(Config{}), t: t}
	defer f.Close()
	f.do(`POST /proxies {"name":"p","listen":"127.0.0.1:0","upstream":"`+nobody.Addr().String()+`"}`, 201)
	e, err := f.get("p")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", e.view().Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the caller read %v, want its end", err)
	}
}

// TestMoves: a proxy moves to another address, also one that overlaps the one
// it has, and ends what was open.
func TestMoves(t *testing.T) {
	f := &fake{Server: New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/32")}}), t: t}
	defer f.Close()
	f.do(`POST /proxies {"name":"p","listen":"127.0.0.1:0","upstream":"`+echoServer(t)+`","toxics":[{"type":"latency","attributes":{"latency":1}}]}`, 201)
	e, err := f.get("p")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(e.view().Listen)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"127.0.0.2:" + port, "0.0.0.0:" + port, "127.0.0.1:" + port, "127.0.0.1:0"} {
		open := dialLine(t, e.view().Listen)
		if err := open.says("before"); err != nil {
			t.Fatal(err)
		}
		f.do(`PATCH /proxies/p {"listen":"`+to+`"}`, 200)
		if err := open.says("after"); err == nil {
			t.Errorf("to %s: what was open is still", to)
		}
		if err := dialLine(t, e.view().Listen).says("new"); err != nil {
			t.Errorf("to %s: %v", to, err)
		}
		if hits := e.relay.Hit(0); hits != 1 {
			t.Errorf("to %s: its toxic has hit %d connections, want 1", to, hits)
		}
	}
}

// TestComesBack: where the new relay can only be bound when the old one is
// stopped, and then cannot, there is one again as it was before.
func TestComesBack(t *testing.T) {
	f := newFake(t, Config{})
	defer f.Close()
	f.do(createP, 201)
	f.do(`POST /proxies/p/toxics {"name":"a","type":"latency"}`, 200)
	before, inForce, first := f.do(`GET /proxies/p`, 200), fmt.Sprint(f.last().toxics()), f.last()
	listen, fails := f.listen, 1
	f.listen = func(c proxy.Config, prepare func(proxy.Relay)) (proxy.Relay, error) {
		if fails--; fails >= 0 {
			return nil, errors.New("no more descriptors")
		}
		return listen(c, prepare)
	}
	if body := f.do(`PATCH /proxies/p {"upstream":"127.0.0.1:9"}`, 500); !strings.Contains(body, "no more descriptors") {
		t.Errorf("it is answered %s", body)
	}
	if after := f.do(`GET /proxies/p`, 200); after != before {
		t.Errorf("it was %s and is %s", before, after)
	}
	if again := f.last(); again == first || !first.closed || fmt.Sprint(again.toxics()) != inForce || again.config.Upstream != first.config.Upstream {
		t.Errorf("there is %+v with %v in force, want one like the first with %v", again, again.toxics(), inForce)
	}
	fails = 2
	if body := f.do(`PATCH /proxies/p {"upstream":"127.0.0.1:9"}`, 500); !strings.Contains(body, "it is disabled") {
		t.Errorf("if it cannot come back either it is answered %s", body)
	}
	if after := f.do(`GET /proxies/p`, 200); !strings.Contains(after, `"enabled":false`) {
		t.Errorf("if it cannot come back either it is %s", after)
	}
	f.do(`PATCH /proxies/p {"enabled":true}`, 200)
}
