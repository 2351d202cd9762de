package http

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// page is what the servers of these tests answer with.
var page = strings.Repeat("0123456789", 100)

// server is a real one, with what it saw.
type server struct {
	addr string
	saw  func() int // requests until now
}

func goServer(t *testing.T) server {
	var saw atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		saw.Add(1)
		io.WriteString(w, page)
	}))
	t.Cleanup(s.Close)
	return server{s.Listener.Addr().String(), func() int { return int(saw.Load()) }}
}

// nginx serves the page as a file, and writes a line for each request.
func nginx(t *testing.T) server {
	dir, addr := t.TempDir(), freeAddr(t)
	write(t, filepath.Join(dir, "page"), page)
	write(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http {
	client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
	access_log %[1]s/access.log;
	server { listen %[2]s; root %[1]s; }
}`, dir, addr))
	start(t, addr, installed(t, "nginx"), "-c", filepath.Join(dir, "nginx.conf"))
	return server{addr, func() int {
		log, err := os.ReadFile(filepath.Join(dir, "access.log"))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(log, []byte("\n"))
	}}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// freeAddr is an address on loopback where nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// installed is the path of a program, also where only root looks for it.
func installed(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{name, filepath.Join("/usr/sbin", name)} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Fatalf("%s is not installed: make deps", name)
	return ""
}

// start runs a server until the test ends, and waits until it accepts.
func start(t *testing.T, addr string, command ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", command[0], out.String())
		}
	})
	wiretest.Eventually(t, command[0]+" accepts", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}

// A client gets the page once, and says what it saw: "whole", "changed",
// "cut after 10", "reset after 0", "it waited" until ctx was done, or the status
// and the body.
type client func(ctx context.Context, t *testing.T, url string) string

var clients = map[string]client{"Go": goClient, "curl": curl}

func goClient(ctx context.Context, _ *testing.T, url string) string {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err.Error()
	}
	var body []byte
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err == nil {
		body, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	switch {
	case err == nil:
		return says(res.StatusCode, string(body))
	case errors.Is(err, context.Canceled):
		return "it waited"
	case errors.Is(err, syscall.ECONNRESET):
		return fmt.Sprintf("reset after %d", len(body))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("cut after %d", len(body))
	}
	return err.Error()
}

func curl(ctx context.Context, t *testing.T, url string) string {
	body := filepath.Join(t.TempDir(), "body")
	cmd := exec.CommandContext(ctx, "curl", "-sS", "--max-time", "60", "-w", "%{http_code}", "-o", body, url)
	out, err := cmd.CombinedOutput()
	got, _ := os.ReadFile(body) // there is none if nothing came
	code := cmd.ProcessState.ExitCode()
	switch {
	case err == nil:
		status, _ := strconv.Atoi(string(out))
		return says(status, string(got))
	case ctx.Err() != nil:
		return "it waited"
	case code == 56:
		return fmt.Sprintf("reset after %d", len(got))
	case code == 18:
		return fmt.Sprintf("cut after %d", len(got))
	}
	return fmt.Sprintf("exit %d: %s", code, out)
}

func says(status int, body string) string {
	switch {
	case status != 200:
		return fmt.Sprintf("%d %s", status, body)
	case body == page:
		return "whole"
	case len(body) == len(page):
		return "changed"
	}
	return fmt.Sprintf("200 with %d bytes", len(body))
}

// TestEveryFault does each fault to real clients of real servers: what the
// client sees, how often the server sees the request, what is recorded, and
// that all is as before when it is healed.
func TestEveryFault(t *testing.T) {
	servers := map[string]server{"Go": goServer(t), "nginx": nginx(t)}
	for _, tt := range []struct {
		toxic  toxic.Toxic
		client string
		server int
		ending evidence.Ending
		status int
		least  time.Duration // that the exchange takes
	}{
		{toxic.Latency{Delay: 30 * time.Millisecond, Select: toxic.All}, "whole", 1, evidence.Answered, 200, 30 * time.Millisecond},
		{toxic.Latency{Delay: 30 * time.Millisecond, On: "response", Select: toxic.All}, "whole", 1, evidence.Answered, 200, 30 * time.Millisecond},
		{toxic.Latency{Delay: time.Hour, On: "response", Select: toxic.All}, "it waited", 1, evidence.CallerGone, 0, 0},
		{toxic.Errors{Status: toxic.Statuses{503}, Body: "down", Headers: map[string]string{"X-Why": "test"}, Select: toxic.All}, "503 down", 0, evidence.Injected, 503, 0},
		{toxic.Hang{Select: toxic.All}, "it waited", 0, evidence.CallerGone, 0, 0},
		{toxic.Reset{Select: toxic.All}, "reset after 0", 0, evidence.Broken, 0, 0},
		{toxic.Reset{When: "during", Select: toxic.All}, "reset after 500", 1, evidence.Broken, 200, 0},
		{toxic.Reset{When: "after", Select: toxic.All}, "whole", 1, evidence.Answered, 200, 0},
		{toxic.DropResponse{Select: toxic.All}, "it waited", 1, evidence.CallerGone, 0, 0},
		{toxic.DropResponse{Then: "reset", Select: toxic.All}, "reset after 0", 1, evidence.Broken, 0, 0},
		{toxic.Truncate{After: 10, Select: toxic.All}, "cut after 10", 1, evidence.Broken, 200, 0},
		{toxic.Corrupt{Bytes: 0.5, Select: toxic.All}, "changed", 1, evidence.Answered, 200, 0},
		{toxic.SlowBody{Rate: 20_000, Select: toxic.All}, "whole", 1, evidence.Answered, 200, 50 * time.Millisecond}, // 1000 B at 20 kB/s
		{toxic.SlowBody{Piece: 100, Pause: time.Hour, Select: toxic.All}, "it waited", 1, evidence.CallerGone, 200, 0},
		{toxic.Duplicate{Select: toxic.All}, "whole", 2, evidence.Answered, 200, 0},
		{toxic.Partition{Select: toxic.All}, "it waited", 0, evidence.CallerGone, 0, 0},
	} {
		for serverName, s := range servers {
			for clientName, get := range clients {
				t.Run(fmt.Sprintf("%v, %s to %s", tt.toxic, clientName, serverName), func(t *testing.T) {
					l := listen(t, s.addr)
					url := "http://" + l.Addr() + "/page"
					before := s.saw()

					remove := l.Add(4, tt.toxic)
					ctx, leave := context.WithCancel(t.Context())
					defer leave()
					if tt.client == "it waited" {
						go func() { // until the fault has it for certain, and a little longer
							for ctx.Err() == nil && (l.Hit(4) == 0 || s.saw()-before < tt.server) {
								time.Sleep(time.Millisecond)
							}
							time.Sleep(20 * time.Millisecond)
							leave()
						}()
					}
					if got := get(ctx, t, url); got != tt.client {
						t.Errorf("the client saw %q, want %q", got, tt.client)
					}
					x := l.recorded(tt.ending, tt.status, true)
					if x.Duration() < tt.least {
						t.Errorf("it took %v, want %v at least", x.Duration(), tt.least)
					}
					wiretest.Eventually(t, "the server sees it", func() bool { return s.saw()-before >= tt.server })
					if saw := s.saw() - before; saw != tt.server {
						t.Errorf("the server saw %d requests, want %d", saw, tt.server)
					}
					remove()

					before = s.saw()
					if got := get(t.Context(), t, url); got != "whole" {
						t.Errorf("after the heal the client saw %q", got)
					}
					l.recorded(evidence.Answered, 200, false)
					wiretest.Eventually(t, "the server sees it", func() bool { return s.saw()-before >= 1 })
					if saw := s.saw() - before; saw != 1 {
						t.Errorf("after the heal the server saw %d requests, want 1", saw)
					}
				})
			}
		}
	}
}

// TestBehindHaproxy: what a load balancer makes of the faults of its server.
func TestBehindHaproxy(t *testing.T) {
	for _, tt := range []struct {
		toxic  toxic.Toxic
		client string
		server int
		ending evidence.Ending
		status int
	}{
		{toxic.Errors{Status: toxic.Statuses{503}, Body: "down", Select: toxic.All}, "503 down", 0, evidence.Injected, 503},
		{toxic.Hang{Select: toxic.All}, "504", 0, evidence.CallerGone, 0},
		{toxic.Reset{Select: toxic.All}, "502", 0, evidence.Broken, 0},
		{toxic.DropResponse{Select: toxic.All}, "504", 1, evidence.CallerGone, 0},
		{toxic.DropResponse{Then: "reset", Select: toxic.All}, "502", 1, evidence.Broken, 0},
		{toxic.Truncate{After: 10, Select: toxic.All}, "cut after 10", 1, evidence.Broken, 200},
		{toxic.Corrupt{Bytes: 0.5, Select: toxic.All}, "changed", 1, evidence.Answered, 200},
		{toxic.Duplicate{Select: toxic.All}, "whole", 2, evidence.Answered, 200},
	} {
		t.Run(fmt.Sprint(tt.toxic), func(t *testing.T) {
			s := goServer(t)
			l := listen(t, s.addr)
			addr, config := freeAddr(t), filepath.Join(t.TempDir(), "haproxy.cfg")
			write(t, config, fmt.Sprintf(`
defaults
	mode http
	timeout connect 5s
	timeout client 30s
	timeout server 1500ms
	retries 0
listen front
	bind %s
	server link %s
`, addr, l.Addr()))
			start(t, addr, installed(t, "haproxy"), "-f", config, "-db")
			remove := l.Add(4, tt.toxic)
			got := curl(t.Context(), t, "http://"+addr+"/page")
			if status, _, _ := strings.Cut(got, " <html>"); strings.TrimSpace(status) != tt.client {
				t.Errorf("the client saw %q, want %q", got, tt.client)
			}
			l.recorded(tt.ending, tt.status, true)
			wiretest.Eventually(t, "the server sees it", func() bool { return s.saw() >= tt.server })
			if saw := s.saw(); saw != tt.server {
				t.Errorf("the server saw %d requests, want %d", saw, tt.server)
			}
			remove()
			if got := curl(t.Context(), t, "http://"+addr+"/page"); got != "whole" {
				t.Errorf("after the heal the client saw %q", got)
			}
			l.recorded(evidence.Answered, 200, false)
		})
	}
}

// TestNetHTTP runs net/http's client and server through a link.
func TestNetHTTP(t *testing.T) {
	cancelled := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			body, _ := io.ReadAll(r.Body)
			w.Write(body)
		case "/hang":
			<-r.Context().Done()
			close(cancelled)
		}
	}))
	defer server.Close()
	l := listen(t, server.Listener.Addr().String())
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	for _, size := range []int{0, 1, 100, 5 << 10, 1 << 20} {
		want := bytes.Repeat([]byte("abcde"), size)[:size]
		res, err := client.Post("http://"+l.Addr()+"/echo", "x", io.MultiReader(bytes.NewReader(want))) // in chunks
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: got %d bytes, %v", size, len(got), err)
		}
		if x := l.Next(); x.Status != 200 || x.Ending != evidence.Answered {
			t.Errorf("recorded %+v", x)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+l.Addr()+"/hang", nil)
	go func() {
		for l.InFlight() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := client.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if x := l.Next(); x.Ending != evidence.CallerGone || x.Path != "/hang" {
		t.Errorf("recorded %+v", x)
	}
	select {
	case <-cancelled:
	case <-time.After(wiretest.Patience):
		t.Error("the dependency's work goes on for a caller who left")
	}
}

func TestCurl(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
	}))
	defer server.Close()
	l := listen(t, server.Listener.Addr().String())
	curl := func(stdin string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), wiretest.Patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, "curl", append([]string{"-sS", "-w", " %{http_code} %header{retry-after}"}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return string(out) + " " + err.Error()
		}
		return string(out)
	}
	url := "http://" + l.Addr()
	// curl says Expect: 100-continue for a body this large.
	if got, want := curl(strings.Repeat("x", 2<<20), "--data-binary", "@-", url), " 200 "; got != want {
		t.Errorf("upload: got %q, want %q", got, want)
	}
	if x := l.Next(); x.Status != 200 || x.Method != "POST" {
		t.Errorf("recorded %+v", x)
	}

	remove := l.Add(0, toxic.Errors{Status: toxic.Statuses{503}, RetryAfter: 1500 * time.Millisecond, Body: "down", Select: toxic.All})
	if got, want := curl("", url), "down 503 2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := curl(strings.Repeat("x", 2<<20), "--data-binary", "@-", url), "down 503 2"; got != want {
		t.Errorf("upload: got %q, want %q", got, want)
	}
	for range 2 {
		if x := l.Next(); x.Status != 503 || x.Ending != evidence.Injected || !x.HitBy(0) || x.Extra().RetryAfter != 2*time.Second {
			t.Errorf("recorded %+v", x)
		}
	}
	remove()

	remove = l.Add(1, toxic.Reset{Select: toxic.All})
	if got := curl("", url); !strings.Contains(got, "reset by peer") {
		t.Errorf("got %q, want a reset", got)
	}
	if x := l.Next(); x.Ending != evidence.Broken || !x.HitBy(1) {
		t.Errorf("recorded %+v", x)
	}
	remove()

	if got, want := curl("", url), " 200 "; got != want {
		t.Errorf("healed: got %q, want %q", got, want)
	}
	l.Next()
}
