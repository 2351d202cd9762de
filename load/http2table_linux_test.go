package load

import (
	"io"
	"net"
	"testing"
	"time"
)

// A peer whose header table is below the default is told that we use none, once and at
// the start of the first header block behind the acknowledgement of its settings.
func TestHTTP2SmallHeaderTable(t *testing.T) {
	for _, size := range []uint32{0, 4095, 4096} {
		blocks := make(chan string, 10)
		acknowledged := false
		peer := listen(t, frames(frame(settings, 0, 0, setting(1, size)), func(c net.Conn, kind, flags byte, stream uint32, payload string) bool {
			switch kind {
			case settings:
				acknowledged = acknowledged || flags == 1
			case headers, continuation:
				if acknowledged && kind == headers { // one more comes before, as no settings are there yet
					blocks <- payload[:1]
				}
				if flags&4 != 0 {
					io.WriteString(c, frame(headers, 5, stream, status200))
				}
			}
			return true
		}))
		one := Plan{Closed: &Closed{Connections: 1, Requests: 4}, Run: 1, Loops: 1, Streams: 1, Routes: []Route{h2(peer.addr)}}
		if samples, err := collect(t, t.Context(), one, time.Now()); err != nil || len(samples) != 4 {
			t.Fatalf("%d samples, error %v", len(samples), err)
		}
		behind := len(blocks)
		for i := range behind {
			first := <-blocks
			if told := first == "\x20"; told != (i == 0 && size < 4096) {
				t.Errorf("a table of %d: block %d begins with %x", size, i, first)
			}
		}
		if behind == 0 {
			t.Errorf("a table of %d: no request behind the acknowledgement", size)
		}
	}
}
