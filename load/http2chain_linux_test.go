package load

import (
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/wire"
)

// A chain goes on over another connection if its own takes no more, and each of
// its requests has an id of its own, by which the server can tell them apart.
func TestHTTP2Chain(t *testing.T) {
	const n = 30
	transports := everyTransport(t)
	for _, protocol := range []string{HTTP2, HTTP1} {
		for _, each := range []int{0, 4} { // requests on a connection
			if protocol == HTTP1 && each > 0 {
				continue // a chain keeps its connection there
			}
			for _, transport := range transports {
				t.Run(protocol+"/"+map[int]string{0: "kept", 4: "ended"}[each]+"/"+transport, func(t *testing.T) {
					t.Parallel()
					var mu sync.Mutex
					ids := map[uint64]string{}
					peer := serveHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
						body, _ := io.ReadAll(r.Body)
						seq, ok := wire.ParseID([]byte(r.Header.Get("X-Request-Id")), 1)
						trace, okTrace := wire.ParseID([]byte(r.Header.Get("Traceparent")), 1)
						mu.Lock()
						if _, twice := ids[seq]; twice || !ok || !okTrace || trace != seq {
							t.Errorf("id %x, trace %x, had it before: %t", seq, trace, twice)
						}
						ids[seq] = r.Method + " " + r.RequestURI + " " + r.Header.Get("Authorization") + " " + string(body)
						mu.Unlock()
						switch r.URL.Path {
						case "/login":
							io.WriteString(w, `{"token":"t/`+r.URL.Query().Get("user")+`"}`)
						case "/orders":
							w.Header().Set("Location", "/orders/"+r.URL.Query().Get("user"))
							w.WriteHeader(201)
						}
					}, func(s *http.Server) { s.Protocols.SetHTTP1(true) })
					got := chain(t, Plan{Schedule: together(n), Run: 1, Transport: transport, Loops: 1, MaxConns: 2, Streams: 5, ConnRequests: each, Grace: patient, Routes: []Route{{
						Addr: peer.addr, Protocol: protocol, Path: "/login?user=${seq}", Timeout: patient,
						Then: []Step{
							{Method: "POST", Path: "/orders?user=${seq}", Headers: [][2]string{{"Authorization", "${prev.json:$.token}"}}, Body: []byte("<${prev.body~t/[0-9]+}>"), Timeout: patient},
							{Path: "${prev.header:Location}", Checks: []Check{{Want: "200"}}, Timeout: patient},
						},
					}}})
					want := map[uint64]string{}
					for i := range uint64(n) {
						user := strconv.FormatUint(i+1, 10)
						want[wire.SeqOf(i+1, 0)] = "GET /login?user=" + user + "  "
						want[wire.SeqOf(i+1, 1)] = "POST /orders?user=" + user + " t/" + user + " <t/" + user + ">"
						want[wire.SeqOf(i+1, 2)] = "GET /orders/" + user + "  "
					}
					mu.Lock()
					defer mu.Unlock()
					if !maps.Equal(ids, want) {
						t.Errorf("the server heard %v, want %v", ids, want)
					}
					if len(got) != len(want) {
						t.Errorf("%d requests observed, want %d", len(got), len(want))
					}
					for key, s := range got {
						if first := got[[2]int{key[0], 0}]; s.Outcome != OK || s.Intended != first.Intended {
							t.Errorf("arrival %d, step %d: %v, due at %v, and its chain at %v", key[0], key[1], s.Outcome, s.Intended, first.Intended)
						}
					}
				})
			}
		}
	}
}

// A stall shows in the step behind it over HTTP/2 as over HTTP/1.1, wherever the
// step is sent.
func TestHTTP2StallShowsInTheStepBehind(t *testing.T) {
	const stall, expected = 300 * time.Millisecond, 10 * time.Millisecond
	for _, each := range []int{0, 1} {
		peer := serveHTTP2(t, func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/login" {
				time.Sleep(stall)
			}
		}, nil)
		route := h2(peer.addr)
		route.Path, route.Then = "/login", []Step{{Path: "/orders", After: expected, Timeout: patient}}
		got := chain(t, Plan{Schedule: together(1), Run: 1, Loops: 1, ConnRequests: each, Routes: []Route{route}})
		login, step := got[[2]int{1, 0}], got[[2]int{1, 1}]
		if step.Outcome != OK || step.Intended != login.Intended+expected {
			t.Errorf("the step was %v, due at %v, want %v after the login, which was due at %v", step.Outcome, step.Intended, expected, login.Intended)
		}
		if step.ResponseTime() < stall-expected || step.ServiceTime() > step.ResponseTime()-(stall-expected) {
			t.Errorf("response time %v, service time %v: the stall of %v is not between them", step.ResponseTime(), step.ServiceTime(), stall)
		}
	}
}
