package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// TestTraffic: what passes is counted, each way for itself.
func TestTraffic(t *testing.T) {
	for _, protocol := range []string{toxic.ProtocolHTTP1, toxic.ProtocolTCP} {
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
			eventually(t, "it is counted", func() bool { return l.Bytes(toxic.Both) == uint64(len(get)+len(ok)) })
			if up, down := l.Bytes(toxic.Upstream), l.Bytes(toxic.Downstream); up != uint64(len(get)) || down != uint64(len(ok)) {
				t.Errorf("%d bytes up, %d down, want %d, %d", up, down, len(get), len(ok))
			}
			if up, down := l.Received(toxic.Upstream), l.Received(toxic.Downstream); up != uint64(len(get)) || down != uint64(len(ok)) {
				t.Errorf("%d bytes received up, %d down, want %d, %d", up, down, len(get), len(ok))
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
	l := listen(t, addr, func(c *Config) { c.Protocol = toxic.ProtocolHTTP2 })
	fetch(t, h2client(t), "POST", "http://"+l.Addr()+"/pay", strings.Repeat("x", up))
	l.next()
	const heads = 2_000
	eventually(t, "it is counted", func() bool { return l.Bytes(toxic.Upstream) >= up && l.Bytes(toxic.Downstream) >= down })
	for what, of := range map[string]func(toxic.Direction) uint64{"sent": l.Bytes, "received": l.Received} {
		if gotUp, gotDown := of(toxic.Upstream), of(toxic.Downstream); gotUp < up || gotUp > up+heads || gotDown < down || gotDown > down+heads {
			t.Errorf("%d bytes %s up, %d down, want %d, %d and a little", gotUp, what, gotDown, up, down)
		}
	}
}

// TestReceivedAndNotPassedOn: what comes counts as received, whatever a fault
// makes of it.
func TestReceivedAndNotPassedOn(t *testing.T) {
	for _, tt := range []struct {
		protocol string
		add      func(*link) func()
	}{
		{toxic.ProtocolHTTP1, func(l *link) func() { return l.Add(0, toxic.Hang{Select: toxic.All}) }},
		{toxic.ProtocolTCP, func(l *link) func() {
			return l.AddOn(0, toxic.Both, toxic.Latency{Delay: time.Hour, Select: toxic.All})
		}},
	} {
		t.Run(tt.protocol, func(t *testing.T) {
			d := newDependency(t)
			l := listen(t, d.addr(), func(c *Config) { c.Protocol = tt.protocol })
			defer tt.add(l)()
			c := l.dial()
			c.send(get)
			eventually(t, "it is counted", func() bool { return l.Received(toxic.Upstream) == uint64(len(get)) })
			if n, back := l.Bytes(toxic.Both), l.Received(toxic.Downstream); n != 0 || back != 0 {
				t.Errorf("%d bytes passed, %d came back, want none", n, back)
			}
			c.Close()
			if tt.protocol == toxic.ProtocolHTTP1 {
				l.next()
				return
			}
			l.Close()
			l.next()
		})
	}
}

// TestReceivedInSmall: so are many small messages, whichever way they are carried.
func TestReceivedInSmall(t *testing.T) {
	const messages = 100
	d := newDependency(t)
	l := listen(t, d.addr(), func(c *Config) { c.Protocol = toxic.ProtocolTCP })
	c := l.dial()
	var up *caller
	for range messages {
		c.send(get)
		if up == nil {
			up = d.accept()
		}
		up.expect(get)
		up.send(ok)
		c.expect(ok)
	}
	eventually(t, "it is counted", func() bool { return l.Received(toxic.Both) == l.Bytes(toxic.Both) })
	if up, down := l.Received(toxic.Upstream), l.Received(toxic.Downstream); up != uint64(messages*len(get)) || down != uint64(messages*len(ok)) {
		t.Errorf("%d bytes received up, %d down, want %d, %d", up, down, messages*len(get), messages*len(ok))
	}
	c.Close()
	up.Close()
	l.next()
}

// TestReceivedInBulk: what is spliced is counted, too.
func TestReceivedInBulk(t *testing.T) {
	const size = 8 << 20
	d := newDependency(t)
	l := listen(t, d.addr(), func(c *Config) { c.Protocol = toxic.ProtocolTCP })
	c := l.dial()
	go func() { _, _ = c.Write(make([]byte, size)); _ = c.CloseWrite() }() // ends with the test's connection
	up := d.accept()
	if n, err := io.Copy(io.Discard, up.in); n != size || err != nil {
		t.Fatalf("%d bytes came, %v", n, err)
	}
	eventually(t, "it is counted", func() bool { return l.Received(toxic.Upstream) == size && l.Bytes(toxic.Upstream) == size })
	up.Close()
	l.next()
}
