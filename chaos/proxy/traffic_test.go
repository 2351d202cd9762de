package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestTraffic: what passes is counted, each way for itself.
func TestTraffic(t *testing.T) {
	for _, protocol := range []string{ProtocolHTTP1, ProtocolTCP} {
		t.Run(protocol, func(t *testing.T) {
			d := newDependency(t)
			l := listen(t, d.addr(), func(c *Config) { c.Protocol = protocol })
			c := l.dial()
			c.send(get)
			up := d.accept()
			up.expect(get)
			up.send(ok)
			c.expect(ok)
			// It is counted when it has been written: c may be here before.
			eventually(t, "it is counted", func() bool { return l.Bytes(Both) == uint64(len(get)+len(ok)) })
			if up, down := l.Bytes(Upstream), l.Bytes(Downstream); up != uint64(len(get)) || down != uint64(len(ok)) {
				t.Errorf("%d bytes up, %d down, want %d, %d", up, down, len(get), len(ok))
			}
			if n := l.Accepted(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
			c.Close()
			up.Close()
			l.next()
		})
	}
}

// TestTrafficOfStreams: HTTP/2 has heads that say the same in other bytes, so
// only the bodies tell how much it is at least.
func TestTrafficOfStreams(t *testing.T) {
	const up, down = 10_000, 100_000
	addr := h2server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(make([]byte, down))
	})
	l := listen(t, addr, func(c *Config) { c.Protocol = ProtocolHTTP2 })
	fetch(t, h2client(t), "POST", "http://"+l.Addr()+"/pay", strings.Repeat("x", up))
	l.next()
	const heads = 2_000
	eventually(t, "it is counted", func() bool { return l.Bytes(Upstream) >= up && l.Bytes(Downstream) >= down })
	if gotUp, gotDown := l.Bytes(Upstream), l.Bytes(Downstream); gotUp > up+heads || gotDown > down+heads {
		t.Errorf("%d bytes up, %d down, want %d, %d and a little", gotUp, gotDown, up, down)
	}
}
