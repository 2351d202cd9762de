package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stormctl/stormctl/chaos/result"
)

// An experiment whose target speaks HTTP/2 is driven by HTTP/2, and what its
// checks find is in the result.
func TestRunOverHTTP2(t *testing.T) {
	var first, second atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 {
			second.Add(1)
		} else {
			first.Add(1)
		}
	}))
	server.Config.Protocols = &http.Protocols{}
	server.Config.Protocols.SetHTTP1(true) // for the question whether it is there
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "h2.yaml")
	text := fmt.Sprintf(`name: h2
targets: {bank: {url: "%s", protocol: h2}}
load:
  rate: 200/s
  duration: 1s
  routes:
    - {name: right, to: bank, get: /pay, checks: [status=2xx]}
    - {name: wrong, to: bank, get: /pay, checks: [status=404]}
claims: [{steady: {route: right, success: 100%%}}]
`, server.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, diagnostics bytes.Buffer
	code := execute([]string{"run", file, "--out", filepath.Join(dir, "out"), "--json", "--quiet"}, &out, &diagnostics)
	var r result.Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, diagnostics.String())
	}
	if len(r.Routes) != 2 || r.Routes[0].Success != 100 || r.Routes[1].Outcomes["wrong"] != r.Routes[1].Requests || r.Routes[1].Requests == 0 {
		t.Errorf("exit %d: %+v", code, r.Routes)
	}
	if second.Load() != 200 || first.Load() > 5 {
		t.Errorf("%d requests by HTTP/2 and %d by HTTP/1.1, want 200 and a few", second.Load(), first.Load())
	}
}
