package load

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// Over real connections, used again and pipelined: an answer is judged by the
// checks of its own route, however it was sent, and keeps its status.
func TestChecksOnTheWire(t *testing.T) {
	const right = `{"state":"ready"}`
	tests := []struct {
		name, answer string
		outcome      Outcome
		status       int
	}{
		{"by length", "HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 17\r\n\r\n" + right, OK, 200},
		{"in chunks", "HTTP/1.1 201 OK\r\nX: 1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n" + right[:9] + "\r\n8\r\n" + right[9:] + "\r\n0\r\n\r\n", OK, 201},
		{"after an interim response", "HTTP/1.1 103 Early\r\nY: 1\r\n\r\nHTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 17\r\n\r\n" + right, OK, 200},
		{"wrong status", "HTTP/1.1 503 Busy\r\nX: 1\r\nContent-Length: 17\r\n\r\n" + right, Wrong, 503},
		{"wrong header", "HTTP/1.1 200 OK\r\nY: 1\r\nContent-Length: 17\r\n\r\n" + right, Wrong, 200},
		{"only the interim response has it", "HTTP/1.1 103 Early\r\nX: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n" + right, Wrong, 200},
		{"wrong body", "HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 2\r\n\r\n{}", Wrong, 200},
		{"no body", "HTTP/1.1 204 OK\r\nX: 1\r\n\r\n", Wrong, 204},
		{"longer than is kept", "HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 1048593\r\n\r\n" + strings.Repeat(" ", maxBody) + right, Wrong, 200},
		{"as long as is kept", "HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 1048576\r\n\r\n" + strings.Repeat(" ", maxBody-len(right)) + right, OK, 200},
	}
	checks := []Check{{Want: "2xx"}, {Of: CheckHeader, Name: "x", Test: Present}, {Of: CheckJSON, Name: "$.state", Want: "ready"}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr := listen(t, each(func(c net.Conn, r *http.Request) bool {
				answer := tt.answer
				if r.URL.Path == "/plain" {
					answer = strings.Replace(okAnswer, "ok", "no", 1)
				}
				_, err := io.WriteString(c, answer)
				return err == nil
			})).addr
			p := Plan{Schedule: together(20), Run: 1, Loops: 1, MaxConns: 2, Pipeline: 3, InOrder: true, Routes: []Route{
				{Addr: addr, Checks: checks, Timeout: patient}, {Addr: addr, Path: "/plain", Timeout: patient},
			}}
			for i, s := range mustCollect(t, p) {
				outcome, status := tt.outcome, tt.status
				if i%2 == 1 {
					outcome, status = OK, 200
				}
				if s.Route != i%2 || s.Outcome != outcome || s.Status != status {
					t.Errorf("arrival %d: got route %d, %v %d, want %d, %v %d", s.ID, s.Route, s.Outcome, s.Status, i%2, outcome, status)
				}
			}
		})
	}
}

// A response that ends with its connection is judged too.
func TestCheckOfABodyUntilClose(t *testing.T) {
	for body, want := range map[string]Outcome{"all is ok": OK, "all is not": Wrong} {
		p := Plan{Schedule: together(3), Run: 1, Routes: []Route{{
			Addr: listen(t, saysAndCloses("HTTP/1.1 200 OK\r\n\r\n"+body)).addr, Checks: []Check{{Of: CheckBody, Test: Matches, Want: "ok$"}}, Timeout: patient,
		}}}
		for _, s := range mustCollect(t, p) {
			if s.Outcome != want || s.Status != 200 {
				t.Errorf("%q: got %v %d, want %v 200", body, s.Outcome, s.Status, want)
			}
		}
	}
}
