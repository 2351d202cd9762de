package http

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
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// tlsOn puts TLS of two CAs on both sides of a relay.
func tlsOn(front, behind wiretest.Authority) func(*Config) {
	return func(c *Config) { c.Terminate, c.Originate = front.Server(), behind.Client() }
}

func TestTLS(t *testing.T) {
	front, behind := wiretest.NewAuthority(t), wiretest.NewAuthority(t)
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
			server.TLS = behind.Server()
			server.StartTLS()
			defer server.Close()
			l := listen(t, server.Listener.Addr().String(), speaks(tt.protocol), tlsOn(front, behind))
			transport := &http.Transport{TLSClientConfig: front.Client(), ForceAttemptHTTP2: true}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: wiretest.Patience}
			url := "https://" + l.Addr()

			large := strings.Repeat("0123456789abcdef", 5<<20/16)
			for _, body := range []string{"", "abc", large} {
				resp, got := fetch(t, client, "POST", url+"/pay", body)
				if resp.StatusCode != 200 || got != body || resp.ProtoMajor != tt.major {
					t.Errorf("got %d in %s with %d bytes, want %d", resp.StatusCode, resp.Proto, len(got), len(body))
				}
				if x := l.Next(); x.Status != 200 || x.Path != "/pay" || x.Ending != evidence.Answered || x.Conn != 1 {
					t.Errorf("recorded %+v", x)
				}
			}
			remove := l.Add(1, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All})
			if resp, _ := fetch(t, client, "GET", url+"/pay", ""); resp.StatusCode != 503 {
				t.Errorf("got %d, want 503", resp.StatusCode)
			}
			l.Next()
			remove()

			t.Run("no certificate", func(t *testing.T) {
				transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: front.Pool()}}
				defer transport.CloseIdleConnections()
				if _, err := (&http.Client{Transport: transport}).Get(url); err == nil {
					t.Error("a caller without certificate was answered")
				}
				wiretest.Eventually(t, "it is counted", func() bool { return l.Unsafe() == 1 })
			})
			t.Run("plain", func(t *testing.T) {
				c := l.Dial()
				c.Send(wiretest.Get)
				_, _ = io.ReadAll(c)
				wiretest.Eventually(t, "it is counted", func() bool { return l.Unsafe() == 2 })
			})
		})
	}
}

// TestTLSNotTrusted lets a dependency show a certificate that the relay does
// not know: its caller sees what it sees when it cannot be reached.
func TestTLSNotTrusted(t *testing.T) {
	front, behind := wiretest.NewAuthority(t), wiretest.NewAuthority(t)
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer server.Close()
	for _, protocol := range []string{toxic.ProtocolHTTP1, toxic.ProtocolHTTP2} {
		l := listen(t, server.Listener.Addr().String(), speaks(protocol), tlsOn(front, behind))
		transport := &http.Transport{TLSClientConfig: front.Client(), ForceAttemptHTTP2: true}
		_, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr())
		if err == nil {
			t.Error("it was answered")
		}
		if x := l.Next(); x.Ending != evidence.Failed || x.Status != 0 {
			t.Errorf("recorded %+v", x)
		}
		transport.CloseIdleConnections()
	}
}

