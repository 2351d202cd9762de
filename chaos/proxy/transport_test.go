package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// authority is a CA with a certificate for both ends.
type authority struct {
	*CA
	cert tls.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	ca, err := NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Certificate("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return authority{ca, cert}
}

// server is what a server of TLS is configured with, one that asks for a
// certificate of this CA.
func (a authority) server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Pool()}
}

func (a authority) client() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.cert}, RootCAs: a.Pool()}
}

// secured puts TLS of two CAs on both sides of a relay.
func secured(front, behind authority) func(*Config) {
	return func(c *Config) { c.Terminate, c.Originate = front.server(), behind.client() }
}

func TestTLS(t *testing.T) {
	front, behind := newAuthority(t), newAuthority(t)
	for _, tt := range []struct {
		protocol string
		major    int
	}{{toxic.ProtocolHTTP1, 1}, {toxic.ProtocolHTTP2, 2}} {
		t.Run(tt.protocol, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor != tt.major || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
					t.Errorf("the dependency was spoken to in %s by %+v", r.Proto, r.TLS)
				}
				_, _ = io.Copy(w, r.Body)
			}))
			server.EnableHTTP2 = tt.major == 2
			server.TLS = behind.server()
			server.StartTLS()
			defer server.Close()
			l := listen(t, server.Listener.Addr().String(), speaks(tt.protocol), secured(front, behind))
			transport := &http.Transport{TLSClientConfig: front.client(), ForceAttemptHTTP2: true}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: patience}
			url := "https://" + l.Addr()

			large := strings.Repeat("0123456789abcdef", 5<<20/16)
			for _, body := range []string{"", "abc", large} {
				resp, got := fetch(t, client, "POST", url+"/pay", body)
				if resp.StatusCode != 200 || got != body || resp.ProtoMajor != tt.major {
					t.Errorf("got %d in %s with %d bytes, want %d", resp.StatusCode, resp.Proto, len(got), len(body))
				}
				if x := l.next(); x.Status != 200 || x.Path != "/pay" || x.Ending != evidence.Answered || x.Conn != 1 {
					t.Errorf("recorded %+v", x)
				}
			}
			remove := l.Add(1, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All})
			if resp, _ := fetch(t, client, "GET", url+"/pay", ""); resp.StatusCode != 503 {
				t.Errorf("got %d, want 503", resp.StatusCode)
			}
			l.next()
			remove()

			t.Run("no certificate", func(t *testing.T) {
				transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: front.Pool()}}
				defer transport.CloseIdleConnections()
				if _, err := (&http.Client{Transport: transport}).Get(url); err == nil {
					t.Error("a caller without certificate was answered")
				}
				eventually(t, "it is counted", func() bool { return l.Unsafe() == 1 })
			})
			t.Run("plain", func(t *testing.T) {
				c := l.dial()
				c.send(get)
				_, _ = io.ReadAll(c)
				eventually(t, "it is counted", func() bool { return l.Unsafe() == 2 })
			})
		})
	}
}

// TestTLSNotTrusted lets a dependency show a certificate that the relay does
// not know: its caller sees what it sees when it cannot be reached.
func TestTLSNotTrusted(t *testing.T) {
	front, behind := newAuthority(t), newAuthority(t)
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer server.Close()
	for _, protocol := range []string{toxic.ProtocolHTTP1, toxic.ProtocolHTTP2} {
		l := listen(t, server.Listener.Addr().String(), speaks(protocol), secured(front, behind))
		transport := &http.Transport{TLSClientConfig: front.client(), ForceAttemptHTTP2: true}
		_, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr())
		if err == nil {
			t.Error("it was answered")
		}
		if x := l.next(); x.Ending != evidence.Failed || x.Status != 0 {
			t.Errorf("recorded %+v", x)
		}
		transport.CloseIdleConnections()
	}
}

