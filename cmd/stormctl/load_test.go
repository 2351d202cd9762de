package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/reports"
)

// loaded runs `stormctl load` against a handler and returns what it printed.
func loaded(t *testing.T, handler http.HandlerFunc, args ...string) (code exitCode, stdout, stderr string) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	var out, diagnostics bytes.Buffer
	code = execute(append([]string{"load", server.URL + "/path?q=1"}, args...), &out, &diagnostics)
	return code, out.String(), diagnostics.String()
}

func TestLoadSendsWhatItWasTold(t *testing.T) {
	const n = 200
	var wrong, count atomic.Int64
	dir := t.TempDir()
	code, out, diagnostics := loaded(t, func(w http.ResponseWriter, r *http.Request) {
		nth := count.Add(1)
		var body bytes.Buffer
		body.ReadFrom(r.Body)
		if r.Method != "POST" || r.URL.String() != "/path?q=1" || body.String() != "hello" || r.Header.Get("X-A") != "b: c" || r.Header.Get("X-Request-Id") == "" {
			wrong.Add(1)
		}
		w.WriteHeader(map[bool]int{true: 503, false: 201}[nth%10 == 0])
	}, "-X", "POST", "-b", "hello", "-H", "X-A: b: c", "--rate", "1000", "-n", "200", "--json", "--quiet",
		"--record", filepath.Join(dir, "all.csv"), "--hlog", filepath.Join(dir, "all.hlog"))
	if code != exitHeld || diagnostics != "" {
		t.Fatalf("exit %d, stderr %q", code, diagnostics)
	}
	var l reports.Load
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		t.Fatal(err)
	}
	if wrong.Load() != 0 || count.Load() != n {
		t.Errorf("%d requests came, %d of them wrong; want %d and none", count.Load(), wrong.Load(), n)
	}
	if l.Requests != n || l.Statuses["201"] != n*9/10 || l.Statuses["503"] != n/10 || l.Outcomes["5xx"] != n/10 || l.Success != 90 || l.Model != "open" || l.Received == 0 {
		t.Errorf("got %+v", l)
	}
	if l.Response.P50 <= 0 || l.Response.P50 < l.Service.P50 || l.Response.Max < l.Response.P99 {
		t.Errorf("times: %+v and %+v", l.Response, l.Service)
	}
	sum := int64(0)
	for _, b := range l.Spectrum {
		sum += b.Count
	}
	if sum != n {
		t.Errorf("the spectrum has %d of %d", sum, n)
	}
	drawn := uint64(0)
	for _, ended := range l.Series.Whole.Ended {
		drawn += ended
	}
	if drawn != n {
		t.Errorf("the series have %d of %d", drawn, n)
	}
	record, err := os.ReadFile(filepath.Join(dir, "all.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(record), "\n"); lines != n+1 {
		t.Errorf("%d lines of record, want %d and a head", lines, n)
	}
	file, err := os.Open(filepath.Join(dir, "all.hlog"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	log, err := hist.ReadLog(file)
	if err != nil || log.Histograms["response"].Count() != n || log.Histograms["send_lag"].Count() != n {
		t.Errorf("histogram log: %+v, %v", log, err)
	}
}

func TestLoadThresholds(t *testing.T) {
	slow := func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(20 * time.Millisecond)
		w.WriteHeader(503)
	}
	code, out, _ := loaded(t, slow, "--rate", "100", "-d", "300ms", "-q", "--fail-if", "success<99%", "--fail-if", "p50>1m", "--fail-if", "unsent>0")
	if code != exitRefuted || !strings.Contains(out, "FAILED  fails if success < 99%: it is 0%") || !strings.Contains(out, "passed  fails if p50 > 1m") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	// A latency fails only if the harness was well, which depends on what else
	// runs here.
	code, out, _ = loaded(t, slow, "--rate", "100", "-d", "300ms", "-q", "--fail-if", "p50>10ms")
	want, word := exitRefuted, "FAILED  fails if p50 > 10ms"
	if strings.Contains(out, "\nHARNESS UNHEALTHY  ") {
		want, word = exitInconclusive, "INCONCLUSIVE  fails if p50 > 10ms"
	}
	if code != want || !strings.Contains(out, word) {
		t.Errorf("exit %d, want %d and %q:\n%s", code, want, word, out)
	}
	code, out, _ = loaded(t, slow, "--rate", "100", "-d", "300ms", "-q", "--fail-if", "p50<10ms")
	if code != exitHeld || strings.Contains(out, "FAILED") {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

func TestClosedLoad(t *testing.T) {
	code, out, _ := loaded(t, func(http.ResponseWriter, *http.Request) {}, "--closed", "-c", "4", "-n", "500", "--json", "-q")
	var l reports.Load
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		t.Fatal(err)
	}
	if code != exitHeld || l.Requests != 500 || l.Model != "closed" || l.Connections.Dialled != 4 || l.Connections.Most != 4 || strings.Contains(out, "connections were open") {
		t.Errorf("exit %d: %+v", code, l)
	}
}

func TestLoadOverTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args  []string
		fails string // "" means that it works
	}{
		{[]string{"--insecure"}, ""},
		{[]string{"--cacert", ca}, ""},
		{[]string{"--cacert", ca, "--server-name", "somebody.else"}, "not somebody.else"},
		{nil, "unknown authority"},
	} {
		var out, diagnostics bytes.Buffer
		code := execute(append([]string{"load", server.URL, "-n", "20", "--json", "-q"}, tt.args...), &out, &diagnostics)
		if tt.fails != "" {
			if code != exitFailed || !strings.Contains(diagnostics.String(), tt.fails) {
				t.Errorf("%v: exit %d, %s", tt.args, code, diagnostics.String())
			}
			continue
		}
		var l reports.Load
		if err := json.Unmarshal(out.Bytes(), &l); err != nil || l.Outcomes["ok"] != 20 {
			t.Errorf("%v: %v, %v, %s", tt.args, l.Outcomes, err, diagnostics.String())
		}
	}
}

