package http

import (
	"encoding/binary"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
)

// bodies is a service of all dialects, whose path says how its body ends.
func bodies(t *testing.T) (addr string) {
	t.Helper()
	const size = 40_000
	return h2server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/length":
			w.Header().Set("Content-Length", "40000")
			_, _ = io.WriteString(w, strings.Repeat("x", size))
		case "/chunks":
			_, _ = io.WriteString(w, strings.Repeat("x", size))
			_ = http.NewResponseController(w).Flush()
		case "/close": // of HTTP/1.1: the end of the connection is that of the body
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", size))
				_ = conn.Close()
			}
		default:
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			_, _ = w.Write(binary.BigEndian.AppendUint32([]byte{0}, size))
			_, _ = io.WriteString(w, strings.Repeat("x", size))
			w.Header().Set("Grpc-Status", "0")
		}
	})
}

// TestBrokenBodiesAreNoSuccess: what a link does to a body is seen by our own load, in
// every dialect. Whatever shortens or breaks one is no success, and what changes it is
// none to a load that looks at it.
func TestBrokenBodiesAreNoSuccess(t *testing.T) {
	addr := bodies(t)
	all := toxic.Select{Share: 1}
	faults := []struct {
		name  string
		toxic toxic.Toxic
		late  bool // the caller gives up
		sound bool // the response is whole
		http1 bool // over HTTP/1.1 it is
	}{
		{name: "truncate all", toxic: toxic.Truncate{Select: all}},
		{name: "truncate after 1", toxic: toxic.Truncate{After: 1, Select: all}},
		{name: "truncate before the last", toxic: toxic.Truncate{After: 39_999, Select: all}},
		{name: "reset during", toxic: toxic.Reset{When: "during", Select: all}},
		{name: "reset after", toxic: toxic.Reset{When: "after", Select: all}, http1: true}, // it has said what its last byte is
		{name: "drop_response", toxic: toxic.DropResponse{Select: all}, late: true},
		{name: "drop_response, then reset", toxic: toxic.DropResponse{Then: "reset", Select: all}},
		{name: "slow_body", toxic: toxic.SlowBody{Rate: 100, Select: all}, late: true},
		{name: "corrupt", toxic: toxic.Corrupt{Bytes: 1, Select: all}},
		{name: "duplicate", toxic: toxic.Duplicate{Select: all}, sound: true},
	}
	for _, d := range []struct{ name, link, load, path string }{
		{"http1 with a length", toxic.ProtocolHTTP1, load.HTTP1, "/length"},
		{"http1 in chunks", toxic.ProtocolHTTP1, load.HTTP1, "/chunks"},
		{"http1 until the end", toxic.ProtocolHTTP1, load.HTTP1, "/close"},
		{"h2 with a length", toxic.ProtocolHTTP2, load.HTTP2, "/length"},
		{"h2 without", toxic.ProtocolHTTP2, load.HTTP2, "/chunks"},
		{"grpc", toxic.ProtocolGRPC, load.GRPC, "/a.B/C"},
	} {
		t.Run(d.name, func(t *testing.T) {
			l := listen(t, addr, speaks(d.link))
			l.Record(time.Now(), func(evidence.Exchange) {})
			route := load.Route{Addr: l.Addr(), Protocol: d.load, Path: d.path, Method: "POST", Body: []byte{}, Checks: []load.Check{
				{Of: load.CheckBody, Test: load.Contains, Want: strings.Repeat("x", 40_000)},
			}}
			if got := outcomesOf(t, route); len(got) != 1 || got[load.OK] == 0 {
				t.Fatalf("%v without a fault", got)
			}
			for i, f := range faults {
				route.Timeout = wiretest.Patience
				if f.late {
					route.Timeout = 50 * time.Millisecond
				}
				remove := l.Add(i, f.toxic)
				got := outcomesOf(t, route)
				for n := 0; n < 20 && l.Hit(i) == 0; n++ { // on a busy machine a caller gives up before there is a response
					maps.Copy(got, outcomesOf(t, route))
				}
				remove()
				switch {
				case l.Hit(i) == 0:
					t.Errorf("%s has not hit: %v", f.name, got)
				case f.sound && (len(got) != 1 || got[load.OK] == 0), !f.sound && got[load.OK] > 0 && !(f.http1 && d.load == load.HTTP1):
					t.Errorf("%s: %v", f.name, got)
				}
			}
		})
	}
}

// outcomesOf is what a few requests of a route come to.
func outcomesOf(t *testing.T, r load.Route) map[load.Outcome]int {
	t.Helper()
	var mu sync.Mutex
	got := map[load.Outcome]int{}
	plan := load.Plan{Schedule: arrivals.Constant(1000, 3*time.Millisecond), Run: 1, Loops: 1, Routes: []load.Route{r}}
	if err := load.Run(t.Context(), plan, time.Now(), func(_ int, s load.Sample) {
		mu.Lock()
		defer mu.Unlock()
		got[s.Outcome]++
	}); err != nil {
		t.Fatal(err)
	}
	return got
}
