package http

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// peer is a caller or a dependency that sees every frame.
type peer struct {
	*http2.Framer
	conn    *wiretest.Caller
	t       *testing.T
	block   bytes.Buffer
	encoder *hpack.Encoder
	limits  bool // whether frame returns how many streams may be open
	tunnels bool // and whether there may be tunnels
}

func newPeer(t *testing.T, c *wiretest.Caller) *peer {
	p := &peer{Framer: http2.NewFramer(c, c.In), conn: c, t: t}
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
			if n, ok := f.Value(http2.SettingEnableConnectProtocol); ok && p.tunnels {
				return fmt.Sprintf("SETTINGS ENABLE_CONNECT_PROTOCOL %d", n)
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
