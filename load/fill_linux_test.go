package load

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/load/wire"
)

// What arrival i says depends on the seed and on i, and not on how many loops
// there are; the length that a request announces is that of its body, or the
// next request on the connection would not be understood.
func TestPlaceholdersOnTheWire(t *testing.T) {
	const n = 40
	table := &wire.Table{Names: []string{"user"}, Columns: [][]string{{"ada", "grace hopper", "é"}}}
	said := func(protocol string, loops int, seed uint64) map[string]string {
		var mu sync.Mutex
		got := map[string]string{}
		addr := serveHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			text := string(body)
			if protocol == GRPC { // its message says how long it is
				if text = string(body[min(5, len(body)):]); len(text) != int(body[4]) {
					t.Errorf("%q is no message", body)
				}
				w.Header().Set("Trailer", "Grpc-Status")
				io.WriteString(w, "\x00\x00\x00\x00\x00")
				w.Header().Set("Grpc-Status", "0")
			}
			mu.Lock()
			got[r.Header.Get("X-Seq")] = r.RequestURI + " " + text
			mu.Unlock()
		}, func(s *http.Server) { s.Protocols.SetHTTP1(true) }).addr
		mustCollect(t, Plan{
			Schedule: together(n), Seed: seed, Run: 1, Loops: loops, MaxConns: 4, Data: table,
			Routes: []Route{{Addr: addr, Protocol: protocol, Method: "POST", Path: "/${data.user}", Headers: [][2]string{{"X-Seq", "${seq}"}}, Body: []byte("${data.user} ${rand:1-100000}"), Timeout: patient}},
		})
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(got)
	}
	one, three, other := said(HTTP1, 1, 1), said(HTTP1, 3, 1), said(HTTP1, 1, 2)
	for _, protocol := range []string{HTTP2, GRPC} {
		if diff := cmp.Diff(one, said(protocol, 2, 1)); diff != "" {
			t.Errorf("%s says otherwise than %s: %s", protocol, HTTP1, diff)
		}
	}
	if len(one) != n || len(three) != n {
		t.Fatalf("the server heard of %d and %d arrivals, want %d", len(one), len(three), n)
	}
	paths := []string{"/ada ada ", "/grace%20hopper grace hopper ", "/%C3%A9 é "}
	differ := 0
	for i := 1; i <= n; i++ {
		key := fmt.Sprint(i)
		if one[key] != three[key] {
			t.Errorf("arrival %d: %q of one loop, %q of three", i, one[key], three[key])
		}
		if want := paths[(i-1)%3]; !strings.HasPrefix(one[key], want) {
			t.Errorf("arrival %d: %q, want %q", i, one[key], want)
		}
		if one[key] != other[key] {
			differ++
		}
	}
	if differ < n-2 {
		t.Errorf("another seed says the same %d times of %d", n-differ, n)
	}
}
