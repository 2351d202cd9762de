package load

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/load/wire"
)

// serveHTTP2 is Go's server, for HTTP/2 by prior knowledge.
func serveHTTP2(t testing.TB, h http.HandlerFunc, with func(*http.Server)) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{addr: l.Addr().String()}
	s := &http.Server{Handler: h, Protocols: &http.Protocols{}, ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			p.accepted.Add(1)
		}
	}}
	s.Protocols.SetUnencryptedHTTP2(true)
	if with != nil {
		with(s)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	return p
}

// What a request says arrives, over every transport, and what the handler
// answers is the outcome.
func TestHTTP2AgainstGo(t *testing.T) {
	const n, run = 300, 7
	for _, transport := range everyTransport(t) {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			var wrong atomic.Int64
			peer := serveHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				id := r.Header.Get("X-Request-Id")
				_, ok := wire.ParseID([]byte(id), run)
				trace, okTrace := wire.ParseID([]byte(r.Header.Get("Traceparent")), run)
				want := ""
				if r.Method == "POST" {
					want = strings.Repeat("x", 100_000) + id
				}
				if err != nil || !ok || !okTrace || trace == 0 || string(body) != want || r.ProtoMajor != 2 || r.Host != "shop" ||
					r.URL.RequestURI() != "/a?b="+id || r.Header.Get("X-Long") != strings.Repeat("y", 40_000)+id {
					wrong.Add(1)
				}
				switch r.Method {
				case "POST":
					w.WriteHeader(503)
				case "PUT":
					w.Header().Set("Trailer", "X")
					w.Write(make([]byte, 3<<20)) // above the stream's window
					w.Header().Set("X", "y")
				default:
					w.WriteHeader(http.StatusEarlyHints)
					w.WriteHeader(204)
				}
			}, nil)
			long := [][2]string{{"x-long", strings.Repeat("y", 40_000) + wire.Placeholder}} // two CONTINUATIONs
			route := Route{Addr: peer.addr, Protocol: HTTP2, Host: "shop", Path: "/a?b=${id}", Headers: long, Timeout: patient}
			get, post, put, head := route, route, route, route
			post.Method, post.Body = "POST", []byte(strings.Repeat("x", 100_000)+wire.Placeholder) // above the first window
			put.Method, put.Weight = "PUT", 0.05
			head.Method = "HEAD"
			want := []int{204, 503, 200, 204}
			for _, s := range mustCollect(t, Plan{Schedule: together(n), Run: run, Transport: transport, Loops: 1, MaxConns: 2, Streams: 50, Routes: []Route{get, post, put, head}}) {
				if s.Status != want[s.Route] || s.Route == 2 && s.Received < 3<<20 {
					t.Errorf("route %d: got %v %d with %d bytes, want %d", s.Route, s.Outcome, s.Status, s.Received, want[s.Route])
				}
			}
			if wrong.Load() > 0 || peer.accepted.Load() > 2 {
				t.Errorf("%d requests came otherwise than they were meant, on %d connections", wrong.Load(), peer.accepted.Load())
			}
		})
	}
}

// BenchmarkHTTP2 tells what a request costs flat out against Go's server on the
// same machine, of the processor time of the loop's thread alone: cpu-ns/op.
func BenchmarkHTTP2(b *testing.B) {
	for _, transport := range []string{Epoll, IOURing} {
		b.Run(transport, func(b *testing.B) {
			peer := serveHTTP2(b, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }, nil)
			spent := func() time.Duration {
				var u unix.Rusage
				if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
					b.Fatal(err)
				}
				return time.Duration(u.Utime.Nano() + u.Stime.Nano())
			}
			var n int
			var first, last time.Duration
			err := Run(b.Context(), Plan{
				Closed: &Closed{Connections: 2, Requests: uint64(b.N)}, Run: 1, Loops: 1, Transport: transport, Routes: []Route{{Addr: peer.addr, Protocol: HTTP2, Timeout: patient}},
			}, time.Now(), func(_ int, s Sample) {
				if n++; n == 1 {
					first = spent()
				}
				if n == b.N {
					last = spent()
				}
				if s.Outcome != OK {
					b.Errorf("got %v", s.Outcome)
				}
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(last-first)/float64(b.N), "cpu-ns/op")
		})
	}
}

