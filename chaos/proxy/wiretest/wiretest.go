package wiretest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// Patience bounds every wait of these tests: it is not a figure of the relay,
// only the end of a test that hangs.
const Patience = 20 * time.Second

// Link is a relay under test with everything it recorded.
type Link struct {
	link.Relay
	T       *testing.T
	Records chan evidence.Exchange
}

// Watch closes r at the end of the test, when there must be no record and no
// goroutine left. ignore is what runs already.
func Watch(t *testing.T, r link.Relay, ignore goleak.Option) *Link {
	t.Helper()
	l := &Link{r, t, make(chan evidence.Exchange, 1<<16)}
	r.Record(time.Now(), func(x evidence.Exchange) { l.Records <- x })
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if n := r.InFlight(); n != 0 {
			t.Errorf("%d exchanges in flight after Close", n)
		}
		select {
		case x := <-l.Records:
			t.Errorf("an exchange that is none of the test's: %+v", x)
		default:
		}
		if err := goleak.Find(ignore, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
			goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop")); err != nil {
			t.Error(err)
		}
	})
	return l
}

// ConfigOf is what links under test are told.
func ConfigOf(upstream string) link.Config {
	return link.Config{Name: "payments", Listen: "127.0.0.1:0", Upstream: upstream, Seed: 7, Allow: transport.OnlyLoopback}
}

// Add puts a toxic in force, which must fit.
func (l *Link) Add(index int, t toxic.Toxic) (remove func()) {
	l.T.Helper()
	return l.AddOn(index, toxic.Both, t)
}

// AddOn is Add in a direction.
func (l *Link) AddOn(index int, d toxic.Direction, t toxic.Toxic) (remove func()) {
	l.T.Helper()
	remove, err := l.Relay.Add(index, t, d)
	if err != nil {
		l.T.Error(err)
		return func() {}
	}
	return remove
}

// Next is the next exchange that ends.
func (l *Link) Next() evidence.Exchange {
	l.T.Helper()
	select {
	case x := <-l.Records:
		return x
	case <-time.After(Patience):
		l.T.Fatal("no exchange was recorded")
		panic("unreachable")
	}
}

func (l *Link) Dial() *Caller {
	l.T.Helper()
	conn, err := net.Dial("tcp", l.Addr())
	if err != nil {
		l.T.Fatal(err)
	}
	return callerOf(l.T, conn)
}

// Caller is a client that sees every byte. Each read and each write takes Patience at most,
// however long the connection has been open, unless a test has set a deadline of its own.
type Caller struct {
	*net.TCPConn
	In          *bufio.Reader
	t           *testing.T
	read, wrote atomic.Int64 // bytes
	reads       atomic.Bool  // have a deadline of the test's own
	writes      atomic.Bool  // as well
}

func callerOf(t *testing.T, conn net.Conn) *Caller {
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(Patience)) // of what does not come through Read and Write, as io.Copy
	c := &Caller{TCPConn: conn.(*net.TCPConn), t: t}
	c.In = bufio.NewReader(c)
	return c
}

func (c *Caller) Read(p []byte) (int, error) {
	if !c.reads.Load() {
		_ = c.TCPConn.SetReadDeadline(time.Now().Add(Patience)) // fails only if it is closed, as the read says
	}
	n, err := c.TCPConn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func (c *Caller) Write(p []byte) (int, error) {
	if !c.writes.Load() {
		_ = c.TCPConn.SetWriteDeadline(time.Now().Add(Patience))
	}
	n, err := c.TCPConn.Write(p)
	c.wrote.Add(int64(n))
	return n, err
}

// SetReadDeadline is for the reads that follow, in the place of Patience.
func (c *Caller) SetReadDeadline(at time.Time) error {
	c.reads.Store(true)
	return c.TCPConn.SetReadDeadline(at)
}

// SetWriteDeadline is SetReadDeadline for writes.
func (c *Caller) SetWriteDeadline(at time.Time) error {
	c.writes.Store(true)
	return c.TCPConn.SetWriteDeadline(at)
}

// State is what has passed, and what the kernel says of the connection, for errors.
func (c *Caller) State() string {
	return fmt.Sprintf("%d bytes read, %d written; %s", c.read.Load(), c.wrote.Load(), kernelState(c.TCPConn))
}

func (c *Caller) Send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// Expect reads exactly these bytes.
func (c *Caller) Expect(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.In, got)
	if err != nil || string(got) != want {
		c.t.Fatalf("read %q, %v; want %q", got[:n], err, want)
	}
}

// End reads to the end: nil for a FIN.
func (c *Caller) End() error {
	c.t.Helper()
	rest, err := io.ReadAll(c.In)
	if len(rest) > 0 {
		c.t.Fatalf("read %q before the end, want nothing", rest)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("the connection did not end: %s", c.State())
	}
	return err
}

// Dependency is a server that sees every byte: it hands out its connections.
type Dependency struct {
	net.Listener
	T *testing.T
}

func NewDependency(t *testing.T) *Dependency {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &Dependency{l, t}
}

func (d *Dependency) Take() *Caller {
	d.T.Helper()
	d.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(Patience))
	conn, err := d.Accept()
	if err != nil {
		d.T.Fatal(err)
	}
	return callerOf(d.T, conn)
}

func (d *Dependency) Address() string { return d.Addr().String() }

const (
	Get = "GET /pay?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"
	OK  = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
)

// Eventually polls what other goroutines bring about.
func Eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// Silent tells that nothing comes for a short while. It cannot fail on a busy
// machine; it can only miss something.
func (c *Caller) Silent() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	defer c.reads.Store(false)
	if b, err := c.In.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("got %q, %v; want nothing yet", b, err)
	}
}

// WasReset checks that the connection ends by a reset and without another byte.
func (c *Caller) WasReset() {
	c.t.Helper()
	if err := c.End(); !errors.Is(err, syscall.ECONNRESET) {
		c.t.Errorf("it saw %v, want a reset", err)
	}
}

// WasClosed checks that it ends by a FIN and without another byte.
func (c *Caller) WasClosed() {
	c.t.Helper()
	if err := c.End(); err != nil {
		c.t.Errorf("it saw %v, want a FIN", err)
	}
}

// Authority is a CA with a certificate for both ends.
type Authority struct {
	*transport.CA
	cert tls.Certificate
}

func NewAuthority(t *testing.T) Authority {
	t.Helper()
	ca, err := transport.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Certificate("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return Authority{ca, cert}
}

// Server is what a server of TLS is configured with, one that asks for a
// certificate of this CA.
func (a Authority) Server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Pool()}
}

func (a Authority) Client() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.cert}, RootCAs: a.Pool()}
}

// Pem writes a certificate and its key where other programs can read them.
func (a Authority) Pem(t *testing.T, dir string) (cert, key, ca string) {
	t.Helper()
	c, k, err := a.Issue("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	cert, key, ca = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")
	for file, text := range map[string][]byte{cert: c, key: k, ca: a.PEM()} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, ca
}

func ClientOf(a Authority) *tls.Config {
	c := a.Client()
	c.ServerName = "localhost"
	return c
}

func Reads(t *testing.T, conn net.Conn, p []byte) bool {
	t.Helper()
	if _, err := io.ReadFull(conn, p); err != nil {
		t.Error(err)
		return false
	}
	return true
}
