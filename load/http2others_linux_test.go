package load

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/arrivals"
)

// started starts a server of the system and waits until it takes connections.
func started(t *testing.T, addr string, command ...string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	for deadline := time.Now().Add(patient); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

// installed is where a program is; the test is skipped if it is nowhere.
func installed(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// free is an address that nothing listens on.
func free(t *testing.T) (addr, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return l.Addr().String(), port
}

const nginxHTTP2 = `
daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/errors;
events { worker_connections 64; }
http {
	access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	keepalive_requests 100; # past them nginx goes away
	server {
		listen %[2]s http2;
		root %[1]s;
		location = /busy { return 503 busy; }
		location = /redirect { return 302 /; }
	}
}
`

func startNginx(t *testing.T, dir, addr string) {
	t.Helper()
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxHTTP2, dir, addr), 0o600); err != nil {
		t.Fatal(err)
	}
	started(t, addr, installed(t, "nginx"), "-c", config)
}

// nginx goes away after so many requests of a connection, with others on their
// way: none of them is lost, and none is done twice.
func TestHTTP2GoAwayOfNginx(t *testing.T) {
	const n = 3000
	transports := everyTransport(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "small"), []byte("ok"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr, _ := free(t)
	startNginx(t, dir, addr)
	route := h2(addr)
	route.Path, route.Checks = "/small?${seq}", []Check{{Of: CheckBody, Test: Contains, Want: "ok"}, {Of: CheckHeader, Name: "content-length", Want: "2"}}
	chained := route
	chained.Then = []Step{{Path: "/small?again", Checks: route.Checks, Timeout: patient}}
	for _, transport := range transports {
		for name, p := range map[string]Plan{
			"all at once":  {Schedule: together(n), Routes: []Route{route}},
			"as they come": {Schedule: arrivals.Constant(20_000, n*time.Second/20_000), Routes: []Route{route}},
			"chained":      {Schedule: together(n / 2), Routes: []Route{chained}},
			"closed":       {Closed: &Closed{Connections: 2, Requests: n}, Routes: []Route{route}},
		} {
			stats := NewStats(1, time.Now())
			p.Run, p.Loops, p.MaxConns, p.Transport, p.Stats, p.Grace = 1, 1, 2, transport, stats, patient
			samples, err := collect(t, t.Context(), p, time.Now())
			if err != nil || len(samples) != n {
				t.Fatalf("%s: %d samples, error %v", name, len(samples), err)
			}
			bad := map[Outcome]int{}
			for _, s := range samples {
				if s.Outcome != OK {
					bad[s.Outcome]++
				}
			}
			r := stats.Read()
			t.Logf("%s, %s: %d connections, %d sent again", transport, name, r.Dialled, r.Resent)
			if len(bad) > 0 || r.Dialled < n/100 {
				t.Errorf("%s, %s: not ok: %v, on %d connections; want none, on %d at least", transport, name, bad, r.Dialled, n/100)
			}
		}
	}
}

// Servers that are not Go's.
func TestHTTP2AgainstOthers(t *testing.T) {
	const n = 500
	transports := everyTransport(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "small"), []byte("ok"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		start func(t *testing.T, addr, port string)
		busy  int
	}{
		{"nginx", func(t *testing.T, addr, _ string) { startNginx(t, dir, addr) }, 503},
		{"nghttpd", func(t *testing.T, addr, port string) {
			started(t, addr, installed(t, "nghttpd"), "--no-tls", "-d", dir, "-a", "127.0.0.1", port)
		}, 404},
		{"nghttpd without a header table", func(t *testing.T, addr, port string) {
			started(t, addr, installed(t, "nghttpd"), "--no-tls", "-d", dir, "-a", "127.0.0.1", "--header-table-size=0", port)
		}, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr, port := free(t)
			tt.start(t, addr, port)
			routes := []Route{h2(addr), h2(addr), h2(addr)}
			routes[0].Path, routes[1].Path, routes[2].Path = "/small", "/busy", "/big"
			routes[2].Weight = 0.1
			want := []int{200, tt.busy, 200}
			got := map[string]int{}
			for _, transport := range transports {
				for _, s := range mustCollect(t, Plan{Schedule: arrivals.Constant(5000, n*time.Second/5000), Run: 1, Loops: 1, MaxConns: 3, Transport: transport, Routes: routes}) {
					got[s.Outcome.String()]++
					if s.Status != want[s.Route] || s.Route == 2 && s.Received < 2<<20 {
						t.Errorf("%s: %s: got %v %d with %d bytes, want %d", transport, routes[s.Route].Path, s.Outcome, s.Status, s.Received, want[s.Route])
					}
				}
			}
			t.Log(got)
		})
	}
}
