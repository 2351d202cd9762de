package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/result"
)

// A link with protocol: tcp passes what is spoken on it, does to its bytes what
// the experiment says, and records which connections it has done it to.
func TestRunWithFaultsOfConnections(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	defer server.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := free.Addr().String()
	free.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "tcp.yaml")
	text := fmt.Sprintf(`name: tcp
targets: {bank: {url: "%s"}, shop: {url: "http://%s"}} # the load goes to the link itself
links: {bank: {from: shop, to: bank, listen: "%s", protocol: tcp}}
load: {rate: 100/s, duration: 3s, timeout: 1s, connections: 4, routes: [{name: pay, to: shop, get: /}]}
chaos:
  - {at: 1200ms, for: 500ms, on: bank, direction: downstream, latency: {delay: 20ms}}
  - {at: 2s, for: 300ms, on: bank, down: {}}
  - {at: 2500ms, for: 400ms, on: bank, latency: {delay: 1ms, max_active: 1}}
claims: [{recovery: {route: pay, within: 1s}}] # without a steady state, which a host that is taken would not confirm
`, server.URL, at, at)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, diagnostics bytes.Buffer
	code := execute([]string{"run", file, "--out", filepath.Join(dir, "out"), "--json", "--quiet"}, &out, &diagnostics)
	var r result.Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("exit %d: %v: %s", code, err, diagnostics.String())
	}
	run, err := evidence.Read(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	slowed, broken := 0, 0
	for _, x := range run.Links["bank"].Exchanges {
		if x.HitBy(0) {
			slowed++
			if x.Extra().BytesUp == 0 || x.Extra().BytesDown == 0 {
				t.Errorf("connection %d passed %d bytes up and %d down", x.Conn, x.Extra().BytesUp, x.Extra().BytesDown)
			}
		}
		if x.HitBy(1) {
			broken++
			if x.Ending != evidence.Broken {
				t.Errorf("a connection ended as %v when nobody listened any more", x.Ending)
			}
		}
	}
	if slowed == 0 || broken == 0 {
		t.Errorf("%d connections were slowed and %d closed, want some of both", slowed, broken)
	}
	if len(run.Faults) != 3 || run.Faults[0].Kind != "latency" || run.Faults[1].Kind != "down" || run.Faults[1].Healed < 0 {
		t.Errorf("faults %+v", run.Faults)
	}
	if bounded := r.Faults[2]; bounded.Hit == 0 || bounded.Overflow == 0 {
		t.Errorf("of four connections %d were slowed and %d let go, want one and the others", bounded.Hit, bounded.Overflow)
	}
	slow := 0
	for _, s := range run.Samples {
		if s.Done-s.Sent >= 20e6 && s.Status == 200 {
			slow++
		}
	}
	if slow == 0 {
		t.Error("no caller waited 20 ms for an answer")
	}
}
