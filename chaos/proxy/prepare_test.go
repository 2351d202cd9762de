package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// TestPrepared: a caller that connects as soon as the kernel lets it, and sends
// at once, meets the toxics that Prepare adds, and the dependency sees nothing.
func TestPrepared(t *testing.T) {
	for _, tt := range []struct {
		protocol string
		fault    toxic.Toxic
		answer   string // what the caller gets; "" is nothing
	}{
		{toxic.ProtocolHTTP1, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All}, "HTTP/1.1 503"},
		{toxic.ProtocolTCP, toxic.Partition{Select: toxic.All}, ""},
	} {
		t.Run(tt.protocol, func(t *testing.T) {
			d := wiretest.NewDependency(t)
			var early net.Conn
			r, err := Listen(Config{Name: "payments", Upstream: d.Address(), Protocol: tt.protocol, Prepare: func(r Relay) {
				var err error
				if early, err = net.Dial("tcp", r.Addr()); err != nil {
					t.Fatal(err)
				}
				early.Write([]byte(wiretest.Get))
				time.Sleep(50 * time.Millisecond) // enough for the request to get through, if it could
				if _, err := r.Add(0, tt.fault, toxic.Both); err != nil {
					t.Error(err)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer early.Close()
			if tt.answer != "" {
				early.SetReadDeadline(time.Now().Add(wiretest.Patience))
				line, err := bufio.NewReader(early).ReadString('\n')
				if err != nil || !strings.HasPrefix(line, tt.answer) {
					t.Errorf("got %q, %v, want %s", line, err, tt.answer)
				}
			}
			d.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
			if c, err := d.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the dependency saw %v, %v, want nothing", c, err)
			}
		})
	}
}

func TestOnlyLoopbackIsAllowedByDefault(t *testing.T) {
	if _, err := Listen(Config{Upstream: "192.0.2.1:80"}); err == nil {
		t.Error("an upstream that is not on loopback is accepted without Allow")
	}
}

// TestTCPListens on every kind of address, and says why it cannot.
func TestTCPListens(t *testing.T) {
	d := wiretest.NewDependency(t)
	for _, listen := range []string{"", "localhost:0", ":0", "[::1]:0"} {
		r, err := Listen(Config{Name: "a", Protocol: toxic.ProtocolTCP, Listen: listen, Upstream: d.Address()})
		if err != nil {
			t.Errorf("%q: %v", listen, err)
			continue
		}
		_, port, _ := net.SplitHostPort(r.Addr())
		host := "127.0.0.1"
		if strings.HasPrefix(listen, "[::1]") {
			host = "::1"
		}
		conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Errorf("%q, listening on %s: %v", listen, r.Addr(), err)
		} else {
			conn.Close()
		}
		if _, err := Listen(Config{Name: "b", Protocol: toxic.ProtocolTCP, Listen: r.Addr(), Upstream: d.Address()}); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(fmt.Sprint(err), "address already in use") {
			t.Errorf("a second one on %s: %v, want address already in use", r.Addr(), err)
		}
		r.Close()
		if err := r.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
	}
}
