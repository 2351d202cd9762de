package http

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// peer is a caller or a dependency that sees every frame.
type peer struct {
	*http2.Framer
	conn    *net.TCPConn
	t       *testing.T
	block   bytes.Buffer
	encoder *hpack.Encoder
	limits  bool // whether frame returns how many streams may be open
}

func newPeer(t *testing.T, c *wiretest.Caller) *peer {
	p := &peer{Framer: http2.NewFramer(c, c.In), conn: c.TCPConn, t: t}
	p.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.encoder = hpack.NewEncoder(&p.block)
	return p
}

// h2dial is a caller that has begun with these settings.
func (l *testLink) h2dial(settings ...http2.Setting) *peer {
	l.T.Helper()
	c := l.Dial()
	c.Send(http2.ClientPreface)
	p := newPeer(l.T, c)
	p.must(p.WriteSettings(settings...))
	return p
}

// h2accept is a dependency that has begun with these settings.
func h2accept(d *wiretest.Dependency, settings ...http2.Setting) *peer {
	d.T.Helper()
	c := d.Take()
	c.Expect(http2.ClientPreface)
	p := newPeer(d.T, c)
	p.must(p.WriteSettings(settings...))
	return p
}

func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// frame reads the next frame that a test has to do with, as text: SETTINGS,
// their acknowledgements and the windows of connections are left out.
func (p *peer) frame() string {
	p.t.Helper()
	for {
		f, err := p.ReadFrame()
		switch {
		case errors.Is(err, io.EOF):
			return "FIN"
		case errors.Is(err, syscall.ECONNRESET):
			return "RST"
		}
		p.must(err)
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if n, ok := f.Value(http2.SettingMaxConcurrentStreams); ok && p.limits {
				return fmt.Sprintf("SETTINGS MAX_CONCURRENT_STREAMS %d", n)
			}
		case *http2.WindowUpdateFrame:
			if f.StreamID != 0 {
				return fmt.Sprintf("%d WINDOW_UPDATE %d", f.StreamID, f.Increment)
			}
		case *http2.MetaHeadersFrame:
			var fields []string
			for _, f := range f.Fields {
				fields = append(fields, f.Name+"="+f.Value)
			}
			return withEnd(fmt.Sprintf("%d HEADERS %s", f.StreamID, strings.Join(fields, " ")), f.StreamEnded())
		case *http2.DataFrame:
			return withEnd(fmt.Sprintf("%d DATA %s", f.StreamID, f.Data()), f.StreamEnded())
		case *http2.RSTStreamFrame:
			return fmt.Sprintf("%d RST_STREAM %v", f.StreamID, f.ErrCode)
		case *http2.GoAwayFrame:
			return fmt.Sprintf("GOAWAY %d %v %s", f.LastStreamID, f.ErrCode, f.DebugData())
		case *http2.PingFrame:
			if f.IsAck() {
				return fmt.Sprintf("PONG %s", f.Data)
			}
			return fmt.Sprintf("PING %s", f.Data)
		default:
			return fmt.Sprint(f)
		}
	}
}

func withEnd(text string, end bool) string {
	if end {
		text += " END"
	}
	return text
}

func (p *peer) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.frame(); got != w {
			p.t.Fatalf("got %s, want %s", got, w)
		}
	}
}

// head writes a header block; fields are "name=value".
func (p *peer) head(stream uint32, end bool, fields ...string) {
	p.t.Helper()
	p.block.Reset()
	for _, f := range fields {
		i := strings.LastIndex(f, "=")
		p.must(p.encoder.WriteField(hpack.HeaderField{Name: f[:i], Value: f[i+1:]}))
	}
	p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: p.block.Bytes(), EndStream: end, EndHeaders: true}))
}

func (p *peer) get(stream uint32, path string) {
	p.t.Helper()
	p.head(stream, true, ":method=GET", ":scheme=http", ":authority=a", ":path="+path)
}

