package load

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// literal is a field that is not to be remembered, by Huffman or not as hpack
// finds shorter.
func literal(name, value string) string {
	var out strings.Builder
	// It is a strings.Builder: it takes all.
	_ = hpack.NewEncoder(&out).WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: true})
	return out.String()
}

// Over HTTP/2 an answer is judged by the checks of its own route as over
// HTTP/1.1, however it was sent, and keeps its status.
func TestHTTP2ChecksOnTheWire(t *testing.T) {
	const right = `{"state":"ready"}`
	head := func(flags byte, fields string) string { return frame(headers, flags, 1, fields) }
	body := func(flags byte, text string) string { return frame(data, flags, 1, text) }
	long := func(n int) (frames []string) {
		for ; n > 0; n -= min(n, 16<<10) {
			frames = append(frames, body(0, strings.Repeat(" ", min(n, 16<<10))))
		}
		return frames
	}
	x := literal("x", "1")
	transports := everyTransport(t)
	for _, tt := range []struct {
		name    string
		answer  []string
		outcome Outcome
		status  int
	}{
		{"in one", []string{head(4, status200+x), body(1, right)}, OK, 200},
		{"in pieces and padding", []string{head(0, statusLiteral+"201"), frame(continuation, 4, 1, x), body(8, "\x03"+right[:9]+"\x00\x00\x00"), body(0, right[9:]), body(1, "")}, OK, 201},
		{"with trailers", []string{head(4, status200+x), body(0, right), head(5, date)}, OK, 200},
		{"after an interim response", []string{head(4, statusLiteral+"103"+literal("y", "1")), head(4, status200+x), body(1, right)}, OK, 200},
		{"only the interim response has it", []string{head(4, statusLiteral+"103"+x), head(4, status200), body(1, right)}, Wrong, 200},
		{"only the trailers have it", []string{head(4, status200), body(0, right), head(5, x)}, Wrong, 200},
		{"wrong status", []string{head(4, statusLiteral+"503"+x), body(1, right)}, Wrong, 503},
		{"wrong header", []string{head(4, status200+literal("y", "1")), body(1, right)}, Wrong, 200},
		{"wrong body", []string{head(4, status200+x), body(1, "{}")}, Wrong, 200},
		{"no body", []string{head(5, statusLiteral+"204"+x)}, Wrong, 204},
		{"longer than is kept", append(append([]string{head(4, status200+x)}, long(maxBody)...), body(1, right)), Wrong, 200},
		{"as long as is kept", append(append([]string{head(4, status200+x)}, long(maxBody-len(right))...), body(1, right)), OK, 200},
		{"reset in the body", []string{head(4, status200+x), body(0, right), frame(reset, 0, 1, number(2))}, Reset, 0},
		{"fields without end", []string{head(5, status200+strings.Repeat("\x90", 10_000))}, TooLarge, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checks := []Check{{Want: "2xx"}, {Of: CheckHeader, Name: "X", Test: Equals, Want: "1"}, {Of: CheckJSON, Name: "$.state", Want: "ready"}}
			addr := listen(t, func(c net.Conn) {
				requests := hpack.NewDecoder(4096, nil)
				frames(noSettings, func(c net.Conn, kind, _ byte, stream uint32, payload string) bool {
					if kind != headers {
						return true
					}
					answer := tt.answer
					fields, err := requests.DecodeFull([]byte(payload))
					if err != nil {
						return false
					}
					if slices.ContainsFunc(fields, func(f hpack.HeaderField) bool { return f.Value == "/plain" }) {
						answer = []string{frame(headers, 4, 1, status200), frame(data, 1, 1, "no")}
					}
					_, err = io.WriteString(c, onStream(stream, answer...))
					return err == nil
				})(c)
			}).addr
			plain := h2(addr)
			plain.Path = "/plain"
			checked := h2(addr)
			checked.Checks = checks
			streams := 3
			if tt.outcome == Malformed {
				streams = 1 // the connection is lost with it
			}
			for _, transport := range transports {
				for i, s := range mustCollect(t, Plan{Schedule: together(20), Run: 1, Loops: 1, MaxConns: 2, Streams: streams, Transport: transport, InOrder: true, Routes: []Route{checked, plain}}) {
					outcome, status := tt.outcome, tt.status
					if i%2 == 1 {
						outcome, status = OK, 200
					}
					if s.Route != i%2 || s.Outcome != outcome || s.Status != status {
						t.Errorf("%s: arrival %d: got route %d, %v %d, want %d, %v %d", transport, s.ID, s.Route, s.Outcome, s.Status, i%2, outcome, status)
					}
				}
			}
		})
	}
}