// frame is a frame made by hand.
func frame(kind, flags byte, stream uint32, payload string) string {
	n := len(payload)
	head := []byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
	return string(binary.BigEndian.AppendUint32(head, stream)) + payload
}

func number(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

func setting(id uint16, value uint32) string {
	return string(binary.BigEndian.AppendUint16(nil, id)) + number(value)
}

// Frames as a server sends them. Flags: 1 ends the stream or is an ack, 4 ends
// the header block, 8 is padded, 0x20 has a priority.
const (
	data, headers, priority, reset, settings, push, ping, goAway, windowUpdate, continuation = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9

	status200, status404, status500 = "\x88", "\x8d", "\x8e" // of the static table
	statusLiteral                   = "\x08\x03"             // three digits follow
	statusRemembered                = "\x48\x03"
	date                            = "\x0f\x12\x03now" // date: now, not to be remembered
)

var noSettings = frame(settings, 0, 0, "")

// asked calls answer for each frame that begins a request, until it returns
// false, and passes what came of it; other frames are only read. The peer's
// settings are answered by first.
func asked(first string, answer func(c net.Conn, stream uint32) bool) func(net.Conn) {
	return frames(first, func(c net.Conn, kind, _ byte, stream uint32, _ string) bool {
		return kind != headers || answer(c, stream)
	})
}

// frames calls each for every frame of a client.
func frames(first string, each func(c net.Conn, kind, flags byte, stream uint32, payload string) bool) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, first)
		if _, err := io.ReadFull(c, make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
			return
		}
		for {
			var head [9]byte
			if _, err := io.ReadFull(c, head[:]); err != nil {
				return
			}
			payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
			if _, err := io.ReadFull(c, payload); err != nil || !each(c, head[3], head[4], binary.BigEndian.Uint32(head[5:]), string(payload)) {
				return
			}
		}
	}
}

// replies answers every request by frames; those on stream 1 go to the
// request's.
func replies(text ...string) func(net.Conn) {
	return asked(noSettings, func(c net.Conn, stream uint32) bool {
		_, err := io.WriteString(c, onStream(stream, text...))
		return err == nil
	})
}

func onStream(stream uint32, text ...string) string {
	var out strings.Builder
	for _, f := range text {
		if len(f) >= 9 && f[5:9] == number(1) {
			f = f[:5] + number(stream) + f[9:]
		}
		out.WriteString(f)
	}
	return out.String()
}