func (p *peer) post(stream uint32, path string) {
	p.t.Helper()
	p.head(stream, false, ":method=POST", ":scheme=http", ":authority=a", ":path="+path)
}

const gotGet = "HEADERS :method=GET :scheme=http :authority=a :path="

// streaming is a link with a caller and a dependency that have had a stream.
func streaming(t *testing.T, settings ...http2.Setting) (l *testLink, d *wiretest.Dependency, c, up *peer) {
	t.Helper()
	d = wiretest.NewDependency(t)
	l = listen(t, d.Address(), speaks(toxic.ProtocolHTTP2))
	c = l.h2dial()
	c.get(1, "/")
	up = h2accept(d, settings...)
	up.expect("1 " + gotGet + "/ END")
	up.head(1, true, ":status=204")
	c.expect("1 HEADERS :status=204 END")
	l.Next()
	return l, d, c, up
}

func TestStreamsEndAsTheyDo(t *testing.T) {
	t.Run("reset by the dependency, behind what came before", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.get(3, "/a")
		up.expect("3 " + gotGet + "/a END")
		up.head(3, false, ":status=200")
		up.must(up.WriteData(3, false, []byte("some")))
		up.must(up.WriteRSTStream(3, http2.ErrCodeEnhanceYourCalm))
		c.expect("3 HEADERS :status=200", "3 DATA some", "3 RST_STREAM ENHANCE_YOUR_CALM")
		if x := l.Next(); x.Status != 200 || x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("answered before the request was complete", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.post(3, "/a")
		up.expect("3 HEADERS :method=POST :scheme=http :authority=a :path=/a")
		up.head(3, true, ":status=413")
		up.must(up.WriteRSTStream(3, http2.ErrCodeNo))
		c.expect("3 HEADERS :status=413 END", "3 RST_STREAM NO_ERROR")
		if x := l.Next(); x.Status != 413 || x.Ending != evidence.Answered {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("an upload goes on behind its answer", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.post(3, "/a")
		up.expect("3 HEADERS :method=POST :scheme=http :authority=a :path=/a")
		up.head(3, true, ":status=200")
		c.expect("3 HEADERS :status=200 END")
		l.Next()
		c.must(c.WriteData(3, true, []byte("rest")))
		up.expect("3 DATA rest END")
	})
	t.Run("reset by the caller", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.get(3, "/a")
		up.expect("3 " + gotGet + "/a END")
		c.must(c.WriteRSTStream(3, http2.ErrCodeCancel))
		up.expect("3 RST_STREAM CANCEL")
		if x := l.Next(); x.Status != 0 || x.Ending != evidence.CallerGone {
			t.Errorf("recorded %+v", x)
		}
		up.head(3, true, ":status=200") // on its way already: goes nowhere
		c.get(5, "/b")
		up.expect("5 " + gotGet + "/b END")
		up.head(5, true, ":status=200")
		c.expect("5 HEADERS :status=200 END")
		l.Next()
	})
	t.Run("FIN from the dependency, idle", func(t *testing.T) {
		_, _, c, up := streaming(t)
		up.conn.CloseWrite()
		c.expect("FIN")
	})
	t.Run("FIN from the dependency, in the middle", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.get(3, "/a")
		up.expect("3 " + gotGet + "/a END")
		up.head(3, false, ":status=200")
		c.expect("3 HEADERS :status=200")
		up.conn.CloseWrite()
		c.expect("FIN")
		if x := l.Next(); x.Status != 200 || x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("RST from the dependency", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.get(3, "/a")
		up.expect("3 " + gotGet + "/a END")
		up.conn.SetLinger(0)
		up.conn.Close()
		c.expect("RST")
		if x := l.Next(); x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("FIN from the caller", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.get(3, "/a")
		up.expect("3 " + gotGet + "/a END")
		c.conn.Close()
		up.expect("FIN")
		if x := l.Next(); x.Ending != evidence.CallerGone {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("a dependency that is not there", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address(), speaks(toxic.ProtocolHTTP2))
		d.Close()
		c := l.h2dial()
		c.get(1, "/")
		c.expect("RST")
		if x := l.Next(); x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("a dependency that speaks something else", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address(), speaks(toxic.ProtocolHTTP2))
		c := l.h2dial()
		c.get(1, "/")
		d.Take().Send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		c.expect("RST")
		if x := l.Next(); x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("a FIN waits for what a fault holds", func(t *testing.T) {
		l, _, c, up := streaming(t)
		remove := l.Add(1, toxic.Partition{Select: toxic.All})
		c.get(3, "/a")
		wiretest.Eventually(t, "it is held", func() bool { return l.Hit(1) == 1 })
		up.conn.CloseWrite()
		c.conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		if f, err := c.ReadFrame(); f != nil {
			if _, ok := f.(*http2.SettingsFrame); !ok {
				t.Errorf("got %v, %v; want nothing yet", f, err)
			}
		}
		c.conn.SetReadDeadline(time.Now().Add(wiretest.Patience))
		remove()
		c.expect("FIN")
		if x := l.Next(); x.Ending != evidence.Failed || x.Faults != 2 {
			t.Errorf("recorded %+v", x)
		}
	})
}

func TestGoAway(t *testing.T) {
	t.Run("from the dependency", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.get(3, "/a")
		c.get(5, "/b")
		up.expect("3 "+gotGet+"/a END", "5 "+gotGet+"/b END")
		up.must(up.WriteGoAway(lastStream, http2.ErrCodeNo, nil))
		c.expect("GOAWAY 2147483647 NO_ERROR ")
		c.get(7, "/c") // it was on its way
		up.expect("7 " + gotGet + "/c END")
		up.must(up.WriteGoAway(3, http2.ErrCodeNo, []byte("bye")))
		refused := map[string]bool{c.frame(): true, c.frame(): true}
		if !refused["5 RST_STREAM REFUSED_STREAM"] || !refused["7 RST_STREAM REFUSED_STREAM"] {
			t.Errorf("got %v, want streams 5 and 7 refused", refused)
		}
		c.expect("GOAWAY 7 NO_ERROR bye")
		c.get(9, "/d") // nobody serves it, as its sender knows
		up.head(3, true, ":status=200")
		c.expect("3 HEADERS :status=200 END")
		for range 3 {
			if x := l.Next(); x.Path == "/a" && x.Ending != evidence.Answered || x.Path != "/a" && x.Ending != evidence.Failed {
				t.Errorf("recorded %+v", x)
			}
		}
		up.conn.CloseWrite()
		c.expect("FIN")
	})
	t.Run("from the caller", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.get(3, "/a")
		up.expect("3 " + gotGet + "/a END")
		c.must(c.WriteGoAway(0, http2.ErrCodeNo, []byte("bye")))
		up.expect("GOAWAY 0 NO_ERROR bye")
		up.head(3, true, ":status=200")
		c.expect("3 HEADERS :status=200 END")
		l.Next()
		c.conn.Close()
		up.expect("FIN")
	})
}

func TestPingsPass(t *testing.T) {
	l, _, c, up := streaming(t)
	data := [8]byte{'1', '2', '3', '4', '5', '6', '7', '8'}
	c.must(c.WritePing(false, data))
	up.expect("PING 12345678")
	up.must(up.WritePing(true, data))
	c.expect("PONG 12345678")
	up.must(up.WritePing(false, data))
	c.expect("PING 12345678")
	c.must(c.WritePing(true, data))
	up.expect("PONG 12345678")

	remove := l.Add(1, toxic.Partition{Select: toxic.All})
	c.get(3, "/a")
	c.must(c.WritePing(false, data))
	c.head(5, true, ":method=GET", "Upper=x")
	c.expect("5 RST_STREAM PROTOCOL_ERROR") // now it has been read
	up.must(up.WritePing(false, data))
	wiretest.Eventually(t, "both are held", func() bool {
		l.relay.mu.Lock()
		defer l.relay.mu.Unlock()
		for m := range l.relay.conns {
			m.(*h2Conn).mu.Lock()
			defer m.(*h2Conn).mu.Unlock()
			return len(m.(*h2Conn).pings) == 2
		}
		return false
	})
	remove()
	c.expect("PING 12345678")
	up.expect("PING 12345678", "3 "+gotGet+"/a END")
	c.conn.Close()
	l.Next()

	d := wiretest.NewDependency(t)
	c = listen(t, d.Address(), speaks(toxic.ProtocolHTTP2)).h2dial()
	c.must(c.WritePing(false, data)) // there is nobody to pass it on to
	c.expect("PONG 12345678")
}

func TestStreamLimitOfTheDependency(t *testing.T) {
	l, _, c, up := streaming(t, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
	c.get(3, "/a")
	c.get(5, "/b")
	up.expect("3 " + gotGet + "/a END")
	up.must(up.WritePing(false, [8]byte{'x'})) // what comes before its answer comes before /b
	for c.frame() != "PING x\x00\x00\x00\x00\x00\x00\x00" {
	}
	c.must(c.WritePing(true, [8]byte{'x'}))
	up.expect("PONG x\x00\x00\x00\x00\x00\x00\x00")
	up.head(3, true, ":status=200")
	up.expect("5 " + gotGet + "/b END")
	up.head(5, true, ":status=200")
	c.expect("3 HEADERS :status=200 END", "5 HEADERS :status=200 END")
	l.Next()
	l.Next()

	d := wiretest.NewDependency(t)
	l = listen(t, d.Address(), speaks(toxic.ProtocolHTTP2))
	c = l.h2dial()
	c.limits = true
	c.get(1, "/")
	up = h2accept(d, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 7})
	c.expect("SETTINGS MAX_CONCURRENT_STREAMS 1000", "SETTINGS MAX_CONCURRENT_STREAMS 7")
	up.expect("1 " + gotGet + "/ END")
	c.conn.Close()
	l.Next()
}

// TestOvertaking lets a stream overtake one that is delayed: on the dependency's
// side they have other numbers, and what comes back has the right ones again.
func TestOvertaking(t *testing.T) {
	l, _, c, up := streaming(t)
	remove := l.Add(1, toxic.Partition{Select: toxic.Select{Share: 1, Match: &toxic.Match{Path: "/slow"}}})
	c.post(3, "/slow")
	c.must(c.WriteData(3, true, []byte("body")))
	c.get(5, "/fast")
	up.expect("3 " + gotGet + "/fast END")
	up.head(3, true, ":status=200")
	c.expect("5 HEADERS :status=200 END")
	if x := l.Next(); x.Path != "/fast" || x.Seq != 3 {
		t.Errorf("recorded %+v", x)
	}
	remove()
	up.expect("5 HEADERS :method=POST :scheme=http :authority=a :path=/slow", "5 DATA body END")
	up.head(5, true, ":status=201")
	c.expect("3 HEADERS :status=201 END")
	if x := l.Next(); x.Path != "/slow" || x.Status != 201 || x.Seq != 2 {
		t.Errorf("recorded %+v", x)
	}
}

func TestWindows(t *testing.T) {
	t.Run("of the caller", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address(), speaks(toxic.ProtocolHTTP2))
		c := l.h2dial(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3})
		c.get(1, "/")
		up := h2accept(d)
		up.expect("1 " + gotGet + "/ END")
		up.head(1, false, ":status=200")
		up.must(up.WriteData(1, false, []byte("0123456789")))
		up.head(1, true, "sum=x")
		c.expect("1 HEADERS :status=200", "1 DATA 012")
		c.must(c.WriteWindowUpdate(1, 2))
		c.expect("1 DATA 34")
		if n := l.InFlight(); n != 1 {
			t.Errorf("%d in flight, want 1", n)
		}
		c.must(c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 8}))
		c.expect("1 DATA 56789", "1 HEADERS sum=x END")
		if x := l.Next(); x.Status != 200 || x.Ending != evidence.Answered {
			t.Errorf("recorded %+v", x)
		}
	})
	t.Run("of the relay, overrun", func(t *testing.T) {
		l, _, c, up := streaming(t)
		remove := l.Add(1, toxic.Partition{Select: toxic.All})
		defer remove()
		c.post(3, "/a")
		for range window / 16384 {
			c.must(c.WriteData(3, false, make([]byte, 16384)))
		}
		c.must(c.WriteData(3, false, []byte("x")))
		c.expect("3 RST_STREAM FLOW_CONTROL_ERROR")
		if x := l.Next(); x.Ending != evidence.CallerGone {
			t.Errorf("recorded %+v", x)
		}
		_ = up
	})
	t.Run("padding is given back", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.post(3, "/a")
		up.expect("3 HEADERS :method=POST :scheme=http :authority=a :path=/a")
		for range 20 * window / 256 {
			c.must(c.WriteDataPadded(3, false, nil, make([]byte, 255)))
		}
		c.must(c.WriteData(3, true, []byte("end")))
		up.expect("3 DATA end END")
		up.head(3, true, ":status=200")
		l.Next()
	})
}

