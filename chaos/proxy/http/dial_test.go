package http

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
)

// names is a DNS server on loopback that gives the same address to every name,
// and another one once it is told.
type names struct{ addr atomic.Pointer[[4]byte] }

func (n *names) serve(conn net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		size, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:size]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		if q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
				Body:   &dnsmessage.AResource{A: *n.addr.Load()},
			}}
		}
		if answer, err := m.Pack(); err == nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

// TestNameThatMovesOutside: the dependency's name is asked for anew at each
// dial. Once it points outside, callers are refused and nothing goes there.
func TestNameThatMovesOutside(t *testing.T) {
	server := &names{}
	server.addr.Store(&[4]byte{127, 0, 0, 1})
	dns, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); server.serve(dns) }()
	defer func() { dns.Close(); <-served }()

	inside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "inside") })}
	go func() { _ = s.Serve(inside) }()
	defer s.Close()
	port := inside.Addr().(*net.TCPAddr).Port
	outside, err := net.Listen("tcp", fmt.Sprintf("127.0.0.2:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	var came atomic.Int64
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		for {
			c, err := outside.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			c.Close()
		}
	}()
	defer func() { outside.Close(); <-accepting }()

	only := netip.MustParsePrefix("127.0.0.1/32")
	resolve := func(r *Relay) {
		r.dialer.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", dns.LocalAddr().String())
		}}
	}
	allow := func(addr netip.AddrPort) error {
		if !only.Contains(addr.Addr()) {
			return fmt.Errorf("%s is outside", addr)
		}
		return nil
	}
	l := listenPrepared(t, fmt.Sprintf("bank.test:%d", port), resolve, func(c *Config) { c.Allow = allow })

	ask := func() (body string, err error) {
		c, err := net.Dial("tcp", l.Addr())
		if err != nil {
			return "", err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(wiretest.Patience))
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: bank.test\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return "", err
		}
		text, err := io.ReadAll(r.Body)
		return string(text), err
	}
	if body, err := ask(); err != nil || body != "inside" {
		t.Fatalf("by its name inside: %q, %v", body, err)
	}
	server.addr.Store(&[4]byte{127, 0, 0, 2})
	if body, err := ask(); err == nil {
		t.Errorf("by its name outside: %q, want a reset", body)
	}
	if n := came.Load(); n != 0 {
		t.Errorf("%d connections came to what is outside", n)
	}
	l.Next()
	if x := l.Next(); x.Ending != evidence.Failed {
		t.Errorf("recorded %+v", x)
	}
}
