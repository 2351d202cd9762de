package http

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// TestCallersInBreach sends what the protocol forbids.
func TestCallersInBreach(t *testing.T) {
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

// TestDependenciesInBreach is TestCallersInBreach for the other side.
func TestDependenciesInBreach(t *testing.T) {
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
