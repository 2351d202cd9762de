package reference

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
)

// h2cTransport is the client of Go's own, which knows that HTTP/2 is spoken.
func h2cTransport(t *testing.T) *http.Transport {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// peer speaks HTTP/2 frame by frame.
type peer struct {
	t       *testing.T
	conn    net.Conn
	read    []byte
	block   bytes.Buffer
	encoder *hpack.Encoder
	decoder *hpack.Decoder
}

// newPeer connects and greets with these settings, pairs of a key and a value.
func newPeer(t *testing.T, url string, settings ...uint32) *peer {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	p := &peer{t: t, conn: conn, decoder: hpack.NewDecoder(4096, nil)}
	p.encoder = hpack.NewEncoder(&p.block)
	p.send(append([]byte(preface), appendSettings(nil, settings...)...))
	p.expect("SETTINGS", "WINDOW_UPDATE 0 by 16711681", "SETTINGS ack")
	return p
}

func (p *peer) send(frames ...[]byte) {
	// An error is that of a peer who hung up, which expect tells more of.
	_, _ = p.conn.Write(bytes.Join(frames, nil))
}

// fields encodes pairs of a name and a value.
func (p *peer) fields(pairs ...string) []byte {
	p.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		_ = p.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return bytes.Clone(p.block.Bytes())
}

func (p *peer) get(path string, more ...string) []byte {
	return p.fields(append([]string{":method", "GET", ":scheme", "http", ":authority", "x", ":path", path}, more...)...)
}

func (p *peer) post(path string, more ...string) []byte {
	return p.fields(append([]string{":method", "POST", ":scheme", "http", ":authority", "x", ":path", path}, more...)...)
}

// next returns the next frame in words, or how the connection ended.
func (p *peer) next() string {
	for {
		f, rest, ok, err := cutFrame(p.read)
		if err != nil {
			return err.Error()
		}
		if ok {
			words := p.words(&f)
			p.read = bytes.Clone(rest)
			return words
		}
		buffer := make([]byte, 64<<10)
		n, err := p.conn.Read(buffer)
		if err == io.EOF {
			return "EOF"
		}
		if err != nil {
			return err.Error()
		}
		p.read = append(p.read, buffer[:n]...)
	}
}

func (p *peer) words(f *frame) string {
	number := func(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
	ending := map[bool]string{true: " end"}[f.has(flagEndStream)]
	switch f.kind {
	case frameData:
		if len(f.payload) > 10 {
			return fmt.Sprintf("DATA %d of %d%s", f.stream, len(f.payload), ending)
		}
		return fmt.Sprintf("DATA %d %q%s", f.stream, f.payload, ending)
	case frameHeaders:
		fields, err := p.decoder.DecodeFull(f.payload)
		if err != nil {
			return err.Error()
		}
		words := fmt.Sprintf("HEADERS %d", f.stream)
		for _, field := range fields {
			if field.Name != "date" && field.Name != "content-type" {
				words += " " + strings.TrimPrefix(field.Name, ":") + "=" + field.Value
			}
		}
		return words + ending
	case frameReset:
		return fmt.Sprintf("RST_STREAM %d %#x", f.stream, number(f.payload))
	case frameSettings:
		return "SETTINGS" + map[bool]string{true: " ack"}[f.has(flagAck)]
	case framePing:
		return fmt.Sprintf("PING %s", f.payload)
	case frameGoAway:
		return fmt.Sprintf("GOAWAY after %d %#x", number(f.payload), number(f.payload[4:]))
	case frameWindowUpdate:
		return fmt.Sprintf("WINDOW_UPDATE %d by %d", f.stream, number(f.payload))
	}
	return fmt.Sprintf("kind %d", f.kind)
}

func (p *peer) expect(want ...string) {
	p.t.Helper()
	for i, want := range want {
		if got := p.next(); got != want {
			p.t.Fatalf("answer %d: got %s, want %s", i, got, want)
		}
	}
}

func frameOf(kind frameKind, flags uint8, stream uint32, payload ...[]byte) []byte {
	whole := bytes.Join(payload, nil)
	return append(appendFrameHeader(nil, len(whole), kind, flags, stream), whole...)
}

func ping(text string) []byte { return frameOf(framePing, 0, 0, []byte(text)) }

const endBoth = flagEndHeaders | flagEndStream

func TestH2CAnswersWhatIsLegal(t *testing.T) {
	url := serving(t, "dependency", Config{With: map[string]string{"body": "5B"}})
	u32 := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	const answer1, body1 = "HEADERS 1 status=200 content-length=5", `DATA 1 "okoko" end`
	tests := []struct {
		name   string
		frames func(p *peer) [][]byte
		want   []string
	}{
		{"many at once", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, endBoth, 1, p.get("/")), frameOf(frameHeaders, endBoth, 3, p.get("/", "x-a", "1")), frameOf(frameHeaders, endBoth, 5, p.get("/", "x-a", "1"))}
		}, []string{answer1, body1, "HEADERS 3 status=200 content-length=5", `DATA 3 "okoko" end`, "HEADERS 5 status=200 content-length=5", `DATA 5 "okoko" end`}},
		{"padding and priority", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, endBoth|flagPadded|flagPriority, 1, []byte{3}, u32(0), []byte{16}, p.get("/"), []byte("pad")), frameOf(framePriority, 0, 1, u32(0), []byte{1})}
		}, []string{answer1, body1}},
		{"header in three frames", func(p *peer) [][]byte {
			b := p.get("/", "x-long", strings.Repeat("v", 100))
			return [][]byte{frameOf(frameHeaders, flagEndStream, 1, b[:3]), frameOf(frameContinuation, 0, 1, b[3:10]), frameOf(frameContinuation, flagEndHeaders, 1, b[10:])}
		}, []string{answer1, body1}},
		{"body and trailers", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, flagEndHeaders, 1, p.post("/", "content-length", "4")), frameOf(frameData, flagPadded, 1, []byte("\x02bodyXX")), frameOf(frameHeaders, endBoth, 1, p.fields("x-sum", "7"))}
		}, []string{answer1, body1}},
		{"100-continue", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, flagEndHeaders, 1, p.post("/", "expect", "100-continue")), frameOf(frameData, flagEndStream, 1)}
		}, []string{"HEADERS 1 status=100", answer1, body1}},
		{"HEAD", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, endBoth, 1, p.fields(":method", "HEAD", ":scheme", "http", ":path", "/"))}
		}, []string{answer1 + " end"}},
		{"kinds and settings nobody knows", func(p *peer) [][]byte {
			return [][]byte{frameOf(0x77, 0xff, 9, []byte("?")), appendSettings(nil, 0x99, 1), frameOf(frameGoAway, 0, 0, u32(0), u32(0)), frameOf(frameHeaders, endBoth, 1, p.get("/"))}
		}, []string{"SETTINGS ack", answer1, body1}},
		{"a table that the peer does not want", func(p *peer) [][]byte {
			p.decoder.SetAllowedMaxDynamicTableSize(0)
			return [][]byte{appendSettings(nil, settingTableSize, 0), frameOf(frameHeaders, endBoth, 1, p.get("/"))}
		}, []string{"SETTINGS ack", answer1, body1}},
		{"windows", func(p *peer) [][]byte {
			return [][]byte{
				appendSettings(nil, settingInitialWindow, 0), frameOf(frameHeaders, endBoth, 1, p.get("/")), // 0 allowed
				appendWindowUpdate(nil, 1, 2),                // 2
				appendSettings(nil, settingInitialWindow, 1), // 1 more
				appendSettings(nil, settingInitialWindow, 0), // and taken back: −1
				appendWindowUpdate(nil, 1, 1),                // 0
				appendWindowUpdate(nil, 1, 9),                // the rest
			}
		}, []string{"SETTINGS ack", "HEADERS 1 status=200 content-length=5", `DATA 1 "ok"`, "SETTINGS ack", `DATA 1 "o"`, "SETTINGS ack", `DATA 1 "ko" end`}},
		{"reset of a blocked answer", func(p *peer) [][]byte {
			return [][]byte{appendSettings(nil, settingInitialWindow, 0), frameOf(frameHeaders, endBoth, 1, p.get("/")), appendReset(nil, 1, 8), appendWindowUpdate(nil, 1, 9), appendWindowUpdate(nil, 0, 9)}
		}, []string{"SETTINGS ack", "HEADERS 1 status=200 content-length=5"}},

		// Requests that are wrong, on a connection that is not.
		{"no path", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, endBoth, 1, p.fields(":method", "GET", ":scheme", "http"))}
		}, []string{"RST_STREAM 1 0x1"}},
		{"a path of two lines", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, endBoth, 1, p.get("/a\r\nb"))}
		}, []string{"RST_STREAM 1 0x1"}},
		{"path twice", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, endBoth, 1, p.fields(":path", "/", ":method", "GET", ":scheme", "http", ":path", "/"))}
		}, []string{"RST_STREAM 1 0x1"}},
		{"pseudo-header after others", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, endBoth, 1, p.fields(":method", "GET", ":scheme", "http", "a", "b", ":path", "/"))}
		}, []string{"RST_STREAM 1 0x1"}},
		{"upper case", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, endBoth, 1, p.get("/", "X-A", "b"))}
		}, []string{"RST_STREAM 1 0x1"}},
		{"connection header", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, endBoth, 1, p.get("/", "connection", "close"))}
		}, []string{"RST_STREAM 1 0x1"}},
		{"a TE of HTTP/1.1", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, endBoth, 1, p.get("/", "te", "trailers")), frameOf(frameHeaders, endBoth, 3, p.get("/", "te", "gzip"))}
		}, []string{answer1, body1, "RST_STREAM 3 0x1"}},
		{"body shorter than announced", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, flagEndHeaders, 1, p.post("/", "content-length", "4")), frameOf(frameData, flagEndStream, 1, []byte("abc"))}
		}, []string{"RST_STREAM 1 0x1"}},
		{"trailers that do not end", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, flagEndHeaders, 1, p.post("/")), frameOf(frameHeaders, flagEndHeaders, 1, p.fields("a", "b"))}
		}, []string{"RST_STREAM 1 0x1"}},
		{"data after the end", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, endBoth, 1, p.get("/")), frameOf(frameData, flagEndStream, 1, []byte("late"))}
		}, []string{answer1, body1, "RST_STREAM 1 0x5"}},
		{"a window that grows too large", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, flagEndHeaders, 1, p.post("/")), appendWindowUpdate(nil, 1, maxWindow)}
		}, []string{"RST_STREAM 1 0x3"}},
		{"a window that grows by nothing", func(p *peer) [][]byte {
			return [][]byte{frameOf(frameHeaders, flagEndHeaders, 1, p.post("/")), appendWindowUpdate(nil, 1, 0)}
		}, []string{"RST_STREAM 1 0x1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, url)
			// In one piece, and byte by byte: it is the same.
			frames := bytes.Join(append(test.frames(p), ping("that all")), nil)
			want := append(test.want, "PING that all")
			p.send(frames)
			p.expect(want...)

			p = newPeer(t, url)
			frames = bytes.Join(append(test.frames(p), ping("that all")), nil)
			for i := range frames {
				p.send(frames[i : i+1])
			}
			p.expect(want...)
		})
	}
}

