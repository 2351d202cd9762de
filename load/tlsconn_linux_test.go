package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// tlsServer is a real one, and what a client needs to trust it.
func tlsServer(t *testing.T, handler http.HandlerFunc) (addr string, trust *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = quietLog
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s.Listener.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "example.com"}
}

var quietLog = log.New(io.Discard, "", 0)

// httptestCertificate is one that nobody need trust.
func httptestCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	return s.TLS.Certificates[0]
}

func TestTLS(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 1<<14) // 256 KiB, both ways
	addr, trust := tlsServer(t, func(w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err != nil || len(b) != 0 && string(b) != big {
			w.WriteHeader(400)
			return
		}
		if r.URL.Path == "/big" {
			io.WriteString(w, big)
		}
	})
	for _, tt := range []Route{{Path: "/"}, {Path: "/big"}, {Path: "/", Method: "POST", Body: []byte(big)}} {
		tt.Addr, tt.TLS, tt.Timeout = addr, trust, patient
		for _, s := range mustCollect(t, Plan{Schedule: together(40), Run: 1, Loops: 2, MaxConns: 8, Routes: []Route{tt}}) {
			if s.Outcome != OK || tt.Path == "/big" && s.Received < int64(len(big)) {
				t.Errorf("%s %s: %v, %d bytes", tt.Method, tt.Path, s.Outcome, s.Received)
			}
		}
	}
}

// A route's protocol is what is offered, whatever its TLS configuration says, and
// routes that share one share connections.
func TestTLSOffersTheProtocol(t *testing.T) {
	for _, protos := range [][]string{nil, {"http/1.1"}, {"h2"}, {"spdy", "h2"}} {
		var accepted atomic.Int64
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200 + r.ProtoMajor)
		}))
		s.EnableHTTP2, s.Config.ErrorLog = true, quietLog
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				accepted.Add(1)
			}
		}
		s.StartTLS()
		config := &tls.Config{InsecureSkipVerify: true, NextProtos: protos}
		addr := s.Listener.Addr().String()
		one := Route{Addr: addr, TLS: config, Timeout: patient}
		two := one
		two.Protocol = HTTP2
		for _, x := range mustCollect(t, Plan{Schedule: at(0, 0, 0, 0, 0, 0, 0, 0), Run: 1, Loops: 1, MaxConns: 1, InOrder: true, Routes: []Route{one, two, one, two}}) {
			if want := 201 + x.Route%2; x.Status != want {
				t.Errorf("%q, route %d: got %v %d, want %d", protos, x.Route, x.Outcome, x.Status, want)
			}
		}
		if got := accepted.Load(); got != 2 {
			t.Errorf("%q: %d connections, want one for each protocol", protos, got)
		}
		if len(config.NextProtos) != len(protos) {
			t.Errorf("the route's configuration was changed: %q", config.NextProtos)
		}
		s.Close()
	}
}

func TestTLSFailures(t *testing.T) {
	addr, trust := tlsServer(t, func(http.ResponseWriter, *http.Request) {})
	other := trust.Clone()
	other.ServerName = "somebody.else"
	closes := listen(t, func(net.Conn) {}).addr
	hangs := listen(t, hang).addr
	plain := listen(t, says(okAnswer)).addr
	for _, tt := range []struct {
		name string
		addr string
		tls  *tls.Config
		want Outcome
	}{
		{"not trusted", addr, &tls.Config{ServerName: "example.com", RootCAs: x509.NewCertPool()}, Refused},
		{"another name", addr, other, Refused},
		{"insecure", addr, &tls.Config{InsecureSkipVerify: true}, OK},
		{"closes", closes, trust, Refused},
		{"hangs", hangs, trust, TimedOut},
		{"plain HTTP", plain, trust, Refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, s := range mustCollect(t, Plan{Schedule: together(3), Run: 1, Routes: []Route{{Addr: tt.addr, TLS: tt.tls, Timeout: map[bool]time.Duration{true: brief, false: patient}[tt.want == TimedOut]}}}) {
				if s.Outcome != tt.want {
					t.Errorf("got %v, want %v", s.Outcome, tt.want)
				}
			}
		})
	}
}

// A service that wants a client certificate says so by an alert, in TLS 1.3 behind the
// handshake: why nothing was answered is told in its words.
func TestTLSTellsTheAlert(t *testing.T) {
	for version, want := range map[uint16]string{tls.VersionTLS12: "handshake failure", tls.VersionTLS13: "certificate required"} {
		for _, protocol := range []string{HTTP1, HTTP2} {
			for _, transport := range everyTransport(t) {
				t.Run(tls.VersionName(version)+" "+protocol+" "+transport, func(t *testing.T) {
					s := httptest.NewUnstartedServer(http.NotFoundHandler())
					s.EnableHTTP2, s.Config.ErrorLog = true, quietLog
					s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: version}
					s.StartTLS()
					defer s.Close()
					p := Plan{
						Schedule: together(3), Run: 1, MaxConns: 2, Transport: transport, Stats: NewStats(2, time.Now()), Loops: 2,
						Routes: []Route{{Addr: s.Listener.Addr().String(), TLS: &tls.Config{InsecureSkipVerify: true}, Protocol: protocol, Timeout: patient}},
					}
					for _, x := range mustCollect(t, p) {
						if x.Outcome != Reset && x.Outcome != Refused {
							t.Errorf("got %v", x.Outcome)
						}
					}
					if got := p.Stats.Read(); got.TLSFailed == 0 || !strings.Contains(got.TLSError, want) {
						t.Errorf("%d connections failed by %q, want %q", got.TLSFailed, got.TLSError, want)
					}
				})
			}
		}
	}
}