// TestTLSEnds shows the end of one side to the other as it was.
func TestTLSEnds(t *testing.T) {
	front, behind := newAuthority(t), newAuthority(t)
	d := newDependency(t)
	l := listen(t, d.addr(), secured(front, behind))
	pair := func(t *testing.T) (c, up *tls.Conn) {
		t.Helper()
		c = tls.Client(l.dial().TCPConn, clientOf(front))
		if _, err := io.WriteString(c, get); err != nil {
			t.Fatal(err)
		}
		up = tls.Server(d.accept().TCPConn, behind.server())
		if got := make([]byte, len(get)); !reads(t, up, got) || string(got) != get {
			t.Fatalf("the dependency read %q", got)
		}
		return c, up
	}
	t.Run("FIN from the dependency", func(t *testing.T) {
		c, up := pair(t)
		_, _ = io.WriteString(up, ok)
		up.Close()
		if got, err := io.ReadAll(c); err != nil || string(got) != ok {
			t.Errorf("the caller read %q, %v", got, err)
		}
		l.next()
	})
	t.Run("RST from the dependency", func(t *testing.T) {
		c, up := pair(t)
		up.NetConn().(*net.TCPConn).SetLinger(0)
		up.NetConn().Close()
		if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the caller saw %v, want a reset", err)
		}
		if x := l.next(); x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("FIN from the caller", func(t *testing.T) {
		c, up := pair(t)
		c.Close()
		if got, err := io.ReadAll(up); err != nil || len(got) > 0 {
			t.Errorf("the dependency read %q, %v", got, err)
		}
		if x := l.next(); x.Ending != evidence.CallerGone {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("a fault's RST", func(t *testing.T) {
		remove := l.Add(1, toxic.Reset{Select: toxic.All})
		defer remove()
		c := tls.Client(l.dial().TCPConn, clientOf(front))
		_, _ = io.WriteString(c, get)
		if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the caller saw %v, want a reset", err)
		}
		if x := l.next(); x.Ending != evidence.Broken {
			t.Errorf("recorded %+v", x)
		}
	})
}

func clientOf(a authority) *tls.Config {
	c := a.client()
	c.ServerName = "localhost"
	return c
}

func reads(t *testing.T, conn net.Conn, p []byte) bool {
	t.Helper()
	if _, err := io.ReadFull(conn, p); err != nil {
		t.Error(err)
		return false
	}
	return true
}

// TestTLSSlowDependency lets a dependency take an upload in its own time: the
// relay gives up writing again and again meanwhile, and no byte is lost.
func TestTLSSlowDependency(t *testing.T) {
	front, behind := newAuthority(t), newAuthority(t)
	d := newDependency(t)
	l := listen(t, d.addr(), secured(front, behind))
	c := tls.Client(l.dial().TCPConn, clientOf(front))
	large := strings.Repeat("0123456789abcdef", 8<<20/16)
	head := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n"
	go func() { _, _ = io.WriteString(c, head+large) }()
	tcp := d.accept().TCPConn
	up := tls.Server(tcp, behind.server())
	got := make([]byte, len(head)+len(large))
	for at, pause := 0, 0; at < len(got); pause++ {
		if pause < 5 {
			time.Sleep(3 * watch)
		}
		n := min(1<<20, len(got)-at)
		if !reads(t, up, got[at:at+n]) {
			return
		}
		at += n
	}
	if string(got) != head+large {
		t.Error("what the dependency got is not what the caller sent")
	}
	_, _ = io.WriteString(up, ok)
	if got := make([]byte, len(ok)); !reads(t, c, got) || string(got) != ok {
		t.Errorf("the caller read %q", got)
	}
	if x := l.next(); x.Payload != hashBytes([]byte(large)) || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
}

// TestTLSGivesUpOnDeafPeers closes a relay while peers are in the middle of a
// handshake, or take nothing.
func TestTLSGivesUpOnDeafPeers(t *testing.T) {
	front, behind := newAuthority(t), newAuthority(t)
	d := newDependency(t)
	for _, protocol := range []string{toxic.ProtocolHTTP1, toxic.ProtocolHTTP2} {
		l := listen(t, d.addr(), speaks(protocol), secured(front, behind))
		l.dial() // says nothing
		c := tls.Client(l.dial().TCPConn, clientOf(front))
		if protocol == toxic.ProtocolHTTP1 {
			go func() { _, _ = io.WriteString(c, get) }()
			d.accept() // says nothing either
			eventually(t, "there is a call", func() bool { return l.InFlight() == 1 })
			defer l.next()
		} else if err := c.Handshake(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