func TestH2CEndsWhatIsMalformed(t *testing.T) {
	url := serving(t, "dependency", Config{})
	zeros := func(n int) []byte { return make([]byte, n) }
	tests := []struct {
		name  string
		frame func(p *peer) []byte
		want  string
	}{
		{"a frame too long", func(*peer) []byte { return appendFrameHeader(nil, maxFrame+1, frameData, 0, 1) }, "GOAWAY after 0 0x6"},
		{"DATA on stream 0", func(*peer) []byte { return frameOf(frameData, 0, 0) }, "GOAWAY after 0 0x1"},
		{"DATA on an idle stream", func(*peer) []byte { return frameOf(frameData, 0, 7) }, "GOAWAY after 0 0x1"},
		{"all padding", func(*peer) []byte { return frameOf(frameData, flagPadded, 1, []byte{9}) }, "GOAWAY after 0 0x1"},
		{"padding without length", func(*peer) []byte { return frameOf(frameData, flagPadded, 1) }, "GOAWAY after 0 0x6"},
		{"HEADERS on stream 0", func(p *peer) []byte { return frameOf(frameHeaders, endBoth, 0, p.get("/")) }, "GOAWAY after 0 0x1"},
		{"HEADERS on an even stream", func(p *peer) []byte { return frameOf(frameHeaders, endBoth, 2, p.get("/")) }, "GOAWAY after 0 0x1"},
		{"HEADERS with half a priority", func(p *peer) []byte { return frameOf(frameHeaders, endBoth|flagPriority, 1, zeros(4)) }, "GOAWAY after 0 0x6"},
		{"an index that does not exist", func(*peer) []byte { return frameOf(frameHeaders, endBoth, 1, []byte{0xff, 0x70}) }, "GOAWAY after 1 0x9"},
		{"half a field", func(*peer) []byte { return frameOf(frameHeaders, endBoth, 1, []byte{0x40, 5, 'a'}) }, "GOAWAY after 1 0x9"},
		{"an endless field", func(*peer) []byte {
			b := frameOf(frameHeaders, 0, 1, []byte{0x40, 1, 'a', 0x7f, 0x80, 0x80, 0x40}) // a: 2^20 bytes
			for range 20 {
				b = append(b, frameOf(frameContinuation, 0, 1, zeros(maxFrame))...)
			}
			return b
		}, "GOAWAY after 1 0x9"},
		{"a header interrupted", func(p *peer) []byte { return append(frameOf(frameHeaders, 0, 1, p.get("/")), ping("so there")...) }, "GOAWAY after 1 0x1"},
		{"a header continued elsewhere", func(p *peer) []byte {
			return append(frameOf(frameHeaders, 0, 1, p.get("/")), frameOf(frameContinuation, flagEndHeaders, 3)...)
		}, "GOAWAY after 1 0x1"},
		{"CONTINUATION of nothing", func(p *peer) []byte { return frameOf(frameContinuation, flagEndHeaders, 1, p.get("/")) }, "GOAWAY after 0 0x1"},
		{"PRIORITY on stream 0", func(*peer) []byte { return frameOf(framePriority, 0, 0, zeros(5)) }, "GOAWAY after 0 0x1"},
		{"PRIORITY of 4 bytes", func(*peer) []byte { return frameOf(framePriority, 0, 1, zeros(4)) }, "GOAWAY after 0 0x6"},
		{"RST_STREAM of 3 bytes", func(*peer) []byte { return frameOf(frameReset, 0, 1, zeros(3)) }, "GOAWAY after 0 0x6"},
		{"RST_STREAM of an idle stream", func(*peer) []byte { return appendReset(nil, 1, 8) }, "GOAWAY after 0 0x1"},
		{"SETTINGS on stream 1", func(*peer) []byte { return frameOf(frameSettings, 0, 1) }, "GOAWAY after 0 0x1"},
		{"SETTINGS of 5 bytes", func(*peer) []byte { return frameOf(frameSettings, 0, 0, zeros(5)) }, "GOAWAY after 0 0x6"},
		{"SETTINGS that acknowledge and say more", func(*peer) []byte { return frameOf(frameSettings, flagAck, 0, zeros(6)) }, "GOAWAY after 0 0x6"},
		{"ENABLE_PUSH 2", func(*peer) []byte { return appendSettings(nil, settingEnablePush, 2) }, "GOAWAY after 0 0x1"},
		{"INITIAL_WINDOW_SIZE 2^31", func(*peer) []byte { return appendSettings(nil, settingInitialWindow, 1<<31) }, "GOAWAY after 0 0x3"},
		{"MAX_FRAME_SIZE 1", func(*peer) []byte { return appendSettings(nil, settingMaxFrame, 1) }, "GOAWAY after 0 0x1"},
		{"PUSH_PROMISE", func(*peer) []byte { return frameOf(framePushPromise, 0, 1, zeros(4)) }, "GOAWAY after 0 0x1"},
		{"PING on stream 1", func(*peer) []byte { return frameOf(framePing, 0, 1, zeros(8)) }, "GOAWAY after 0 0x1"},
		{"PING of 7 bytes", func(*peer) []byte { return frameOf(framePing, 0, 0, zeros(7)) }, "GOAWAY after 0 0x6"},
		{"GOAWAY on stream 1", func(*peer) []byte { return frameOf(frameGoAway, 0, 1, zeros(8)) }, "GOAWAY after 0 0x1"},
		{"GOAWAY of 7 bytes", func(*peer) []byte { return frameOf(frameGoAway, 0, 0, zeros(7)) }, "GOAWAY after 0 0x6"},
		{"WINDOW_UPDATE of 3 bytes", func(*peer) []byte { return frameOf(frameWindowUpdate, 0, 0, zeros(3)) }, "GOAWAY after 0 0x6"},
		{"WINDOW_UPDATE by 0", func(*peer) []byte { return appendWindowUpdate(nil, 0, 0) }, "GOAWAY after 0 0x1"},
		{"WINDOW_UPDATE beyond 2^31−1", func(*peer) []byte { return appendWindowUpdate(nil, 0, maxWindow) }, "GOAWAY after 0 0x3"},
		{"WINDOW_UPDATE of an idle stream", func(*peer) []byte { return appendWindowUpdate(nil, 1, 1) }, "GOAWAY after 0 0x1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, url)
			p.send(test.frame(p))
			p.expect(test.want, "EOF")
		})
	}
	t.Run("no SETTINGS", func(t *testing.T) {
		p := newPeer(t, url)
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		p.conn = conn
		p.send([]byte(preface), ping("too soon"))
		p.expect("SETTINGS", "WINDOW_UPDATE 0 by 16711681", "GOAWAY after 0 0x1", "EOF")
	})
}

