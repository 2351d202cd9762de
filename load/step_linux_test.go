package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/load/wire"
)

// chain runs a plan and returns its samples by arrival and step. Each is there
// once, and what holds for every sample holds.
func chain(t *testing.T, p Plan) map[[2]int]Sample {
	t.Helper()
	var mu sync.Mutex
	got := map[[2]int]Sample{}
	err := Run(context.Background(), p, time.Now(), func(_ int, s Sample) {
		mu.Lock()
		defer mu.Unlock()
		key := [2]int{int(wire.ArrivalOf(s.ID)), s.Step}
		if want := wire.SeqOf(uint64(key[0]), s.Step); s.ID != want {
			t.Errorf("step %d of arrival %d has the id %x, want %x", s.Step, key[0], s.ID, want)
		}
		if old, twice := got[key]; twice {
			t.Errorf("observed twice: %+v and %+v", old, s)
		}
		got[key] = s
		checkSample(t, p, s)
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// shop logs callers in, has them order with their token, and shows the order
// where it says it is. It writes down which connection and what it was asked.
type shop struct {
	mu    sync.Mutex
	conns atomic.Int64
	heard map[string][]string // by connection
	ids   []uint64            // of requests
	login func()
}

func (s *shop) serve(c net.Conn) {
	key := fmt.Sprint(s.conns.Add(1))
	for in := bufio.NewReader(c); ; {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.heard[key] = append(s.heard[key], fmt.Sprintf("%s %s %s %s", r.Method, r.RequestURI, r.Header.Get("Authorization"), body))
		if id, ok := wire.ParseID([]byte(r.Header.Get(wire.DefaultIDHeader)), 1); ok {
			s.ids = append(s.ids, id)
		}
		s.mu.Unlock()
		answer := "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
		switch r.URL.Path {
		case "/login":
			s.login()
			token := `{"token":"t/` + r.URL.Query().Get("user") + `"}`
			answer = fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(token), token)
		case "/orders":
			answer = "HTTP/1.1 201 Created\r\nLocation: http://elsewhere/orders/7?full=1\r\nContent-Length: 0\r\n\r\n"
		case "/orders/7":
			answer = okAnswer
		}
		io.WriteString(c, answer)
	}
}

func TestChain(t *testing.T) {
	for _, transport := range []string{"", Portable} {
		t.Run("transport "+transport, func(t *testing.T) { testChain(t, transport) })
	}
}

func testChain(t *testing.T, transport string) {
	s := &shop{heard: map[string][]string{}, login: func() {}}
	addr := listen(t, s.serve).addr
	got := chain(t, Plan{Schedule: together(6), Run: 1, Transport: transport, Loops: 1, MaxConns: 2, Routes: []Route{{
		Addr: addr, Path: "/login?user=${seq}", Timeout: patient,
		Then: []Step{
			{Method: "POST", Path: "/orders?t=${prev.json:$.token}", Headers: [][2]string{{"Authorization", "Bearer ${prev.json:$.token}"}}, Body: []byte("<${prev.body~t/.}>"), Timeout: patient},
			{Path: "${prev.header:Location}", Checks: []Check{{Want: "200"}}, Timeout: patient},
		},
	}}})
	if len(got) != 6*3 {
		t.Errorf("%d requests observed, want 3 for each of 6 arrivals", len(got))
	}
	for key, sample := range got {
		if sample.Outcome != OK {
			t.Errorf("arrival %d, step %d: %v", key[0], key[1], sample.Outcome)
		}
		if first := got[[2]int{key[0], 0}]; sample.Intended != first.Intended {
			t.Errorf("arrival %d, step %d: due at %v, and its chain at %v, though nothing was expected in between", key[0], key[1], sample.Intended, first.Intended)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []uint64
	for _, sample := range got {
		ids = append(ids, sample.ID)
	}
	slices.Sort(ids)
	slices.Sort(s.ids)
	if diff := cmp.Diff(ids, s.ids); diff != "" {
		t.Errorf("each request carries its id: -observed +heard:\n%s", diff)
	}
	var all []string
	for _, heard := range s.heard {
		for len(heard) >= 3 { // a chain keeps its connection to itself
			user := heard[0][len("GET /login?user=") : len(heard[0])-2]
			want := []string{
				"GET /login?user=" + user + "  ", fmt.Sprintf("POST /orders?t=t%%2F%s Bearer t/%s <t/%s>", user, user, user), "GET /orders/7?full=1  ",
			}
			if diff := cmp.Diff(want, heard[:3]); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			all, heard = append(all, user), heard[3:]
		}
	}
	if len(all) != 6 {
		t.Errorf("users %v, want six", all)
	}
}

// A login that stalls makes the step behind it late, and that must show: its
// time counts from when the plan had it due, not from when the login let it go.
func TestStallShowsInTheStepBehind(t *testing.T) {
	const stall, expected = 300 * time.Millisecond, 10 * time.Millisecond
	s := &shop{heard: map[string][]string{}, login: func() { time.Sleep(stall) }}
	got := chain(t, Plan{Schedule: together(1), Run: 1, Routes: []Route{{
		Addr: listen(t, s.serve).addr, Path: "/login", Timeout: patient, Then: []Step{{Path: "/orders/7", After: expected, Timeout: patient}},
	}}})
	login, step := got[[2]int{1, 0}], got[[2]int{1, 1}]
	if step.Intended != login.Intended+expected {
		t.Errorf("the step was due at %v, want %v after the login, which was due at %v", step.Intended, expected, login.Intended)
	}
	if step.ResponseTime() < stall-expected || step.ServiceTime() > step.ResponseTime()-(stall-expected) {
		t.Errorf("response time %v, service time %v: the stall of %v is not between them", step.ResponseTime(), step.ServiceTime(), stall)
	}
}

func TestChainEnds(t *testing.T) {
	const closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
	for _, tt := range []struct {
		name    string
		answer  string
		check   string
		step    string
		outcome Outcome
		then    string // outcome of the step; "" if it is never due
	}{
		{"the step is sent", okAnswer, "status=200", "/", OK, "ok"},
		{"not found", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status=404", "/", ClientError, ""},
		{"a check fails", okAnswer, "status=201", "/", Wrong, ""},
		{"what the step needs is not there", okAnswer, "status=200", "/${prev.header:Location}", Wrong, ""},
		{"the connection ends", closing, "status=200", "/", OK, "unsent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParseCheck(tt.check)
			if err != nil {
				t.Fatal(err)
			}
			for _, depth := range []int{1, 4} {
				got := chain(t, Plan{Schedule: together(5), Run: 1, Loops: 1, MaxConns: 2, Pipeline: depth, Routes: []Route{{
					Addr: listen(t, says(tt.answer)).addr, Checks: []Check{c}, Timeout: patient, Then: []Step{{Path: tt.step, Timeout: patient}},
				}}})
				for i := 1; i <= 5; i++ {
					first := got[[2]int{i, 0}]
					if depth > 1 && first.Outcome == Reset {
						continue // it was behind one that ended the connection
					}
					step, due := got[[2]int{i, 1}]
					then := ""
					if due {
						then = step.Outcome.String()
					}
					if first.Outcome != tt.outcome || then != tt.then {
						t.Errorf("depth %d, arrival %d: %v and then %q, want %v and %q", depth, i, first.Outcome, then, tt.outcome, tt.then)
					}
				}
			}
		})
	}
}
