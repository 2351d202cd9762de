package api

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestToken(t *testing.T) {
	f := newFake(t, Config{Token: "s3cret"})
	defer f.Close()
	for _, tt := range []struct {
		authorization string
		want          int
	}{
		{"Bearer s3cret", 200},
		{"bearer s3cret", 200},
		{"", 401},
		{"s3cret", 401},
		{"Basic s3cret", 401},
		{"Bearer", 401},
		{"Bearer ", 401},
		{"Bearer s3cre", 401},
		{"Bearer s3cret2", 401},
		{"Bearer S3CRET", 401},
	} {
		for _, path := range []string{"/version", "/metrics", "/proxies"} {
			if got, body := send(f.Server, "GET "+path, "Authorization", tt.authorization); got != tt.want {
				t.Errorf("%q on %s: %d %s, want %d", tt.authorization, path, got, body, tt.want)
			}
		}
	}
	if got, _ := send(f.Server, createP); got != 401 || len(f.relays) > 0 {
		t.Errorf("created without a token: %d", got)
	}
	if got, _ := send(f.Server, "GET /nothing"); got != 401 {
		t.Errorf("who has no token learns that there is nothing: %d", got)
	}
}

// TestNoWebPage: a page in a browser on this machine can send requests to
// loopback, and must not change anything.
func TestNoWebPage(t *testing.T) {
	f := newFake(t, Config{})
	defer f.Close()
	for _, header := range [][]string{{"User-Agent", "Mozilla/5.0"}, {"Origin", "https://page.example"}, {"Origin", "null"},
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		if got, body := send(f.Server, createP, header...); got != 403 || len(f.relays) > 0 {
			t.Errorf("%v: %d %s, want 403", header, got, body)
		}
	}
}

// TestForeignNames: a page whose name was made to lead here (DNS rebinding) is
// of this origin for its browser; the name that it asks for is not.
func TestForeignNames(t *testing.T) {
	for _, tt := range []struct {
		host  string
		local bool
	}{
		{"127.0.0.1:8474", true}, {"127.0.0.1", true}, {"localhost:8474", true}, {"LocalHost", true},
		{"[::1]:8474", true}, {"[::1]", true}, {"192.0.2.1:8474", true},
		{"rebind.evil.example:8474", false}, {"localhost.evil.example", false}, {"127.0.0.1.evil.example", false},
		{"proxy", false}, {"", false}, {"0x7f000001", false}, {"127.1", false}, {"local\nhost", false},
	} {
		for _, token := range []string{"", "secret"} {
			s := New(Config{Token: token})
			r := httptest.NewRequest("GET", "/version", nil)
			r.Host = tt.host
			r.Header.Set("Authorization", "Bearer secret")
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			want := 403
			if tt.local || token != "" { // which no foreign page knows
				want = 200
			}
			if w.Code != want {
				t.Errorf("host %q, token %q: %d, want %d", tt.host, token, w.Code, want)
			}
			s.Close()
		}
	}
}

// TestListensForOthers: a proxy on other addresses than loopback opens what is
// behind it to other machines, and that must be asked for.
func TestListensForOthers(t *testing.T) {
	for _, tt := range []struct {
		allow  string
		listen string
		want   int
	}{
		{"", "127.0.0.1:0", 201}, {"", "127.0.0.9:0", 201}, {"", "[::1]:0", 201}, {"", "localhost:0", 201}, {"", "", 201},
		{"", "0.0.0.0:0", 403}, {"", "[::]:0", 403}, {"", ":0", 403}, {"", "192.0.2.1:0", 403}, {"", "[::ffff:192.0.2.1]:0", 403},
		{"192.0.2.0/24", "192.0.2.1:0", 201}, {"192.0.2.0/24", "0.0.0.0:0", 403}, {"192.0.2.0/24", ":0", 403},
		{"0.0.0.0/32", "0.0.0.0:0", 201}, {"0.0.0.0/32", ":0", 201}, {"0.0.0.0/0", "0.0.0.0:0", 201}, {"::/128", "[::]:0", 201},
	} {
		var c Config
		if tt.allow != "" {
			c.Allow = []netip.Prefix{netip.MustParsePrefix(tt.allow)}
		}
		f := newFake(t, c)
		status, body := send(f.Server, `POST /proxies {"name":"p","listen":"`+tt.listen+`","upstream":"127.0.0.1:1"}`)
		if status != tt.want || status == 403 && !strings.Contains(body, "--allow") {
			t.Errorf("listen %q with %q: %d %s, want %d", tt.listen, tt.allow, status, body, tt.want)
		}
		if status == 201 {
			f.Close()
			continue
		}
		// Neither by what changes one that is there.
		f.do(createP, 201)
		for _, request := range []string{
			`PATCH /proxies/p {"listen":"` + tt.listen + `"}`,
			`POST /populate [{"name":"p","listen":"` + tt.listen + `","upstream":"127.0.0.1:1"}]`,
		} {
			if status, body := send(f.Server, request); status != 403 {
				t.Errorf("%s: %d %s, want 403", request, status, body)
			}
		}
		f.Close()
	}
}

