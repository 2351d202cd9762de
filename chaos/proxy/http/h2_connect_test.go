package http

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// connectHead is the head of a request for a tunnel (RFC 8441), as it comes out.
const connectHead = "HEADERS :method=CONNECT :protocol=websocket :scheme=http :authority=a :path=/chat"

func (p *peer) connect(stream uint32) {
	p.t.Helper()
	p.head(stream, false, ":method=CONNECT", ":protocol=websocket", ":scheme=http", ":authority=a", ":path=/chat")
}

// tunnelling is a link with a tunnel on stream 1.
func tunnelling(t *testing.T) (l *testLink, c, up *peer) {
	t.Helper()
	d := wiretest.NewDependency(t)
	l = listen(t, d.Address(), speaks(toxic.ProtocolHTTP2))
	c = l.h2dial()
	up = h2accept(d, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
	c.tunnels = true
	c.expect("SETTINGS ENABLE_CONNECT_PROTOCOL 1")
	c.connect(1)
	up.expect("1 " + connectHead)
	up.head(1, false, ":status=200")
	c.expect("1 HEADERS :status=200")
	return l, c, up
}

func TestTunnelOfAStream(t *testing.T) {
	t.Run("both ways, and half closed", func(t *testing.T) {
		l, c, up := tunnelling(t)
		up.must(up.WriteData(1, false, []byte("hello")))
		c.expect("1 DATA hello")
		c.must(c.WriteData(1, true, []byte("ask")))
		up.expect("1 DATA ask END")
		up.must(up.WriteData(1, true, []byte("answer")))
		c.expect("1 DATA answer END")
		if x := l.Next(); x.Method != "CONNECT" || x.Path != "/chat" || x.Status != 200 || x.Ending != evidence.Answered {
			t.Errorf("recorded %+v", x)
		}
	})
	for _, tt := range []struct {
		name  string
		toxic toxic.Toxic
		want  []string
	}{
		// What is done to bodies is not done to a tunnel, as over HTTP/1.1.
		{"truncate", toxic.Truncate{After: 1, Select: toxic.All}, []string{"1 DATA hello END"}},
		{"corrupt", toxic.Corrupt{Bytes: 1, Select: toxic.All}, []string{"1 DATA hello END"}},
		{"reset during", toxic.Reset{When: "during", Select: toxic.All}, []string{"1 DATA hello END"}},
		{"reset after", toxic.Reset{When: "after", Select: toxic.All}, []string{"1 DATA hello END"}},
		{"errors", toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All}, []string{"1 DATA hello END"}},
		{"reset", toxic.Reset{Select: toxic.All}, []string{"1 RST_STREAM INTERNAL_ERROR"}},
	} {
		t.Run(tt.name+" once it stands", func(t *testing.T) {
			l, c, up := tunnelling(t)
			l.Add(2, tt.toxic)
			if tt.name != "reset" {
				up.must(up.WriteData(1, true, []byte("hello")))
			}
			c.expect(tt.want...)
			hit := tt.name == "reset"
			if x := l.Next(); x.Status != 200 || (x.Faults != 0) != hit || (x.Ending == evidence.Broken) != hit {
				t.Errorf("recorded %+v", x)
			}
		})
	}
	t.Run("errors before", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address(), speaks(toxic.ProtocolHTTP2))
		l.Add(2, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All})
		c := l.h2dial()
		h2accept(d, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
		c.tunnels = true
		c.expect("SETTINGS ENABLE_CONNECT_PROTOCOL 1")
		c.connect(1)
		c.expect("1 HEADERS :status=503 content-length=0 END", "1 RST_STREAM NO_ERROR")
		if x := l.Next(); x.Status != 503 || x.Ending != evidence.Injected {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("of a dependency that has none", func(t *testing.T) {
		l, _, c, _ := streaming(t)
		c.connect(3)
		c.expect("3 RST_STREAM PROTOCOL_ERROR")
		c.get(5, "/a")
		wiretest.Eventually(t, "others go on", func() bool { return l.InFlight() == 1 })
		c.conn.Close()
		l.Next()
	})
	t.Run("of a dependency that has it later", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.tunnels = true
		up.must(up.WriteSettings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1}))
		c.expect("SETTINGS ENABLE_CONNECT_PROTOCOL 1")
		c.connect(3)
		up.expect("3 " + connectHead)
		up.head(3, true, ":status=404")
		c.expect("3 HEADERS :status=404 END")
		l.Next()
	})
}