// TestFoulCallers sends what must not be sent.
func TestFoulCallers(t *testing.T) {
	raw := func(p *peer, typ http2.FrameType, stream uint32, payload string) {
		p.must(p.WriteRawFrame(typ, 0, stream, []byte(payload)))
	}
	for _, tt := range []struct {
		name string
		send func(c *peer)
		want string
	}{
		{"an even stream", func(c *peer) { c.get(2, "/") }, "GOAWAY 3 PROTOCOL_ERROR "},
		{"DATA on an idle stream", func(c *peer) { raw(c, http2.FrameData, 9, "x") }, "GOAWAY 3 PROTOCOL_ERROR "},
		{"RST_STREAM on an idle stream", func(c *peer) { raw(c, http2.FrameRSTStream, 9, "\x00\x00\x00\x01") }, "GOAWAY 3 PROTOCOL_ERROR "},
		{"a push", func(c *peer) { raw(c, http2.FramePushPromise, 1, "\x00\x00\x00\x02") }, "GOAWAY 3 PROTOCOL_ERROR "},
		{"a header block that is none", func(c *peer) {
			c.must(c.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 5, []byte("\xff\xff\xff\xff\xff\xff")))
		}, "GOAWAY 3 COMPRESSION_ERROR "},
		{"a block that is not continued", func(c *peer) {
			raw(c, http2.FrameHeaders, 5, "")
			c.must(c.WritePing(false, [8]byte{}))
		}, "GOAWAY 3 PROTOCOL_ERROR "},
		{"a frame that is too long", func(c *peer) { raw(c, http2.FrameData, 3, strings.Repeat("x", 16385)) }, "GOAWAY 3 FRAME_SIZE_ERROR "},
		{"a window that is too wide", func(c *peer) { c.must(c.WriteWindowUpdate(0, lastStream)) }, "GOAWAY 3 FLOW_CONTROL_ERROR "},
		{"a setting that is none", func(c *peer) {
			c.must(c.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1}))
		}, "GOAWAY 3 PROTOCOL_ERROR "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _, c, up := streaming(t)
			c.post(3, "/a")
			up.expect("3 HEADERS :method=POST :scheme=http :authority=a :path=/a")
			c.AllowIllegalWrites = true
			tt.send(c)
			c.expect(tt.want)
			if x := l.Next(); x.Ending != evidence.CallerGone {
				t.Errorf("recorded %+v", x)
			}
			c.conn.CloseWrite()
			up.expect("FIN")
		})
	}
	t.Run("a list of fields past the bound", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.block.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/a"}} {
			c.must(c.encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
		}
		for range 9 { // the last of them is past it
			c.must(c.encoder.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("~", maxList/9), Sensitive: true}))
		}
		c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: c.block.Next(1000), EndStream: true}))
		for c.block.Len() > 0 {
			piece := c.block.Next(16384)
			c.must(c.WriteContinuation(3, c.block.Len() == 0, piece))
		}
		c.expect("3 RST_STREAM ENHANCE_YOUR_CALM")
		if x := l.Next(); x.Path != "/a" || x.Ending != evidence.Failed {
			t.Errorf("recorded %+v", x)
		}
		c.get(5, "/b")
		up.expect("3 " + gotGet + "/b END")
		up.head(3, true, ":status=200")
		c.expect("5 HEADERS :status=200 END")
		l.Next()
	})
	t.Run("streams alone", func(t *testing.T) {
		l, _, c, up := streaming(t)
		c.head(3, true, ":method=GET", ":path=/", "Upper=x")
		c.expect("3 RST_STREAM PROTOCOL_ERROR")
		c.head(5, true, ":path=/")
		c.expect("5 RST_STREAM PROTOCOL_ERROR")
		c.post(7, "/a")
		up.expect("3 HEADERS :method=POST :scheme=http :authority=a :path=/a")
		c.head(7, false, "trailer=x")
		c.expect("7 RST_STREAM PROTOCOL_ERROR")
		up.expect("3 RST_STREAM CANCEL")
		l.Next()
		c.get(9, "/b")
		up.expect("5 " + gotGet + "/b END")
		up.head(5, true, ":status=200")
		c.expect("9 HEADERS :status=200 END")
		l.Next()
	})
}