// Why a service takes no request of a client without a certificate is told in its own
// words, which come behind the handshake.
func TestLoadTellsWhyTLSFails(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	var out, diagnostics bytes.Buffer
	code := execute([]string{"load", server.URL, "-n", "3", "-q", "--insecure"}, &out, &diagnostics)
	if code != exitHeld || !strings.Contains(out.String(), "remote error: tls: certificate required") {
		t.Errorf("exit %d, %s\n%s", code, diagnostics.String(), out.String())
	}
}

func TestLoadFollows(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
		}
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--follow", "1", "-H", "X: y"}, "1 followed"},
		{nil, "302: 3"},
		{[]string{"--follow", "-1"}, "follow -1"},
		{[]string{"--follow", "1", "--protocol", "grpc"}, "gRPC"},
	} {
		server := httptest.NewServer(http.HandlerFunc(handler))
		var out, diagnostics bytes.Buffer
		n := "3"
		if tt.want == "1 followed" {
			n = "1"
		}
		execute(append([]string{"load", server.URL + "/?to=/end", "-n", n, "-q"}, tt.args...), &out, &diagnostics)
		if got := out.String() + diagnostics.String(); !strings.Contains(got, tt.want) {
			t.Errorf("%v: no %q in\n%s", tt.args, tt.want, got)
		}
		server.Close()
	}
	code, out, _ := loaded(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
	}, "-n", "3", "-q", "--follow", "5")
	if code != exitHeld || !strings.Contains(out, "wrong: 3") || !strings.Contains(out, "http://elsewhere.example/ is on another host") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestLoadOverHTTP2(t *testing.T) {
	for _, secure := range []bool{false, true} {
		var wrong atomic.Int64
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 2 {
				wrong.Add(1)
			}
		}))
		if secure {
			server.EnableHTTP2 = true
			server.StartTLS()
		} else {
			server.Config.Protocols = &http.Protocols{}
			server.Config.Protocols.SetUnencryptedHTTP2(true)
			server.Start()
		}
		var out, diagnostics bytes.Buffer
		code := execute([]string{"load", server.URL, "--protocol", "h2", "--insecure", "--closed", "-c", "2", "--streams", "10", "-n", "300", "--json", "-q"}, &out, &diagnostics)
		server.Close()
		var l reports.Load
		if err := json.Unmarshal(out.Bytes(), &l); err != nil {
			t.Fatalf("%v: %s", err, diagnostics.String())
		}
		if code != exitHeld || l.Outcomes["ok"] != 300 || wrong.Load() != 0 || l.Connections.Dialled != 2 {
			t.Errorf("TLS %v: exit %d, %v, %d not over HTTP/2, %+v", secure, code, l.Outcomes, wrong.Load(), l.Connections)
		}
	}
	server := httptest.NewTLSServer(http.NotFoundHandler()) // HTTP/1.1 only
	defer server.Close()
	var out, diagnostics bytes.Buffer
	if code := execute([]string{"load", server.URL, "--protocol", "h2", "--insecure", "-n", "1"}, &out, &diagnostics); code != exitFailed || !strings.Contains(diagnostics.String(), "does not speak HTTP/2") && !strings.Contains(diagnostics.String(), "no application protocol") {
		t.Errorf("exit %d, %s", code, diagnostics.String())
	}
}

