package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/reports"
)

// What the server chooses before the load is what all of it speaks, and results
// tell.
func TestAutoSpeaksWhatTheServerChooses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		start func(*httptest.Server)
		want  string
		major int64
	}{
		{"h2 by TLS", func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() }, "h2", 2},
		{"http1 by TLS", (*httptest.Server).StartTLS, "http1", 1},
		{"plain", (*httptest.Server).Start, "http1", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var right, all atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				all.Add(1)
				if int64(r.ProtoMajor) == tt.major {
					right.Add(1)
				}
			}))
			tt.start(server)
			defer server.Close()

			var out, said bytes.Buffer
			args := []string{"load", server.URL, "--protocol", "auto", "--insecure", "-n", "20", "--rate", "1k/s", "-q"}
			code := execute(append(args, "--json"), &out, &said)
			var l reports.Load
			if err := json.Unmarshal(out.Bytes(), &l); err != nil || code != exitHeld || l.Outcomes["ok"] != 20 {
				t.Fatalf("load: exit %d, %v, %v %s", code, err, l.Outcomes, said.String())
			}
			if len(l.Hosts) != 1 || l.Hosts[0].Protocol != tt.want || !l.Hosts[0].Auto {
				t.Errorf("hosts %+v, want %s", l.Hosts, tt.want)
			}
			out.Reset()
			if code := execute(args, &out, &said); code != exitHeld || !strings.Contains(out.String(), server.URL+" speaks "+tt.want+"\n") {
				t.Errorf("exit %d: the summary does not tell of %s:\n%s%s", code, tt.want, out.String(), said.String())
			}

			dir := t.TempDir()
			trust := ""
			if strings.HasPrefix(server.URL, "https") {
				trust = ", tls: {insecure: true}"
			}
			write(t, dir, "auto.yaml", fmt.Sprintf(`name: auto
targets: {shop: {url: "%s", protocol: auto%s}}
load: {rate: 20/s, duration: 1s, routes: [{name: buy, to: shop, get: /}]}
claims: [{steady: {success: 100%%}}]
`, server.URL, trust))
			out.Reset()
			code = execute([]string{"run", filepath.Join(dir, "auto.yaml"), "--out", filepath.Join(dir, "out"), "--json", "--quiet"}, &out, &said)
			var r result.Result
			if err := json.Unmarshal(out.Bytes(), &r); err != nil || len(r.Routes) != 1 || r.Routes[0].Outcomes["ok"] != 20 {
				t.Fatalf("run: exit %d, %v, %+v %s", code, err, r.Routes, said.String())
			}
			told := strings.Contains(strings.Join(r.Notes, "\n"), "target shop speaks "+tt.want+", as it chose itself")
			if want := trust != ""; told != want { // without TLS there is no choice
				t.Errorf("notes %q, want the choice in it: %v", r.Notes, want)
			}
			if right.Load() != 60 || all.Load() != 60 {
				t.Errorf("%d of %d requests by HTTP/%d, want all of 60", right.Load(), all.Load(), tt.major)
			}
		})
	}
}
