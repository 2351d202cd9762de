package api

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzAPI: whatever is asked for, the answer is JSON with a status that clients
// know, what the server lists can be encoded, and nothing ends it. Lookups of
// names are left out: they are the resolver's.
func FuzzAPI(f *testing.F) {
	for _, x := range []struct{ method, path, body string }{
		{"POST", "proxies", `{"name":"q","upstream":"127.0.0.1:1","protocol":"http1","ttl":"1h","toxics":[{"type":"latency"}]}`},
		{"POST", "populate", `[{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:2"},{"name":""}]`},
		{"PATCH", "proxies/p", `{"enabled":false,"listen":":0","ttl":"0s"}`},
		{"POST", "proxies/p/toxics", `{"type":"slicer","stream":"both","toxicity":-0.5,"attributes":{"average_size":9223372036854775807,"size_variation":9223372036854775807}}`},
		{"POST", "proxies/h/toxics", `{"type":"errors","attributes":{"status":[500,599],"match":{"header":{"x":"*"}},"cycle":{"on":"1s","off":"1s"},"first":1}}`},
		{"POST", "proxies/h/toxics", `{"type":"latency","attributes":{"latency":-9223372036854775808,"jitter":1e400}}`},
		{"PATCH", "proxies/p/toxics/t", `{"attributes":{"latency":5},"toxicity":0.1}`},
		{"PATCH", "proxies/h/toxics/t", `{"attributes":{"status":null,"body":"x"}}`},
		{"DELETE", "proxies/p/toxics/t", ``},
		{"DELETE", "proxies/h", ``},
		{"POST", "proxies/p/reset", ``},
		{"POST", "reset", ``},
		{"GET", "metrics", ``},
	} {
		f.Add(x.method, x.path, x.body)
	}
	f.Fuzz(func(t *testing.T, method, path, body string) {
		if _, err := url.ParseRequestURI("/" + path); err != nil || strings.ContainsAny(path, " \x7f") || strings.ContainsFunc(method, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) }) || method == "" {
			t.Skip("not a request")
		}
		if strings.ContainsFunc(body, func(r rune) bool { return r > 0x7f }) || strings.Count(body, "127.0.0.1") < strings.Count(body, "pstream")+strings.Count(body, "isten") {
			t.Skip("a name to look up")
		}
		s := newFake(t, Config{})
		defer s.Close()
		s.do(createP, 201)
		s.do(`POST /proxies {"name":"h","upstream":"127.0.0.1:1","protocol":"http1"}`, 201)
		s.do(`POST /proxies/p/toxics {"name":"t","type":"latency"}`, 200)
		s.do(`POST /proxies/h/toxics {"name":"t","type":"errors","attributes":{"status":503}}`, 200)
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, "/"+path, strings.NewReader(body))
		r.Host = "localhost"
		s.ServeHTTP(w, r)
		switch w.Code {
		case 200, 201:
			if typ := w.Header().Get("Content-Type"); strings.HasPrefix(typ, "application/json") && !json.Valid(w.Body.Bytes()) {
				t.Errorf("%d with %q", w.Code, w.Body)
			}
		case 400, 403, 409, 413, 500:
			var p problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || p.Text == "" {
				t.Errorf("%d with %q", w.Code, w.Body)
			}
		case 204, 404, 405:
		default:
			t.Errorf("answered %d %q", w.Code, w.Body)
		}
		s.do("GET /proxies", 200)
		s.do("GET /metrics", 200)
	})
}