func TestLoadShowsProgress(t *testing.T) {
	_, out, diagnostics := loaded(t, func(http.ResponseWriter, *http.Request) {}, "--rate", "100", "-d", "1500ms")
	if !strings.Contains(diagnostics, "1s load  100/s (") || !strings.Contains(diagnostics, "ok 100%") {
		t.Errorf("stderr:\n%s", diagnostics)
	}
	for _, want := range []string{"open model, 100/s (even arrivals) for 1.5s", "requests    150 in 1.5", "Latency spectrum", "send lag"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

// What the help tells to write must be understood: each example is made ready,
// up to where its first request would be sent.
func TestLoadExamplesWork(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	t.Chdir(t.TempDir())
	host := strings.TrimPrefix(server.URL, "http://")
	socket, err := net.Listen("unix", "app.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	write(t, ".", "users.csv", "user\nada\n")
	write(t, ".", "arrivals.txt", "0\n1.5\n")
	write(t, ".", "targets.txt", "GET http://"+host+"/a\n")
	write(t, ".", "shop.har", `{"log":{"entries":[{"request":{"method":"GET","url":"https://shop.example/"}}]}}`)
	examples := strings.Split(newLoadCommand().Example, "\n")
	for _, line := range examples {
		var words []string
		for i, part := range strings.Split(strings.TrimSpace(line), "'") { // every other one is quoted
			if i%2 == 1 {
				words = append(words, part)
			} else {
				words = append(words, strings.Fields(part)...)
			}
		}
		for i := range words {
			words[i] = strings.NewReplacer("127.0.0.1:8080", host, "127.0.0.1:9090", host, "staging:8080", host, "https://shop.example", server.URL, "/run/app.sock", "app.sock").Replace(words[i])
		}
		var o loadOptions
		flags := pflag.NewFlagSet("load", pflag.ContinueOnError)
		o.AddFlags(flags)
		if err := flags.Parse(words[2:]); err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		job, err := o.job(t.Context(), flags.Arg(0))
		switch {
		case o.protocol == load.GRPC: // there is no such server: it was asked
			if err == nil || !strings.HasPrefix(err.Error(), "--reflect: ask "+host) {
				t.Errorf("%s: %v", line, err)
			}
		case err != nil:
			t.Errorf("%s: %v", line, err)
		case flags.NArg() > 1 || len(job.Plan.Routes) != 1:
			t.Errorf("%s: it is read as %q, %+v", line, flags.Args(), job.Plan)
		}
	}
	if len(examples) < 10 {
		t.Errorf("%d examples", len(examples))
	}
}
