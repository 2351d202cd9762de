package load

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patient is a timeout that no machine is too busy for; brief is one that is
// meant to pass.
const (
	patient = 30 * time.Second
	brief   = 100 * time.Millisecond
)

func TestOutcomes(t *testing.T) {
	byteByByte := func(text string) func(net.Conn) {
		return each(func(c net.Conn, _ *http.Request) bool {
			for i := range text {
				if _, err := io.WriteString(c, text[i:i+1]); err != nil {
					return false
				}
			}
			return true
		})
	}
	reset := each(func(c net.Conn, _ *http.Request) bool {
		c.(*net.TCPConn).SetLinger(0)
		return false
	})
	resetAfter := func(text string) func(net.Conn) {
		return each(func(c net.Conn, _ *http.Request) bool {
			io.WriteString(c, text)
			c.(*net.TCPConn).SetLinger(0)
			return false
		})
	}
	endless := func(head, part string) func(net.Conn) {
		parts := strings.Repeat(part, 1000)
		return each(func(c net.Conn, _ *http.Request) bool {
			_, err := io.WriteString(c, head)
			for err == nil {
				_, err = io.WriteString(c, parts)
			}
			return false
		})
	}
	late := func(text string) func(net.Conn) {
		return each(func(c net.Conn, _ *http.Request) bool {
			io.WriteString(c, text)
			hang(c)
			return false
		})
	}

	tests := []struct {
		name    string
		serve   func(net.Conn)
		method  string
		timeout time.Duration // 0 means patient
		outcome Outcome
		status  int
	}{
		{name: "complete", serve: says(okAnswer), outcome: OK, status: 200},
		{name: "no content", serve: says("HTTP/1.1 204 No Content\r\n\r\n"), outcome: OK, status: 204},
		{name: "redirect is the service's word, not followed", serve: says("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"), outcome: OK, status: 302},
		{name: "not found", serve: says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), outcome: ClientError, status: 404},
		{name: "unavailable", serve: says("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"), outcome: ServerError, status: 503},
		{name: "chunked with trailer", serve: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n"), outcome: OK, status: 200},
		{name: "100 before the answer", serve: says("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + okAnswer), outcome: OK, status: 200},
		{name: "switching protocols that was not asked for", serve: says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\x00\x01"), outcome: Malformed},
		{name: "HEAD has a length but no body", method: "HEAD", serve: says("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"), outcome: OK, status: 200},
		{name: "ended by close", serve: saysAndCloses("HTTP/1.1 200 OK\r\n\r\nsome"), outcome: OK, status: 200},
		{name: "HTTP/1.0", serve: saysAndCloses("HTTP/1.0 500 Oops\r\n\r\nsome"), outcome: ServerError, status: 500},
		{name: "byte by byte", serve: byteByByte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n"), outcome: OK, status: 200},
		{name: "1.5 MiB by length", serve: says("HTTP/1.1 200 OK\r\nContent-Length: 1572864\r\n\r\n" + strings.Repeat("x", 1572864)), outcome: OK, status: 200},

		{name: "closed at once", serve: saysAndCloses(""), outcome: Reset},
		{name: "closed within the head", serve: saysAndCloses("HTTP/1.1 200 OK\r\nContent-"), outcome: Reset},
		{name: "closed within the body", serve: saysAndCloses("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), outcome: Reset},
		{name: "closed within a chunk", serve: saysAndCloses("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"), outcome: Reset},
		{name: "closed after an interim response", serve: saysAndCloses("HTTP/1.1 100 Continue\r\n\r\n"), outcome: Reset},
		{name: "closed on accept", serve: func(c net.Conn) {}, outcome: Reset},
		{name: "RST instead of an answer", serve: reset, outcome: Reset},
		{name: "RST within the body", serve: resetAfter("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), outcome: Reset},
		{name: "RST is no end of a body without length", serve: resetAfter("HTTP/1.1 200 OK\r\n\r\nhalf"), outcome: Reset},

		{name: "another protocol", serve: says("220 mail.example ESMTP\r\n"), outcome: Malformed},
		{name: "bad length", serve: says("HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n"), outcome: Malformed},
		{name: "bad chunk", serve: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"), outcome: Malformed},
		{name: "endless head", serve: endless("HTTP/1.1 200 OK\r\n", "X: y\r\n"), outcome: TooLarge},

		{name: "no answer", serve: hang, timeout: brief, outcome: TimedOut},
		{name: "half a head", serve: late("HTTP/1.1 200 OK\r\nContent-"), timeout: brief, outcome: TimedOut},
		{name: "half a body", serve: late("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), timeout: brief, outcome: TimedOut},
		{name: "only interim responses", serve: endless("", "HTTP/1.1 100 Continue\r\n\r\n"), timeout: brief, outcome: TimedOut},
		{name: "endless body", serve: endless("HTTP/1.1 200 OK\r\n\r\n", "body"), timeout: brief, outcome: TimedOut},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			timeout := tt.timeout
			if timeout == 0 {
				timeout = patient
			}
			// Five each over two connections, so that some use a connection again.
			const n = 5
			p := Plan{Schedule: together(n), Run: 1, MaxConns: 2, Grace: patient, Routes: []Route{{Addr: listen(t, tt.serve).addr, Method: tt.method, Timeout: timeout}}}
			for _, s := range mustCollect(t, p) {
				if s.Outcome != tt.outcome || s.Status != tt.status {
					t.Errorf("arrival %d: got %v %d, want %v %d", s.ID, s.Outcome, s.Status, tt.outcome, tt.status)
				}
				if s.Outcome == TimedOut && s.ResponseTime() < timeout {
					t.Errorf("arrival %d: timed out after %v", s.ID, s.ResponseTime())
				}
			}
		})
	}
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	// More than one turn dials for, and more than may be open.
	for _, s := range mustCollect(t, Plan{Schedule: together(3 * dialBatch), Run: 1, MaxConns: 4, Routes: []Route{{Addr: l.Addr().String()}}}) {
		if s.Outcome != Refused {
			t.Fatalf("got %v, want refused", s.Outcome)
		}
	}
}

// A connection that does not open within the route's timeout has timed out,
// and that time is the arrival's service time.
func TestDialTimesOut(t *testing.T) {
	p := Plan{Schedule: together(3), Run: 1, Loops: 1, Grace: patient, Routes: []Route{{Addr: fullBacklog(t), Timeout: brief}}}
	for _, s := range mustCollect(t, p) {
		if s.Outcome != TimedOut || s.ServiceTime() < brief {
			t.Errorf("got %v after %v, want timed_out after %v", s.Outcome, s.ServiceTime(), brief)
		}
	}
}

// Each route has its own time, whatever the order in which requests are sent.
// The run ends when all that have 50 ms are over: it would not if they waited
// for those that have an hour.
func TestTimeoutsByRoute(t *testing.T) {
	addr := listen(t, hang).addr
	const n, short = 40, 50 * time.Millisecond
	p := Plan{Schedule: together(n), Run: 1, Loops: 1, Grace: time.Hour, Routes: []Route{{Addr: addr, Timeout: time.Hour}, {Addr: addr, Timeout: short}}}
	left := 0
	pick := newPicker(p.Seed, p.Routes)
	for id := uint64(1); id <= n; id++ {
		left += pick.route(id)
	}
	if left == 0 || left == n {
		t.Fatalf("%d of %d arrivals take the second route: choose another seed", left, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g, err := prepare(p)
	if err != nil {
		t.Fatal(err)
	}
	g.grace = 0 // once cancelled
	l, err := newLoop(g, 0, newClock(time.Now()), func(_ int, s Sample) {
		if ctx.Err() == nil && (s.Route != 1 || s.Outcome != TimedOut || s.ResponseTime() < short) {
			t.Errorf("route %d: %v after %v", s.Route, s.Outcome, s.ResponseTime())
		}
		if left--; left == 0 {
			cancel()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	defer context.AfterFunc(ctx, l.halt)()
	runtime.LockOSThread() // an io_uring is its first user's
	defer runtime.UnlockOSThread()
	if err := l.run(); err != nil {
		t.Fatal(err)
	}
}

// When Grace is over it is over, whatever the timeouts would allow.
func TestGraceEnds(t *testing.T) {
	p := Plan{Schedule: together(5), Run: 1, MaxConns: 2, Grace: brief, Routes: []Route{{Addr: listen(t, hang).addr, Timeout: patient}}}
	got := map[Outcome]int{}
	for _, s := range mustCollect(t, p) {
		got[s.Outcome]++
		if s.Done < brief || s.Done > patient {
			t.Errorf("%v at %v, want about %v", s.Outcome, s.Done, brief)
		}
	}
	if got[TimedOut] != 2 || got[Unsent] != 3 {
		t.Errorf("got %v, want the 2 that had a connection timed_out and 3 unsent", got)
	}
}

func TestBigRequestIsSentWhole(t *testing.T) {
	body := []byte(strings.Repeat("0123456789abcdef", 1<<18)) // 4 MiB: more than a socket takes at once
	addr := listen(t, each(func(c net.Conn, r *http.Request) bool {
		// each has read the body to its end, so the length was right.
		fmt.Fprintf(c, "HTTP/1.1 %d OK\r\nContent-Length: 0\r\n\r\n", map[bool]int{true: 200, false: 400}[r.ContentLength == int64(len(body))])
		return true
	})).addr
	for _, s := range mustCollect(t, Plan{Schedule: together(6), Run: 1, MaxConns: 2, Routes: []Route{{Addr: addr, Method: "POST", Body: body, Timeout: patient}}}) {
		if s.Outcome != OK {
			t.Errorf("got %v %d", s.Outcome, s.Status)
		}
	}
}