func TestMethods(t *testing.T) {
	s := New(Config{})
	defer s.Close()
	for _, tt := range []struct{ request, allow string }{
		{"PUT /proxies", "GET, POST"},
		{"PUT /proxies/p/toxics/t", "GET, POST, PATCH, DELETE"},
		{"GET /reset", "POST"},
		{"GET /", ""},
		{"GET /proxies/p/toxics/t/more", ""},
		{"GET /proxies//toxics", ""},
	} {
		method, path, _ := strings.Cut(tt.request, " ")
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, path, nil)
		r.Host = "localhost"
		s.ServeHTTP(w, r)
		want := 405
		if tt.allow == "" {
			want = 404
		}
		if w.Code != want || w.Header().Get("Allow") != tt.allow {
			t.Errorf("%s: %d, Allow %q, want %d, %q", tt.request, w.Code, w.Header().Get("Allow"), want, tt.allow)
		}
	}
}

func TestNamesOfAllKinds(t *testing.T) {
	f := newFake(t, Config{})
	defer f.Close()
	f.do(`POST /proxies {"name":"a/b c%","upstream":"127.0.0.1:1"}`, 201)
	f.do(`POST /proxies/a%2Fb%20c%25/toxics {"name":"x\"y\\\n","type":"latency"}`, 200)
	f.do(`GET /proxies/a%2Fb%20c%25/toxics/x%22y%5C%0A`, 200)
	want := `stormctl_toxic_active{proxy="a/b c%",stream="downstream",toxic="x\"y\\\n",type="latency"} 1` + "\n"
	if metrics := f.do("GET /metrics", 200); !strings.Contains(metrics, want) {
		t.Errorf("metrics lack %s in\n%s", want, metrics)
	}
}

func TestResolveListen(t *testing.T) {
	for listen, want := range map[string]string{
		"":                  "127.0.0.1:0",
		"127.0.0.1:80":      "127.0.0.1:80",
		"localhost:80":      "127.0.0.1:80",
		"localhost:http":    "127.0.0.1:80",
		"[::1]:80":          "[::1]:80",
		":80":               "[::]:80", // what the system calls it once it is bound
		"0.0.0.0:80":        "[::]:80",
		"[::]:80":           "[::]:80",
		"[::ffff:1.2.3.4]:": "1.2.3.4:0",
		"local373":          "address local373: missing port in address",
		"127.0.0.1:x":       "lookup tcp/x: unknown port",
	} {
		got, err := resolveListen(t.Context(), listen)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", listen, got, want)
		}
	}
}

func TestLongBody(t *testing.T) {
	f := newFake(t, Config{})
	defer f.Close()
	body := f.do(`POST /proxies {"name":"`+strings.Repeat("x", maxBody)+`"}`, 413)
	if !strings.Contains(body, "longer than 1048576 bytes") {
		t.Error(body)
	}
}