func TestH2CKeepsToItsWindows(t *testing.T) {
	// Over its stream's window, and more streams than were allowed.
	p := newPeer(t, serving(t, "dependency", Config{}))
	p.send(frameOf(frameHeaders, flagEndHeaders, 1, p.post("/")))
	for sent := 0; sent < streamWindow; sent += maxFrame {
		p.send(frameOf(frameData, 0, 1, make([]byte, maxFrame)))
	}
	p.expect("WINDOW_UPDATE 1 by 524288", "WINDOW_UPDATE 1 by 524288")
	id := uint32(3)
	for range maxStreams { // with stream 1 that is one too many
		p.send(frameOf(frameHeaders, flagEndHeaders, id, p.post("/")))
		id += 2
	}
	p.expect(fmt.Sprintf("RST_STREAM %d 0x7", id-2))
	p.send(frameOf(frameData, flagEndStream, 1))
	p.expect("HEADERS 1 status=200 content-length=2", `DATA 1 "ok" end`)
}

// A peer can reset faster than work is done, but not without end.
func TestH2CBoundsWhatWasReset(t *testing.T) {
	p := newPeer(t, serving(t, "dependency", Config{With: map[string]string{"service_time": "1m"}}))
	for i := range uint32(maxForsaken + 1) {
		p.send(frameOf(frameHeaders, endBoth, 2*i+1, p.get("/")), appendReset(nil, 2*i+1, 8))
	}
	p.expect(fmt.Sprintf("GOAWAY after %d 0xb", 2*maxForsaken+1))
}