// A connection over TLS is kept, and one that the server closes while it idles
// is noticed.
func TestTLSConnectionsAreReused(t *testing.T) {
	var accepted atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			accepted.Add(1)
		}
	}
	s.StartTLS()
	defer s.Close()
	for _, x := range mustCollect(t, Plan{Schedule: together(30), Run: 1, Loops: 1, MaxConns: 2, Routes: []Route{{Addr: s.Listener.Addr().String(), TLS: &tls.Config{InsecureSkipVerify: true}, Timeout: patient}}}) {
		if x.Outcome != OK {
			t.Errorf("got %v", x.Outcome)
		}
	}
	if got := accepted.Load(); got != 2 {
		t.Errorf("%d connections, want 2", got)
	}
}

// What is cut off without TLS's own end was not the end.
func TestTLSCutOff(t *testing.T) {
	for _, tt := range []struct {
		name string
		says bool
		want Outcome
	}{{"said", true, OK}, {"cut", false, Reset}} {
		cert := httptestCertificate(t)
		addr := listen(t, func(c net.Conn) {
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			buf := make([]byte, 4096)
			if _, err := s.Read(buf); err != nil {
				return
			}
			io.WriteString(s, "HTTP/1.1 200 OK\r\n\r\nuntil the end")
			if tt.says {
				s.Close()
			}
		}).addr
		for _, x := range mustCollect(t, Plan{Schedule: together(2), Run: 1, Routes: []Route{{Addr: addr, TLS: &tls.Config{InsecureSkipVerify: true}, Timeout: patient}}}) {
			if x.Outcome != tt.want {
				t.Errorf("%s: got %v, want %v", tt.name, x.Outcome, tt.want)
			}
		}
	}
}

// A run that is stopped does not wait for handshakes.
func TestStoppedInHandshake(t *testing.T) {
	addr := listen(t, hang).addr
	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	start := time.Now()
	samples, err := collect(t, ctx, Plan{Schedule: at(0, time.Hour), Run: 1, Routes: []Route{{Addr: addr, TLS: &tls.Config{InsecureSkipVerify: true}, Timeout: patient}}}, start)
	if err == nil || len(samples) != 1 || samples[1].Outcome != Unsent || time.Since(start) > patient/2 {
		t.Errorf("%v, %v after %v", samples, err, time.Since(start))
	}
}

func TestTLSNeedsAName(t *testing.T) {
	err := Run(t.Context(), Plan{Schedule: together(1), Routes: []Route{{Addr: "127.0.0.1:1", TLS: &tls.Config{}}}}, time.Now(), func(int, Sample) {})
	if err == nil || !strings.Contains(err.Error(), "server name") {
		t.Errorf("got %v", err)
	}
}

// What is said of a handshake that ran out of time is that, and nothing else.
func TestProbeOfADeafServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	_, err := Probe(ctx, Route{Addr: listen(t, hang).addr, TLS: &tls.Config{InsecureSkipVerify: true}})
	if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "close") {
		t.Errorf("%v", err)
	}
}

// What the server chooses is what is spoken: HTTP/2 if it has that.
func TestProbeFindsOutWhatIsSpoken(t *testing.T) {
	server := func(begin func(*httptest.Server)) *httptest.Server {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = quietLog
		begin(s)
		t.Cleanup(s.Close)
		return s
	}
	plain := server((*httptest.Server).Start)
	one := server((*httptest.Server).StartTLS)
	two := server(func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() })
	silent := server(func(s *httptest.Server) {
		s.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: s.TLS.Certificates}, nil // knows no ALPN
		}}
		s.StartTLS()
	})
	secure := &tls.Config{InsecureSkipVerify: true}
	for _, tt := range []struct {
		name  string
		to    *httptest.Server
		tls   *tls.Config
		asked string
		want  string
	}{
		{"without TLS", plain, nil, Auto, HTTP1},
		{"HTTP/1.1 only", one, secure, Auto, HTTP1},
		{"both", two, secure, Auto, HTTP2},
		{"neither", silent, secure, Auto, HTTP1},
		{"both, and given", two, secure, HTTP1, HTTP1},
		{"both, and by default", two, secure, "", HTTP1},
		{"gRPC", two, secure, GRPC, GRPC},
	} {
		d, err := ProbeAny(t.Context(), []string{tt.to.Listener.Addr().String()}, Route{TLS: tt.tls, Protocol: tt.asked}, patient)
		if err != nil || d.Protocol != tt.want {
			t.Errorf("%s: %q asked, got %q %v, want %q", tt.name, tt.asked, d.Protocol, err, tt.want)
		}
	}
}