// A body without end is cut by time, though it is checked.
func TestHTTP2CheckOfAnEndlessBody(t *testing.T) {
	route := h2(listen(t, asked(noSettings, func(c net.Conn, stream uint32) bool {
		go io.Copy(io.Discard, c)
		_, err := io.WriteString(c, frame(headers, 4, stream, status200))
		for err == nil {
			_, err = io.WriteString(c, frame(data, 0, stream, strings.Repeat("x", 10_000)))
		}
		return false
	})).addr)
	route.Timeout, route.Checks = brief, []Check{{Of: CheckBody, Test: Contains, Want: "y"}}
	for _, s := range mustCollect(t, Plan{Schedule: together(2), Run: 1, Routes: []Route{route}}) {
		if s.Outcome != TimedOut {
			t.Errorf("got %v, want timed_out", s.Outcome)
		}
	}
}

// The answer to a call is judged by its message, by its headers wherever they
// stand, and by the status that stands for the call's.
func TestGRPCChecks(t *testing.T) {
	peer := serveHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Early", "1")
		if r.URL.Path == "/a.B/Refuse" {
			w.Header().Set("Grpc-Status", "5")
			return
		}
		w.Header().Set("Trailer", "Grpc-Status, Late")
		io.WriteString(w, "\x00\x00")
		w.(http.Flusher).Flush()
		io.WriteString(w, "\x00\x00\x05rea")
		w.(http.Flusher).Flush()
		io.WriteString(w, "dy")
		w.Header().Set("Grpc-Status", "0")
		w.Header().Set("Late", "2")
	}, nil)
	for _, tt := range []struct {
		path    string
		checks  []Check
		outcome Outcome
		status  int
	}{
		{"/a.B/C", []Check{{Want: "200"}, {Of: CheckHeader, Name: "early", Want: "1"}, {Of: CheckHeader, Name: "Late", Want: "2"}, {Of: CheckBody, Test: Matches, Want: "^ready$"}}, OK, 200},
		{"/a.B/C", []Check{{Of: CheckBody, Test: Contains, Want: "\x00"}}, Wrong, 200}, // what frames the message is none of it
		{"/a.B/C", []Check{{Of: CheckHeader, Name: "early", Want: "2"}}, Wrong, 200},
		{"/a.B/C", []Check{{Want: "404"}}, Wrong, 200},
		{"/a.B/Refuse", []Check{{Want: "404"}, {Of: CheckHeader, Name: "grpc-status", Want: "5"}}, ClientError, 404},
		{"/a.B/Refuse", []Check{{Want: "200"}}, Wrong, 404},
		{"/a.B/Refuse", []Check{{Of: CheckBody, Test: Contains, Want: "ready"}}, Wrong, 404},
	} {
		for _, s := range mustCollect(t, Plan{Schedule: together(10), Run: 1, Loops: 1, MaxConns: 1, Routes: []Route{{Addr: peer.addr, Protocol: GRPC, Path: tt.path, Checks: tt.checks, Timeout: patient}}}) {
			if s.Outcome != tt.outcome || s.Status != tt.status {
				t.Errorf("%s %+v: got %v %d, want %v %d", tt.path, tt.checks, s.Outcome, s.Status, tt.outcome, tt.status)
			}
		}
	}
}

// A call can give the next what its answer says, in headers and in the message.
func TestGRPCChain(t *testing.T) {
	peer := serveHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "Grpc-Status, Late")
		io.WriteString(w, "\x00\x00\x00\x00\x08<token7>")
		w.Header().Set("Late", "2")
		w.Header().Set("Grpc-Status", map[bool]string{true: "0", false: "13"}[r.URL.Path == "/a.B/First" || string(body) == "\x00\x00\x00\x00\x06token7" && r.Header.Get("Late") == "2"])
	}, nil)
	got := chain(t, Plan{Schedule: together(10), Run: 1, Loops: 1, Routes: []Route{{Addr: peer.addr, Protocol: GRPC, Path: "/a.B/First", Timeout: patient, Then: []Step{
		{Path: "/a.B/Second", Headers: [][2]string{{"late", "${prev.header:late}"}}, Body: []byte("${prev.body~<(.*)>}"), Timeout: patient},
	}}}})
	for key, s := range got {
		if s.Outcome != OK {
			t.Errorf("arrival %d, step %d: %v %d", key[0], key[1], s.Outcome, s.Status)
		}
	}
	if len(got) != 20 {
		t.Errorf("%d calls observed, want 20", len(got))
	}
}
