package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/result"
)

// runText runs an experiment that is written to dir, with its run directory in
// dir/out.
func runText(t *testing.T, dir, text string) (r result.Result, code int, diagnostics string) {
	t.Helper()
	file := filepath.Join(dir, "x.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code = int(execute([]string{"run", file, "--out", filepath.Join(dir, "out"), "--json", "--quiet"}, &out, &errs))
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("%v: %s", err, out.String())
		}
	}
	return r, code, errs.String()
}

// shopByTLS lets callers log in and takes orders from those who have.
func shopByTLS(t *testing.T, dir, protocol string) (url string, heard *atomic.Int64) {
	t.Helper()
	heard = new(atomic.Int64)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard.Add(1)
		if want := map[string]int{"http1": 1, "h2": 2}[protocol]; r.ProtoMajor != want {
			t.Errorf("asked by HTTP/%d, want %d", r.ProtoMajor, want)
		}
		body, _ := io.ReadAll(r.Body)
		switch user := r.URL.Query().Get("user"); {
		case r.URL.Path == "/login":
			fmt.Fprintf(w, `{"session": {"token": "t-%s"}}`, user)
		case r.URL.Path == "/orders" && r.Method == "POST" && r.Header.Get("Authorization") == "Bearer t-"+string(body):
			w.WriteHeader(http.StatusCreated)
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "users.csv"), []byte("user\nann\nbob\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.URL, heard
}

const loadOfShop = `name: shop
targets: {shop: {url: "%s", protocol: %s, tls: {%s}}}
load:
  sine: {mean: 100/s, amplitude: 50/s, period: 500ms}
  duration: 1s
  data: users.csv
  routes:
    - name: login
      to: shop
      get: /login?user=${data.user}
      then:
        - name: order
          post: /orders
          headers: {Authorization: "Bearer ${prev.json:$.session.token}"}
          body: ${data.user}
          checks: [status=201]
claims: [{steady: {route: order, success: 100%%}}]
`

// By TLS, on a sine, with data, and with a step that has what the answer before
// said: all of it from files beside the experiment.
func TestRunStepsByTLS(t *testing.T) {
	for _, protocol := range []string{"http1", "h2"} {
		t.Run(protocol, func(t *testing.T) { testRunStepsByTLS(t, protocol) })
	}
}

func testRunStepsByTLS(t *testing.T, protocol string) {
	dir := t.TempDir()
	url, heard := shopByTLS(t, dir, protocol)
	r, code, diagnostics := runText(t, dir, fmt.Sprintf(loadOfShop, url, protocol, "ca: ca.pem, server_name: example.com"))
	if len(r.Routes) != 2 {
		t.Fatalf("exit %d: %s%+v", code, diagnostics, r)
	}
	login, order := r.Routes[0], r.Routes[1]
	if login.Name != "login" || login.Requests != 100 || login.Success != 100 || login.Follows != "" { // 100/s · 1 s, two whole periods
		t.Errorf("login: %+v", login)
	}
	if order.Name != "order" || order.Requests != 100 || order.Success != 100 || order.Follows != "login" {
		t.Errorf("order: %+v", order)
	}
	if r.Harness.Steps != 100 || heard.Load() != 200 {
		t.Errorf("%d steps of %d requests, want 100 of 200", r.Harness.Steps, heard.Load())
	}
	// A run is judged by itself, also where its inputs are not any more.
	for _, name := range []string{"ca.pem", "users.csv", "x.yaml"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("COLUMNS", "200")
	var out, errs bytes.Buffer
	if again := int(execute([]string{"judge", filepath.Join(dir, "out")}, &out, &errs)); again != code || !strings.Contains(out.String(), "order (after login)") {
		t.Errorf("judged again: exit %d after %d: %s%s", again, code, errs.String(), out.String())
	}
}

// A target that we do not trust is told before anything is sent.
func TestRunWithoutTrustDoesNotBegin(t *testing.T) {
	for _, row := range []struct{ tls, want string }{
		{"", "target shop: TLS with 127.0.0.1:"},
		{"ca: ca.pem, server_name: somebody.else", "not somebody.else"},
		{"ca: none.pem", "none.pem: no such file"},
	} {
		dir := t.TempDir()
		url, heard := shopByTLS(t, dir, "http1")
		_, code, diagnostics := runText(t, dir, fmt.Sprintf(loadOfShop, url, "http1", row.tls))
		if code != int(exitFailed) || !strings.Contains(diagnostics, row.want) || heard.Load() != 0 {
			t.Errorf("tls: {%s}: exit %d, %d requests, %s", row.tls, code, heard.Load(), diagnostics)
		}
	}
}

// What is not to wait is not sent when no connection is free. That is the
// system's failure, and not the harness's.
func TestRunSkipsOnASocket(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "app.sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(50 * time.Millisecond) })}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // ended by Close
	}()
	defer func() { s.Close(); <-done }()
	r, code, diagnostics := runText(t, dir, `name: socket
targets: {app: {url: "unix:app.sock"}}
load: {rate: 100/s, duration: 1s, connections: 1, when_stalled: skip, routes: [{name: slow, to: app, get: /}]}
claims: [{steady: {success: 100%}}]
`)
	if len(r.Routes) != 1 {
		t.Fatalf("exit %d: %s", code, diagnostics)
	}
	ok, unsent := r.Routes[0].Outcomes["ok"], r.Routes[0].Outcomes["unsent"]
	if ok == 0 || ok > 25 || ok+unsent != 100 { // one in 50 ms, for a little more than 1 s
		t.Errorf("%d ok and %d unsent, want about 20 and 80: %+v", ok, unsent, r.Routes[0])
	}
	if r.Harness.Stalled != "skip" || slices.ContainsFunc(r.Harness.Problems, func(p string) bool { return strings.Contains(p, "never sent") }) {
		t.Errorf("harness: %+v", r.Harness)
	}
	if code == int(exitHeld) {
		t.Error("held, though most were not sent")
	}
}

// What a step causes behind the system is not taken for a retry of the request
// before it, though both ask for the same.
func TestStepsAreToldApartBehind(t *testing.T) {
	bank := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer bank.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	link := free.Addr().String()
	free.Close()
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, _ := http.NewRequestWithContext(r.Context(), "GET", "http://"+link+"/pay", nil)
		q.Header.Set("X-Request-Id", r.Header.Get("X-Request-Id"))
		answer, err := http.DefaultClient.Do(q)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		answer.Body.Close()
	}))
	defer shop.Close()
	dir := t.TempDir()
	r, code, diagnostics := runText(t, dir, fmt.Sprintf(`name: chain
targets: {shop: {url: "%s"}, bank: {url: "%s"}}
links: {pay: {from: shop, to: bank, listen: "%s"}}
load: {rate: 50/s, duration: 1s, routes: [{name: first, to: shop, get: /, then: [{name: second, get: /}]}]}
claims: [{steady: {success: 100%%}}]
`, shop.URL, bank.URL, link))
	run, err := evidence.Read(filepath.Join(dir, "out"))
	if err != nil || len(run.Samples) != 100 || len(run.Links["pay"].Exchanges) != 100 {
		t.Fatalf("exit %d: %s%+v: %v", code, diagnostics, r.Routes, err)
	}
	within := map[uint64][2]time.Duration{}
	for _, s := range run.Samples {
		within[s.ID] = [2]time.Duration{s.Sent, s.Done}
	}
	for _, x := range run.Links["pay"].Exchanges {
		if own, ok := within[x.ID]; !ok || x.Begin < own[0] || x.Begin > own[1] {
			t.Errorf("exchange of request %d at %v, which was under way in %v", x.ID, x.Begin, own)
		}
	}
}