func TestHTTP2Outcomes(t *testing.T) {
	transports := everyTransport(t)
	okHead, okAll := frame(headers, 4, 1, status200), frame(headers, 5, 1, status200)
	end := frame(data, 1, 1, "end")
	thenHang := func(text ...string) func(net.Conn) {
		return asked(noSettings, func(c net.Conn, stream uint32) bool {
			io.WriteString(c, onStream(stream, text...))
			hang(c)
			return false
		})
	}
	thenClose := func(text ...string) func(net.Conn) {
		return asked(noSettings, func(c net.Conn, stream uint32) bool {
			io.WriteString(c, onStream(stream, text...))
			return false
		})
	}
	endless := func(head, part string) func(net.Conn) {
		return asked(noSettings, func(c net.Conn, stream uint32) bool {
			go io.Copy(io.Discard, c) // what it makes us answer
			_, err := io.WriteString(c, onStream(stream, head))
			for parts := strings.Repeat(onStream(stream, part), 100); err == nil; {
				_, err = io.WriteString(c, parts)
			}
			return false
		})
	}
	byteByByte := func(text ...string) func(net.Conn) {
		return asked("", func(c net.Conn, stream uint32) bool {
			if stream == 1 {
				io.WriteString(c, noSettings)
			}
			for _, b := range []byte(onStream(stream, text...)) {
				if _, err := c.Write([]byte{b}); err != nil {
					return false
				}
			}
			return true
		})
	}

	for _, tt := range []struct {
		name    string
		serve   func(net.Conn)
		grpc    bool
		timeout time.Duration // 0 means patient
		outcome Outcome
		status  int
	}{
		{name: "head alone", serve: replies(okAll), outcome: OK, status: 200},
		{name: "head and body", serve: replies(okHead, frame(data, 0, 1, "some"), end), outcome: OK, status: 200},
		{name: "empty last frame", serve: replies(okHead, frame(data, 0, 1, "some"), frame(data, 1, 1, "")), outcome: OK, status: 200},
		{name: "trailers", serve: replies(okHead, frame(data, 0, 1, "some"), frame(headers, 5, 1, date)), outcome: OK, status: 200},
		{name: "trailers that are empty", serve: replies(okHead, frame(headers, 5, 1, "")), outcome: OK, status: 200},
		{name: "not found", serve: replies(frame(headers, 5, 1, status404+date)), outcome: ClientError, status: 404},
		{name: "unavailable, remembered again and again", serve: replies(frame(headers, 5, 1, statusRemembered+"503")), outcome: ServerError, status: 503},
		{name: "literal", serve: replies(frame(headers, 5, 1, statusLiteral+"429")), outcome: ClientError, status: 429},
		{name: "interim responses", serve: replies(frame(headers, 4, 1, statusLiteral+"100"), frame(headers, 4, 1, statusLiteral+"103"+date), okHead, end), outcome: OK, status: 200},
		{name: "padding and priority", serve: replies(frame(headers, 0x2c, 1, "\x02"+"\x00\x00\x00\x00\x10"+status200+"\x00\x00"), frame(data, 9, 1, "\x03end\x00\x00\x00")), outcome: OK, status: 200},
		{name: "continued", serve: replies(frame(headers, 0, 1, ""), frame(continuation, 0, 1, status200), frame(continuation, 4, 1, date), end), outcome: OK, status: 200},
		{name: "continued, though it ends", serve: replies(frame(headers, 1, 1, status200), frame(continuation, 4, 1, date)), outcome: OK, status: 200},
		{name: "frames of no interest", serve: replies(frame(200, 0xff, 1, "what"), frame(priority, 0, 1, "\x00\x00\x00\x00\x10"), frame(ping, 0, 0, "12345678"), frame(ping, 1, 0, "12345678"), frame(settings, 1, 0, ""), frame(windowUpdate, 0, 0, number(9)), frame(windowUpdate, 0, 1, number(9)), okHead, end), outcome: OK, status: 200},
		{name: "byte by byte", serve: byteByByte(frame(headers, 0, 1, status200), frame(continuation, 4, 1, date), frame(200, 0, 0, "what"), frame(data, 8, 1, "\x01some\x00"), end), outcome: OK, status: 200},
		{name: "body beyond the windows", serve: replies(slices.Concat([]string{okHead}, slices.Repeat([]string{frame(data, 0, 1, strings.Repeat("x", wire.MaxFrame))}, 2*streamWindow/wire.MaxFrame), []string{end})...), outcome: OK, status: 200}, // does no harm
		{name: "settings change between", serve: replies(frame(settings, 0, 0, setting(3, 7)+setting(4, 0)+setting(99, 1)), okHead, end), outcome: OK, status: 200},

		{name: "reset", serve: replies(frame(reset, 0, 1, number(2))), outcome: Reset},
		{name: "refused stream, always", serve: replies(frame(reset, 0, 1, number(7))), outcome: Reset},
		{name: "refused stream that has a head", serve: replies(okHead, frame(reset, 0, 1, number(7))), outcome: Reset},
		{name: "reset within the body", serve: replies(okHead, frame(data, 0, 1, "some"), frame(reset, 0, 1, number(0))), outcome: Reset},
		{name: "going away, always", serve: replies(frame(goAway, 0, 0, number(0)+number(0)+"bye")), outcome: Reset},
		{name: "closed at once", serve: func(net.Conn) {}, outcome: Reset},
		{name: "closed after settings", serve: thenClose(), outcome: Reset},
		{name: "closed within the head", serve: thenClose(okHead[:9]), outcome: Reset},
		{name: "closed within the body", serve: thenClose(okHead, end[:10]), outcome: Reset},

		{name: "no answer", serve: thenHang(), timeout: brief, outcome: TimedOut},
		{name: "not even settings", serve: hang, timeout: brief, outcome: TimedOut},
		{name: "half a head", serve: thenHang(frame(headers, 4, 1, status200+date)[:12]), timeout: brief, outcome: TimedOut},
		{name: "head alone, without end", serve: thenHang(okHead), timeout: brief, outcome: TimedOut},
		{name: "endless body", serve: endless(okHead, frame(data, 0, 1, strings.Repeat("x", 1000))), timeout: brief, outcome: TimedOut}, // its windows are opened as it is read
		{name: "endless empty frames", serve: endless(okHead, frame(data, 0, 1, "")), timeout: brief, outcome: TimedOut},
		{name: "only interim responses", serve: endless("", frame(headers, 4, 1, statusLiteral+"100")), timeout: brief, outcome: TimedOut},

		{name: "HTTP/1.1", serve: func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); hang(c) }, outcome: Malformed},
		{name: "answer before settings", serve: func(c net.Conn) { io.WriteString(c, okAll+noSettings); hang(c) }, outcome: Malformed},
		{name: "ack before settings", serve: func(c net.Conn) { io.WriteString(c, frame(settings, 1, 0, "")); hang(c) }, outcome: Malformed},
		{name: "body before head", serve: replies(end), outcome: Malformed},
		{name: "no status", serve: replies(frame(headers, 5, 1, date)), outcome: Malformed},
		{name: "status that is none", serve: replies(frame(headers, 5, 1, statusLiteral+"2x0")), outcome: Malformed},
		{name: "interim response that ends", serve: replies(frame(headers, 5, 1, statusLiteral+"100")), outcome: Malformed},
		{name: "switching protocols", serve: replies(frame(headers, 4, 1, statusLiteral+"101"), okAll), outcome: Malformed},
		{name: "two heads", serve: replies(okHead, okHead, end), outcome: Malformed},
		{name: "trailers with a status", serve: replies(okHead, okAll), outcome: Malformed},
		{name: "trailers that do not end", serve: replies(okHead, frame(headers, 4, 1, date), end), outcome: Malformed},
		{name: "header block", serve: replies(frame(headers, 5, 1, "\xff")), outcome: Malformed},
		{name: "header index out of range", serve: replies(frame(headers, 5, 1, "\xfe")), outcome: Malformed},
		{name: "frame too large", serve: replies("\x00\x40\x01" + frame(data, 0, 1, "")[3:]), outcome: Malformed},
		{name: "padding too long", serve: replies(okHead, frame(data, 8, 1, "\x04end")), outcome: Malformed},
		{name: "push", serve: replies(frame(push, 4, 1, number(2)+status200)), outcome: Malformed},
		{name: "endless head", serve: endless(frame(headers, 0, 1, status200), frame(continuation, 0, 1, date)), outcome: TooLarge},
		{name: "endless head without content", serve: endless(frame(headers, 0, 1, status200), frame(continuation, 0, 1, "")), outcome: TooLarge},
		{name: "head not continued", serve: replies(frame(headers, 0, 1, status200), end), outcome: Malformed},
		{name: "continued on another stream", serve: replies(frame(headers, 0, 1, status200), frame(continuation, 4, 3001, "")), outcome: Malformed},
		{name: "continues nothing", serve: replies(frame(continuation, 4, 1, status200)), outcome: Malformed},
		{name: "stream nobody asked for", serve: replies(frame(headers, 5, 3001, status200)), outcome: Malformed},
		{name: "stream of the server", serve: replies(frame(headers, 5, 2, status200)), outcome: Malformed},
		{name: "reset of a stream to come", serve: replies(frame(reset, 0, 3001, number(8))), outcome: Malformed},
		{name: "window of a stream to come", serve: replies(frame(windowUpdate, 0, 3001, number(8))), outcome: Malformed},
		{name: "window by nothing", serve: replies(frame(windowUpdate, 0, 0, number(0))), outcome: Malformed},
		{name: "window too large", serve: replies(frame(windowUpdate, 0, 0, number(1<<31-1))), outcome: Malformed},
		{name: "stream window too large", serve: replies(frame(windowUpdate, 0, 1, number(1<<31-1))), outcome: Malformed},
		{name: "first window too large", serve: replies(frame(settings, 0, 0, setting(4, 1<<31))), outcome: Malformed},
		{name: "settings on a stream", serve: replies(frame(settings, 0, 1, "")), outcome: Malformed},
		{name: "settings cut off", serve: replies(frame(settings, 0, 0, "12345")), outcome: Malformed},
		{name: "ping too short", serve: replies(frame(ping, 0, 0, "1234567")), outcome: Malformed},
		{name: "endless pings", serve: endless("", frame(ping, 0, 0, "12345678")), outcome: Malformed},
		{name: "endless settings", serve: endless("", noSettings), outcome: Malformed},

		{name: "call", grpc: true, serve: replies(okHead, frame(data, 0, 1, "\x00\x00\x00\x00\x00"), frame(headers, 5, 1, grpcStatus("0"))), outcome: OK, status: 200},
		{name: "call, trailers alone", grpc: true, serve: replies(frame(headers, 5, 1, status200+grpcStatus("5"))), outcome: ClientError, status: 404},
		{name: "call, unavailable", grpc: true, serve: replies(okHead, frame(headers, 5, 1, date+grpcStatus("14"))), outcome: ServerError, status: 503},
		{name: "call, deadline exceeded", grpc: true, serve: replies(okHead, frame(headers, 5, 1, grpcStatus("4"))), outcome: ServerError, status: 504},
		{name: "call, status unknown to gRPC", grpc: true, serve: replies(okHead, frame(headers, 5, 1, grpcStatus("77"))), outcome: ServerError, status: 500},
		{name: "call answered by a proxy", grpc: true, serve: replies(frame(headers, 4, 1, statusLiteral+"502"), end), outcome: ServerError, status: 502},
		{name: "call without a message", grpc: true, serve: replies(frame(headers, 5, 1, status200+grpcStatus("0"))), outcome: Malformed},
		{name: "call with half a message", grpc: true, serve: replies(okHead, frame(data, 0, 1, "\x00\x00\x00\x00\x03ab"), frame(headers, 5, 1, grpcStatus("0"))), outcome: Malformed},
		{name: "call with two messages", grpc: true, serve: replies(okHead, frame(data, 0, 1, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), frame(headers, 5, 1, grpcStatus("0"))), outcome: Malformed},
		{name: "call in pieces", grpc: true, serve: replies(okHead, frame(data, 0, 1, "\x00\x00\x00"), frame(data, 8, 1, "\x02\x00\x03ab\x00\x00"), frame(data, 0, 1, "c"), frame(headers, 5, 1, grpcStatus("0"))), outcome: OK, status: 200},
		{name: "call without status", grpc: true, serve: replies(okHead, end), outcome: Malformed},
		{name: "call with a status that is none", grpc: true, serve: replies(okHead, frame(headers, 5, 1, grpcStatus("OK"))), outcome: Malformed},
		{name: "call with a status too early", grpc: true, serve: replies(frame(headers, 4, 1, status200+grpcStatus("0")), end), outcome: Malformed},
	} {
		for _, transport := range transports {
			t.Run(tt.name+"/"+transport, func(t *testing.T) {
				t.Parallel()
				route := Route{Addr: listen(t, tt.serve).addr, Protocol: HTTP2, Timeout: tt.timeout}
				if tt.grpc {
					route.Protocol = GRPC
				}
				if tt.timeout == 0 {
					route.Timeout = patient
				}
				// Each on a connection of its own: what else would be lost with it is
				// another test's matter.
				const n = 5
				for _, s := range mustCollect(t, Plan{Schedule: together(n), Run: 1, Transport: transport, Streams: 1, MaxConns: 2, Grace: patient, Routes: []Route{route}}) {
					if s.Outcome != tt.outcome || s.Status != tt.status {
						t.Errorf("arrival %d: got %v %d, want %v %d", s.ID, s.Outcome, s.Status, tt.outcome, tt.status)
					}
				}
			})
		}
	}
}

// grpcStatus is that field, as a literal.
func grpcStatus(value string) string {
	return "\x00\x0bgrpc-status" + string(rune(len(value))) + value
}