func TestH2CProcessesWhatItsCallerHasLeft(t *testing.T) {
	url := serving(t, "dependency", Config{With: map[string]string{"service_time": "50ms"}})
	p := newPeer(t, url)
	p.send(frameOf(frameHeaders, endBoth, 1, p.get("/", "x-request-id", "reset")), appendReset(nil, 1, 8),
		frameOf(frameHeaders, endBoth, 3, p.get("/", "x-request-id", "cut off")), ping("all read"))
	p.expect("PING all read")
	p.conn.Close()
	if totals := totalsOf(t, url); totals.Requests != 0 {
		t.Errorf("processed before its service time: %+v", totals)
	}
	eventually(t, "both are processed", func() bool { return totalsOf(t, url).IDs == 2 })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !is(); time.Sleep(ms) {
		if time.Now().After(end) {
			t.Fatalf("not within 5s: %s", what)
		}
	}
}

func TestH2CWorksOnAThousandAtOnce(t *testing.T) {
	url := serving(t, "dependency", Config{With: map[string]string{"service_time": "100ms", "jitter": "20ms", "body": "100KB"}})
	transport := h2cTransport(t)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			status, _, body := fetchBy(t, transport, "POST", url+"/", "order", "X-Request-Id", strconv.Itoa(i))
			if status != 200 || len(body) != 100_000 {
				t.Errorf("request %d: got %d and %d bytes", i, status, len(body))
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took < 100*ms || took > 20*time.Second {
		t.Errorf("1000 requests of 100ms to 120ms at once took %s", took)
	}
	if totals := totalsOf(t, url); totals.IDs != 1000 || totals.Duplicates != 0 {
		t.Errorf("totals %+v, want 1000 ids", totals)
	}
}

func TestH2CRetires(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	ready, served := make(chan string, 1), make(chan error, 1)
	go func() {
		served <- Serve(ctx, "dependency", Config{Listen: "127.0.0.1:0", With: map[string]string{"service_time": "100ms"}}, func(addr string) { ready <- addr })
	}()
	url := "http://" + <-ready
	idle, busy := newPeer(t, url), newPeer(t, url)
	busy.send(frameOf(frameHeaders, endBoth, 1, busy.get("/")), ping("all read"))
	busy.expect("PING all read")
	stop()
	idle.expect("GOAWAY after 0 0x0", "EOF")
	busy.expect("GOAWAY after 1 0x0")
	busy.send(frameOf(frameHeaders, endBoth, 3, busy.get("/"))) // too late: unanswered
	busy.expect("HEADERS 1 status=200 content-length=2", `DATA 1 "ok" end`, "EOF")
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestH2CIsSpokenByOthers(t *testing.T) {
	tests := []struct {
		program string
		args    []string
		want    string
	}{
		{"curl", []string{"-sS", "--http2-prior-knowledge", "-w", " %{http_version} %{http_code}", "-d", strings.Repeat("x", 100_000)}, `okoko 2 200$`},
		{"h2load", []string{"-n", "100000", "-c", "4", "-m", "100"}, `100000 succeeded, 0 failed, 0 errored, 0 timeout`},
		{"h2load", []string{"-n", "1000", "-c", "2", "-m", "10", "-w", "10", "-W", "12", "-d", "h2c_test.go"}, `1000 succeeded, 0 failed, 0 errored, 0 timeout`}, // windows of 2^10−1 and 2^12−1
	}
	url := serving(t, "dependency", Config{With: map[string]string{"body": "5B"}})
	for _, test := range tests {
		if _, err := exec.LookPath(test.program); err != nil {
			t.Logf("%s is not installed", test.program)
			continue
		}
		out, err := exec.CommandContext(t.Context(), test.program, append(test.args, url+"/")...).CombinedOutput()
		if err != nil || !regexp.MustCompile(test.want).Match(out) {
			t.Errorf("%s %.60q: %v, said:\n%s\nwant %s", test.program, test.args, err, out, test.want)
		}
	}
}

// sink is a connection that takes everything and never says anything.
type sink struct {
	net.Conn
	took int
}

func (s *sink) Write(b []byte) (int, error)       { s.took += len(b); return len(b), nil }
func (s *sink) Close() error                      { return nil }
func (s *sink) SetReadDeadline(t time.Time) error { return nil }

// However the bytes are cut, they are answered alike, and never with a panic.
func FuzzH2C(f *testing.F) {
	p := &peer{}
	p.encoder = hpack.NewEncoder(&p.block)
	f.Add(appendSettings(nil, settingInitialWindow, 3), uint8(5))
	f.Add(frameOf(frameHeaders, endBoth, 1, p.get("/?status=503&retry_after=1", "x-request-id", "a")), uint8(9))
	f.Add(bytes.Join([][]byte{frameOf(frameHeaders, flagEndHeaders, 1, p.post("/", "content-length", "4")), frameOf(frameData, flagPadded, 1, []byte("\x02bodyXX")), frameOf(frameHeaders, endBoth, 1, p.fields("x-sum", "7"))}, nil), uint8(20))
	f.Add(bytes.Join([][]byte{frameOf(frameHeaders, flagEndStream, 1, p.get("/")[:3]), frameOf(frameContinuation, flagEndHeaders, 1)}, nil), uint8(1))
	f.Add(bytes.Join([][]byte{ping("12345678"), appendReset(nil, 1, 8), appendWindowUpdate(nil, 0, 9), appendGoAway(nil, 1, 1, "?")}, nil), uint8(3))
	d := newDependency(&dependencySettings{body: 5, remember: 1000, idHeader: "X-Request-Id"})
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		b = append(appendSettings(nil), b...)
		handle := func(piece int) (took int, err error) {
			conn := new(sink)
			c := newH2C(d, conn)
			for used, to := 0, 0; to < len(b) && err == nil; {
				to = min(to+piece, len(b))
				var n int
				n, err = c.handle(b[used:to])
				used += n
			}
			if len(c.streams) > maxStreams+maxForsaken || len(c.blocked) > len(c.streams) {
				t.Errorf("%d streams, %d blocked", len(c.streams), len(c.blocked))
			}
			c.abandon()
			c.finisher.Wait()
			return conn.took, err
		}
		whole, wholeErr := handle(len(b))
		parts, partsErr := handle(1 + int(piece))
		var fault connectionError
		if wholeErr != nil && !errors.As(wholeErr, &fault) || fmt.Sprint(wholeErr) != fmt.Sprint(partsErr) {
			t.Errorf("%q: at once %v, in parts %v", b, wholeErr, partsErr)
		}
		if whole != parts && !bytes.Contains(b, []byte("delay")) && !bytes.Contains(b, []byte("effects")) {
			t.Errorf("%q: answered with %d bytes at once, %d in parts", b, whole, parts)
		}
	})
}

func requests(n int) []byte {
	p := &peer{}
	p.encoder = hpack.NewEncoder(&p.block)
	b := appendSettings(nil)
	for i := range n {
		b = append(b, frameOf(frameHeaders, endBoth, uint32(2*i+1), p.get("/"))...)
	}
	return b
}

func BenchmarkH2C(b *testing.B) {
	const batch = 100
	frames := requests(batch)
	c := newH2C(newDependency(&dependencySettings{body: 2, remember: 1000, idHeader: "X-Request-Id"}), new(sink))
	b.ReportAllocs()
	for b.Loop() {
		c.last, c.window = 0, firstWindow // the same streams again
		if _, err := c.handle(frames); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/request")
}

func TestH2CAnswersWithoutGarbage(t *testing.T) {
	frames := requests(100)
	c := newH2C(newDependency(&dependencySettings{body: 2, remember: 1000, idHeader: "X-Request-Id"}), new(sink))
	_, _ = c.handle(frames)
	if got := testing.AllocsPerRun(100, func() { c.last, c.window = 0, firstWindow; _, _ = c.handle(frames) }); got > 10 {
		t.Errorf("100 requests allocate %v times; only what is new to the table may", got)
	}
}