// TestFoulDependencies is TestFoulCallers for the other side.
func TestFoulDependencies(t *testing.T) {
	for _, tt := range []struct {
		name string
		send func(up *peer)
		want string
	}{
		{"no status", func(up *peer) { up.head(3, true, "a=b") }, "3 RST_STREAM PROTOCOL_ERROR"},
		{"DATA before the head", func(up *peer) { up.must(up.WriteData(3, true, []byte("x"))) }, "3 RST_STREAM PROTOCOL_ERROR"},
		{"an interim head that is all", func(up *peer) { up.head(3, true, ":status=103") }, "3 RST_STREAM PROTOCOL_ERROR"},
		{"a push", func(up *peer) {
			up.must(up.WriteRawFrame(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 3, []byte("\x00\x00\x00\x02")))
		}, "RST"},
		{"a stream of its own", func(up *peer) { up.head(2, true, ":status=200") }, "RST"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _, c, up := streaming(t)
			c.get(3, "/a")
			up.expect("3 " + gotGet + "/a END")
			up.AllowIllegalWrites = true
			tt.send(up)
			c.expect(tt.want)
			if x := l.Next(); x.Ending != evidence.Failed {
				t.Errorf("recorded %+v", x)
			}
		})
	}
}

// TestFloodIsBounded lets a caller ask and ask and never read an answer: what
// waits for it stays bounded, because it is not read any more.
func TestFloodIsBounded(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address(), speaks(toxic.ProtocolHTTP2))
	c := l.h2dial()
	var pings bytes.Buffer
	framer := http2.NewFramer(&pings, nil)
	for range 10_000 {
		c.must(framer.WritePing(false, [8]byte{}))
	}
	stuck := time.Now()
	for wrote := 0; time.Since(stuck) < 200*time.Millisecond; { // it takes nothing any more
		c.conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		n, _ := c.conn.Write(pings.Bytes()[wrote%pings.Len():])
		if wrote += n; n > 0 {
			stuck = time.Now()
		}
		if wrote > 1<<30 {
			t.Fatal("it takes everything")
		}
	}
	l.relay.mu.Lock()
	defer l.relay.mu.Unlock()
	for each := range l.relay.conns {
		m := each.(*h2Conn)
		m.mu.Lock()
		if n := len(m.caller.out); n > 2*maxPending {
			t.Errorf("%d bytes wait to be written", n)
		}
		m.mu.Unlock()
	}
}