// TestGreeting: what a caller is told first are the dependency's settings, however
// late they come, unless it is owed an answer of ours before.
func TestGreeting(t *testing.T) {
	t.Run("waits for a dependency that is slow", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		c := listen(t, d.Address(), speaks(toxic.ProtocolHTTP2)).h2dial()
		c.limits = true
		up := d.Take()
		up.Expect(http2.ClientPreface)
		c.must(c.WritePing(false, [8]byte{'1'}))
		p := newPeer(t, up)
		p.expect("PING 1\x00\x00\x00\x00\x00\x00\x00")
		p.must(p.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 9}))
		c.expect("SETTINGS MAX_CONCURRENT_STREAMS 9")
	})
	t.Run("does not wait for one that says nothing, before an answer of ours", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address(), speaks(toxic.ProtocolHTTP2))
		l.Add(2, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All})
		c := l.h2dial()
		c.limits = true
		c.get(1, "/")
		c.expect("SETTINGS MAX_CONCURRENT_STREAMS 1000", "1 HEADERS :status=503 content-length=0 END")
		l.Next()
		up := h2accept(d, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 9})
		c.expect("SETTINGS MAX_CONCURRENT_STREAMS 9")
		_ = up
	})
	t.Run("of a dependency that cannot be reached, which comes up then", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address(), speaks(toxic.ProtocolHTTP2))
		d.Close()
		c := l.h2dial()
		c.limits = true
		c.expect("SETTINGS MAX_CONCURRENT_STREAMS 1000")
		again, err := net.Listen("tcp", d.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		c.get(1, "/")
		up := h2accept(&wiretest.Dependency{Listener: again, T: t})
		up.expect("1 " + gotGet + "/ END")
		up.head(1, true, ":status=204")
		c.expect("1 HEADERS :status=204 END")
		l.Next()
	})
}

// xconnect is what makes Go's server take extended CONNECT: it looks at it once, as
// the process starts.
const xconnect = "http2xconnect=1"

// TestWebSocketOverHTTP2 has Go's client and server of x/net/http2 speak WebSocket
// over a stream (RFC 8441) through a link.
func TestWebSocketOverHTTP2(t *testing.T) {
	if !strings.Contains(os.Getenv("GODEBUG"), xconnect) {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWebSocketOverHTTP2$", "-test.v")
		again.Env = append(os.Environ(), "GODEBUG="+xconnect)
		if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestWebSocketOverHTTP2") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			go new(http2.Server).ServeConn(conn, &http2.ServeConnOpts{Context: t.Context(), Handler: http.HandlerFunc(echoMessages)}) //nolint:staticcheck // net/http has no extended CONNECT
		}
	}()
	l := listen(t, server.Addr().String(), speaks(toxic.ProtocolHTTP2))
	client := &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) { //nolint:staticcheck // as above
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	defer client.CloseIdleConnections() //nolint:staticcheck // as above

	reader, writer := io.Pipe()
	req, _ := http.NewRequestWithContext(t.Context(), "CONNECT", "http://"+l.Addr()+"/chat", reader)
	req.Header.Set(":protocol", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	resp, err := client.RoundTrip(req) //nolint:staticcheck // as above
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatalf("got %d", resp.StatusCode)
	}
	in := bufio.NewReader(resp.Body)
	for _, text := range []string{"a", strings.Repeat("long ", 10_000), ""} {
		if _, err := writer.Write(message(text, true)); err != nil {
			t.Fatal(err)
		}
		if got, err := readMessage(in); err != nil || got != text {
			t.Fatalf("got %d bytes, %v; want %d", len(got), err, len(text))
		}
	}
	writer.Close()
	if _, err := readMessage(in); !errors.Is(err, io.EOF) {
		t.Errorf("got %v at its end, want EOF", err)
	}
	if x := l.Next(); x.Method != "CONNECT" || x.Status != 200 || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
}

// echoMessages is a WebSocket server that sends back what it gets.
func echoMessages(w http.ResponseWriter, r *http.Request) {
	if r.Method != "CONNECT" || r.Header.Get(":protocol") != "websocket" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	out := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	_ = out.Flush()
	in := bufio.NewReader(r.Body)
	for {
		text, err := readMessage(in)
		if err != nil {
			return
		}
		_, _ = w.Write(message(text, false))
		_ = out.Flush()
	}
}

// message is a text message of WebSocket, in one frame (RFC 6455 section 5.2).
func message(text string, masked bool) []byte {
	p := []byte{0x81, 127}
	p = binary.BigEndian.AppendUint64(p, uint64(len(text)))
	if !masked {
		return append(p, text...)
	}
	p[1] |= 0x80
	mask := [4]byte{1, 2, 3, 4}
	p = append(p, mask[:]...)
	for i := range len(text) {
		p = append(p, text[i]^mask[i%4])
	}
	return p
}

func readMessage(in *bufio.Reader) (string, error) {
	var head [10]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return "", err
	}
	var mask [4]byte
	if head[1]&0x80 != 0 {
		if _, err := io.ReadFull(in, mask[:]); err != nil {
			return "", err
		}
	}
	p := make([]byte, binary.BigEndian.Uint64(head[2:]))
	_, err := io.ReadFull(in, p)
	for i := range p {
		p[i] ^= mask[i%4]
	}
	return string(p), err
}