// TestExchanges drives HTTP through a proxy that speaks it, with toxics from
// the API, and reads what they hit.
func TestExchanges(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "from upstream") }))
	defer upstream.Close()
	f := &fake{Server: New(Config{}), t: t}
	defer f.Close()
	created := f.do(`POST /proxies {"name":"p","listen":"127.0.0.1:0","protocol":"http1","upstream":"`+upstream.Listener.Addr().String()+`"}`, 201)
	if !strings.Contains(created, `"protocol":"http1"`) {
		t.Errorf("created %s", created)
	}
	e, err := f.get("p")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + e.view().Listen
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	get := func(path string, want int) {
		t.Helper()
		res, err := client.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != want || want == 200 && string(text) != "from upstream" {
			t.Errorf("%s: %d %q %v, want %d", path, res.StatusCode, text, err, want)
		}
	}
	get("/pay", 200)
	body := f.do(`POST /proxies/p/toxics {"type":"errors","attributes":{"status":503,"match":{"path":"/pay"}}}`, 200)
	if want := `{"attributes":{"match":{"path":"/pay"},"status":503},"name":"errors_downstream","type":"errors","stream":"downstream","toxicity":1}`; body != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	get("/pay", 503)
	get("/browse", 200)
	f.do(`PATCH /proxies/p/toxics/errors_downstream {"attributes":{"status":[429],"match":null}}`, 200)
	get("/browse", 429)
	f.do(`PATCH /proxies/p/toxics/errors_downstream {"toxicity":0}`, 200)
	get("/pay", 200)
	f.do(`PATCH /proxies/p/toxics/errors_downstream {"toxicity":1}`, 200)
	get("/pay", 429)
	f.do(`DELETE /proxies/p/toxics/errors_downstream`, 204)
	get("/pay", 200)
	// An exchange is counted just after its last byte is written: the caller
	// can be here before.
	answered := `stormctl_proxy_exchanges_total{proxy="p",ending="answered"} 4` + "\n" // the 200s
	metrics := f.do("GET /metrics", 200)
	for end := time.Now().Add(10 * time.Second); !strings.Contains(metrics, answered) && time.Now().Before(end); metrics = f.do("GET /metrics", 200) {
		time.Sleep(time.Millisecond)
	}
	for _, want := range []string{
		strings.TrimSpace(answered),
		`stormctl_toxic_hits_total{proxy="p",stream="downstream",toxic="errors_downstream",type="errors"} 3`, // 503, 429, 429
		`stormctl_proxy_exchanges_total{proxy="p",ending="injected"} 3`,
		`stormctl_proxy_enabled{proxy="p",protocol="http1"} 1`,
		`stormctl_proxy_open_connections{proxy="p"} 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("metrics lack %s in\n%s", want, metrics)
		}
	}
	// What is not enabled answers nobody.
	f.do(`PATCH /proxies/p {"enabled":false}`, 200)
	if res, err := client.Get(url); err == nil {
		res.Body.Close()
		t.Error("a proxy that is disabled answers")
	}
}

// TestToxicsOfProtocols: each type where it can work, and a way out where not.
func TestToxicsOfProtocols(t *testing.T) {
	f := newFake(t, Config{})
	defer f.Close()
	f.do(`POST /proxies {"name":"tcp","upstream":"127.0.0.1:1"}`, 201)
	f.do(`POST /proxies {"name":"http","protocol":"http1","upstream":"127.0.0.1:1"}`, 201)
	f.do(`POST /proxies {"name":"grpc","protocol":"grpc","upstream":"127.0.0.1:1"}`, 201)
	relays := map[string]*fakeRelay{"tcp": f.relays[0], "http": f.relays[1], "grpc": f.relays[2]}
	for _, tt := range []struct {
		proxy, toxic string
		want         string // in force, or in the error
	}{
		{"tcp", `"type":"latency","attributes":{"latency":100,"jitter":20}`, "downstream latency 100ms ± 20ms to 100%"},
		{"tcp", `"type":"latency","stream":"upstream","toxicity":0.2`, "upstream latency 0s to 20%"},
		{"tcp", `"type":"bandwidth","attributes":{"rate":64}`, "downstream bandwidth 64000B/s to 100%"},
		{"tcp", `"type":"bandwidth","attributes":{"rate":9223372036854775807}`, "downstream bandwidth 976562500000KiB/s to 100%"},
		{"tcp", `"type":"slow_close","attributes":{"delay":9223372036854775807}`, "downstream slow_close 1h0m0s to 100%"},
		{"tcp", `"type":"timeout","attributes":{"timeout":100}`, "downstream timeout after 100ms to 100%"},
		{"tcp", `"type":"timeout"`, "downstream timeout to 100%"},
		{"tcp", `"type":"reset_peer","attributes":{"timeout":100}`, "downstream reset_peer after 100ms to 100%"},
		{"tcp", `"type":"slicer","attributes":{"average_size":10,"size_variation":5,"delay":1000}`, "downstream slicer 10 ± 5 bytes, 1ms apart, to 100%"},
		{"tcp", `"type":"slicer","attributes":{"average_size":10,"size_variation":10}`, "downstream slicer 10 ± 9 bytes to 100%"},
		{"tcp", `"type":"slicer","attributes":{"average_size":9223372036854775807,"size_variation":9223372036854775807}`, "downstream slicer 1073741824 ± 1073741823 bytes to 100%"},
		{"tcp", `"type":"limit_data","attributes":{"bytes":1000}`, "downstream limit_data 1000B to 100%"},
		{"tcp", `"type":"down","stream":"both","toxicity":0.3`, "both down to 30%"},
		{"tcp", `"type":"slow_connect","stream":"both","attributes":{"delay":"3s"}`, "both slow_connect 3s to 100%"},
		{"tcp", `"type":"partition","stream":"upstream"`, "upstream partition to 100%"},
		{"tcp", `"type":"flap","attributes":{"up":"5s","down":"2s","match":{"connection":3}}`, "downstream flap 2s down, 5s up, to connection 3"},
		{"tcp", `"type":"half_open","stream":"both"`, "both half_open to 100%"},
		{"tcp", `"type":"flap","attributes":{"up":"5s"}`, `"error":"down: `},
		{"tcp", `"type":"down","attributes":{"shar":"5%"}`, `unknown key \"shar\": did you mean \"share\"?`},
		{"tcp", `"type":"down","toxicity":0.5,"attributes":{"share":"5%"}`, "share and toxicity are the same thing"},
		{"tcp", `"type":"errors","attributes":{"status":503}`, `toxic type errors is for exchanges, and this proxy speaks tcp: create it with \"protocol\": \"http1\"`},
		{"tcp", `"type":"pause"`, "invalid toxic type"},
		{"http", `"type":"errors","attributes":{"status":503},"toxicity":0.1`, "errors 503 to 10%"},
		{"http", `"type":"errors","attributes":{"status":503,"share":"25%"}`, "errors 503 to 25%"},
		{"http", `"type":"errors"`, "status: is missing"},
		{"http", `"type":"errors","attributes":{"status":"x"}`, "status"},
		{"http", `"type":"latency","attributes":{"latency":100,"jitter":20}`, "latency 100ms ± 20ms to 100%"},
		{"http", `"type":"latency","attributes":{"delay":"100ms","jitter":"20ms","distribution":"normal"}`, "latency 100ms (normal, σ 20ms) to 100%"},
		{"http", `"type":"latency","attributes":{"delay":"100ms","latency":100}`, "delay is given twice"},
		{"http", `"type":"latency","attributes":{"recorded":"/etc/passwd"}`, "the API reads no files"},
		{"http", `"type":"reset","attributes":{"match":{"method":"POST"}}`, "reset to POST"},
		{"http", `"type":"partition"`, "partition to 100%"},
		{"http", `"type":"hang","attributes":{"first":3}`, "hang to 100%, the first 3"},
		{"http", `"type":"drop_response","attributes":{"max_active":5}`, "drop_response to 100%, at most 5 at a time"},
		{"http", `"type":"truncate","attributes":{"after":"1KiB"}`, "truncate after 1KiB to 100%"},
		{"http", `"type":"corrupt"`, "bytes: is missing: add bytes: 50%"},
		{"http", `"type":"slow_body","attributes":{"rate":"64KiB"}`, `rate: \"64KiB\" is not a bandwidth: write it like 64KiB/s`},
		{"http", `"type":"duplicate","attributes":{"every":2}`, "duplicate to 100%, every 2nd"},
		{"http", `"type":"noop"`, ""},
		{"http", `"type":"bandwidth"`, `toxic type bandwidth is for bytes, and this proxy speaks http1: create it without \"protocol\"`},
		{"http", `"type":"nothing"`, "invalid toxic type"},
		{"grpc", `"type":"errors","attributes":{"grpc_status":"UNAVAILABLE"}`, "errors UNAVAILABLE to 100%"},
		{"grpc", `"type":"slicer"`, `toxic type slicer is for bytes, and this proxy speaks grpc: create it without \"protocol\"`},
	} {
		status, body := send(f.Server, "POST /proxies/"+tt.proxy+`/toxics {"name":"t",`+tt.toxic+`}`)
		switch inForce := relays[tt.proxy].toxics(); {
		case status == 200 && len(inForce) == 1:
			if inForce[0] != "0 "+tt.want {
				t.Errorf("%s on %s: in force %q, want %q", tt.toxic, tt.proxy, inForce[0], tt.want)
			}
		case status == 200 && tt.want != "":
			t.Errorf("%s on %s: %s, and in force %q, want %q", tt.toxic, tt.proxy, body, inForce, tt.want)
		case status == 400 && !strings.Contains(body, tt.want), status != 200 && status != 400:
			t.Errorf("%s on %s: %d %s, want %s", tt.toxic, tt.proxy, status, body, tt.want)
		case status == 400 && len(inForce) > 0:
			t.Errorf("%s on %s: refused, and in force %q", tt.toxic, tt.proxy, inForce)
		}
		send(f.Server, "DELETE /proxies/"+tt.proxy+"/toxics/t")
	}
	if status, body := send(f.Server, `POST /proxies {"name":"x","protocol":"smtp","upstream":"127.0.0.1:1"}`); status != 400 || !strings.Contains(body, `protocol \"smtp\" is not one of tcp, http1, h2, grpc`) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := send(f.Server, `PATCH /proxies/tcp {"protocol":"http1"}`); status != 400 || !strings.Contains(body, "the protocol of a proxy cannot change") {
		t.Errorf("%d %s", status, body)
	}
	f.do(`PATCH /proxies/http {"protocol":"http1"}`, 200)
}
