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
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/result"
)

// Of a thousand faults, half of them one after the other and half of them all at once,
// each is counted by what it did: an answer with its own status.
func TestRunWithAThousandFaults(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	defer server.Close()
	var addrs [2]string
	for i := range addrs {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addrs[i] = free.Addr().String()
		free.Close()
	}
	status := func(fault int) int { return 400 + fault%200 }
	var text strings.Builder
	fmt.Fprintf(&text, `name: many
targets: {bank: {url: "%s"}, a: {url: "http://%s"}, b: {url: "http://%s"}} # the load goes to the links themselves
links: {in_turn: {from: a, to: bank, listen: "%[2]s"}, at_once: {from: b, to: bank, listen: "%[3]s"}}
load: {rate: 1k/s, duration: 7s, routes: [{name: a, to: a, get: /}, {name: b, to: b, get: /}]}
claims: [{steady: {success: 50%%}}]
chaos:
`, server.URL, addrs[0], addrs[1])
	for i := range 1000 {
		at, length, on, share := 1000+10*(i/2), 10, "in_turn", 50.0
		if i%2 == 1 {
			at, length, on, share = 2000, 4000, "at_once", 0.1
		}
		fmt.Fprintf(&text, "  - {at: %dms, for: %dms, on: %s, name: f%d, errors: {status: %d, share: %v%%}}\n",
			at, length, on, i, status(i), share)
	}
	dir := t.TempDir()
	file, out := filepath.Join(dir, "many.yaml"), filepath.Join(dir, "out")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ruled := func(args ...string) (r result.Result) {
		t.Helper()
		var stdout, diagnostics bytes.Buffer
		code := execute(append(args, "--json"), &stdout, &diagnostics)
		if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
			t.Fatalf("%s: exit %d: %v: %s", args[0], code, err, diagnostics.String())
		}
		return r
	}
	r := ruled("run", file, "--out", out, "--quiet")
	run, err := evidence.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	hits, further := map[int]uint64{}, 0
	for _, link := range run.Links {
		for i := range link.Exchanges {
			x := &link.Exchanges[i]
			most := 0
			for index := range x.Hits() {
				f := &run.Faults[index]
				if hits[index]++; f.On != link.Name || !f.Active(x.Begin, x.End) {
					t.Errorf("%s, %v to %v: hit by %+v", link.Name, x.Begin, x.End, f)
				}
				most = max(most, status(index)) // of several answers the one with the greatest status wins
			}
			if x.Extra().Further != nil {
				further++
			}
			if x.Ending == evidence.Injected && x.Status != most || x.Ending == evidence.Answered && most != 0 {
				t.Errorf("%s: %v with %d, and the faults that hit it answer up to %d", link.Name, x.Ending, x.Status, most)
			}
		}
	}
	if further < 100 {
		t.Errorf("%d exchanges were hit by faults behind the first %d", further, evidence.FaultBits)
	}
	for _, r := range []result.Result{r, ruled("judge", out)} {
		if len(r.Faults) != 1000 {
			t.Fatalf("%d faults", len(r.Faults))
		}
		for i, f := range r.Faults {
			if f.Hit != hits[i] {
				t.Errorf("%s hit %d, %d are in the records", f.Name, f.Hit, hits[i])
			}
		}
	}
}
