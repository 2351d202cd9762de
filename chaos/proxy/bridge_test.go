package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// bridged is a relay of connections with TLS on both sides, and a connection
// through it.
func bridged(t *testing.T) (l *wiretest.Link, c, up *tls.Conn) {
	t.Helper()
	front, behind := wiretest.NewAuthority(t), wiretest.NewAuthority(t)
	d := wiretest.NewDependency(t)
	l = listen(t, d.Address(), func(c *Config) { c.Protocol = toxic.ProtocolTCP }, func(c *Config) { c.Terminate, c.Originate = front.Server(), behind.Client() })
	c = tls.Client(l.Dial().TCPConn, wiretest.ClientOf(front))
	hello := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, "hello")
		hello <- err
	}()
	up = tls.Server(d.Take().TCPConn, behind.Server())
	if got := make([]byte, 5); !wiretest.Reads(t, up, got) || string(got) != "hello" {
		t.Fatalf("the dependency read %q", got)
	}
	if err := <-hello; err != nil {
		t.Fatal(err)
	}
	return l, c, up
}

func TestTLSOverTCP(t *testing.T) {
	t.Run("bytes, and a half that is closed", func(t *testing.T) {
		l, c, up := bridged(t)
		large := []byte(strings.Repeat("0123456789abcdef", 4<<20/16))
		go func() {
			_, _ = c.Write(large)
			_ = c.CloseWrite()
			_ = c.NetConn().(*net.TCPConn).CloseWrite()
		}()
		got, err := io.ReadAll(up)
		if err != nil || !bytes.Equal(got, large) {
			t.Fatalf("the dependency read %d bytes, %v", len(got), err)
		}
		go func() {
			_, _ = up.Write(large)
			_ = up.Close()
		}()
		got, err = io.ReadAll(c)
		if err != nil || !bytes.Equal(got, large) {
			t.Fatalf("the caller read %d bytes, %v", len(got), err)
		}
		if x := l.Next(); x.Ending != evidence.Answered {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("RST from the dependency", func(t *testing.T) {
		l, c, up := bridged(t)
		up.NetConn().(*net.TCPConn).SetLinger(0)
		up.NetConn().Close()
		if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the caller saw %v, want a reset", err)
		}
		if x := l.Next(); x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("RST from the caller", func(t *testing.T) {
		l, c, up := bridged(t)
		c.NetConn().(*net.TCPConn).SetLinger(0)
		c.NetConn().Close()
		if _, err := io.ReadAll(up); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the dependency saw %v, want a reset", err)
		}
		if x := l.Next(); x.Ending != evidence.CallerGone {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("a fault of connections", func(t *testing.T) {
		l, c, up := bridged(t)
		remove := l.AddOn(4, toxic.Downstream, toxic.LimitData{Bytes: 3, Select: toxic.All})
		defer remove()
		_, _ = io.WriteString(up, "0123456789")
		if got, err := io.ReadAll(c); string(got) != "012" || err != nil {
			t.Errorf("the caller read %q, %v; want three bytes", got, err)
		}
		l.Next()
	})
	t.Run("a dependency that shows the wrong certificate", func(t *testing.T) {
		front, behind := wiretest.NewAuthority(t), wiretest.NewAuthority(t)
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address(), func(c *Config) { c.Protocol = toxic.ProtocolTCP }, func(c *Config) { c.Terminate, c.Originate = front.Server(), behind.Client() })
		c := tls.Client(l.Dial().TCPConn, wiretest.ClientOf(front))
		go func() { _, _ = io.WriteString(c, "hello") }()
		_ = tls.Server(d.Take().TCPConn, wiretest.NewAuthority(t).Server()).Handshake()
		if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the caller saw %v, want a reset", err)
		}
		if x := l.Next(); x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("cut", func(t *testing.T) {
		l, c, _ := bridged(t)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the caller saw %v", err)
		}
		if x := l.Next(); x.Ending != evidence.Cut {
			t.Errorf("recorded %+v", x)
		}
	})
}