// TestTLSEnds shows the end of one side to the other as it was.
func TestTLSEnds(t *testing.T) {
	front, behind := wiretest.NewAuthority(t), wiretest.NewAuthority(t)
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address(), tlsOn(front, behind))
	pair := func(t *testing.T) (c, up *tls.Conn) {
		t.Helper()
		c = tls.Client(l.Dial().TCPConn, wiretest.ClientOf(front))
		if _, err := io.WriteString(c, wiretest.Get); err != nil {
			t.Fatal(err)
		}
		up = tls.Server(d.Take().TCPConn, behind.Server())
		if got := make([]byte, len(wiretest.Get)); !wiretest.Reads(t, up, got) || string(got) != wiretest.Get {
			t.Fatalf("the dependency read %q", got)
		}
		return c, up
	}
	t.Run("FIN from the dependency", func(t *testing.T) {
		c, up := pair(t)
		_, _ = io.WriteString(up, wiretest.OK)
		up.Close()
		if got, err := io.ReadAll(c); err != nil || string(got) != wiretest.OK {
			t.Errorf("the caller read %q, %v", got, err)
		}
		l.Next()
	})
	t.Run("RST from the dependency", func(t *testing.T) {
		c, up := pair(t)
		up.NetConn().(*net.TCPConn).SetLinger(0)
		up.NetConn().Close()
		if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the caller saw %v, want a reset", err)
		}
		if x := l.Next(); x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("FIN from the caller", func(t *testing.T) {
		c, up := pair(t)
		c.Close()
		if got, err := io.ReadAll(up); err != nil || len(got) > 0 {
			t.Errorf("the dependency read %q, %v", got, err)
		}
		if x := l.Next(); x.Ending != evidence.CallerGone {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("a fault's RST", func(t *testing.T) {
		remove := l.Add(1, toxic.Reset{Select: toxic.All})
		defer remove()
		c := tls.Client(l.Dial().TCPConn, wiretest.ClientOf(front))
		_, _ = io.WriteString(c, wiretest.Get)
		if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the caller saw %v, want a reset", err)
		}
		if x := l.Next(); x.Ending != evidence.Broken {
			t.Errorf("recorded %+v", x)
		}
	})
}

// TestTLSSlowDependency lets a dependency take an upload in its own time: the
// relay gives up writing again and again meanwhile, and no byte is lost.
func TestTLSSlowDependency(t *testing.T) {
	front, behind := wiretest.NewAuthority(t), wiretest.NewAuthority(t)
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address(), tlsOn(front, behind))
	c := tls.Client(l.Dial().TCPConn, wiretest.ClientOf(front))
	large := strings.Repeat("0123456789abcdef", 8<<20/16)
	head := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n"
	go func() { _, _ = io.WriteString(c, head+large) }()
	tcp := d.Take().TCPConn
	up := tls.Server(tcp, behind.Server())
	got := make([]byte, len(head)+len(large))
	for at, pause := 0, 0; at < len(got); pause++ {
		if pause < 5 {
			time.Sleep(3 * watch)
		}
		n := min(1<<20, len(got)-at)
		if !wiretest.Reads(t, up, got[at:at+n]) {
			return
		}
		at += n
	}
	if string(got) != head+large {
		t.Error("what the dependency got is not what the caller sent")
	}
	_, _ = io.WriteString(up, wiretest.OK)
	if got := make([]byte, len(wiretest.OK)); !wiretest.Reads(t, c, got) || string(got) != wiretest.OK {
		t.Errorf("the caller read %q", got)
	}
	if x := l.Next(); x.Payload != hashBytes([]byte(large)) || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
}

// TestTLSGivesUpOnDeafPeers closes a relay while peers are in the middle of a
// handshake, or take nothing.
func TestTLSGivesUpOnDeafPeers(t *testing.T) {
	front, behind := wiretest.NewAuthority(t), wiretest.NewAuthority(t)
	d := wiretest.NewDependency(t)
	for _, protocol := range []string{toxic.ProtocolHTTP1, toxic.ProtocolHTTP2} {
		l := listen(t, d.Address(), speaks(protocol), tlsOn(front, behind))
		l.Dial() // says nothing
		c := tls.Client(l.Dial().TCPConn, wiretest.ClientOf(front))
		if protocol == toxic.ProtocolHTTP1 {
			go func() { _, _ = io.WriteString(c, wiretest.Get) }()
			d.Take() // says nothing either
			wiretest.Eventually(t, "there is a call", func() bool { return l.InFlight() == 1 })
			defer l.Next()
		} else if err := c.Handshake(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
