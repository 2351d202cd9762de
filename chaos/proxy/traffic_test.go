package proxy

import (
	"io"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// TestTraffic: what passes is counted, each way for itself.
func TestTraffic(t *testing.T) {
	for _, protocol := range []string{toxic.ProtocolHTTP1, toxic.ProtocolTCP} {
		t.Run(protocol, func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address(), func(c *Config) { c.Protocol = protocol })
			c := l.Dial()
			c.Send(wiretest.Get)
			up := d.Take()
			up.Expect(wiretest.Get)
			up.Send(wiretest.OK)
			c.Expect(wiretest.OK)
			// It is counted when it has been written: c may be here before.
			wiretest.Eventually(t, "it is counted", func() bool { return l.Bytes(toxic.Both) == uint64(len(wiretest.Get)+len(wiretest.OK)) })
			if up, down := l.Bytes(toxic.Upstream), l.Bytes(toxic.Downstream); up != uint64(len(wiretest.Get)) || down != uint64(len(wiretest.OK)) {
				t.Errorf("%d bytes up, %d down, want %d, %d", up, down, len(wiretest.Get), len(wiretest.OK))
			}
			if up, down := l.Received(toxic.Upstream), l.Received(toxic.Downstream); up != uint64(len(wiretest.Get)) || down != uint64(len(wiretest.OK)) {
				t.Errorf("%d bytes received up, %d down, want %d, %d", up, down, len(wiretest.Get), len(wiretest.OK))
			}
			if n := l.Accepted(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
			c.Close()
			up.Close()
			l.Next()
		})
	}
}

// TestReceivedAndNotPassedOn: what comes counts as received, whatever a fault
// makes of it.
func TestReceivedAndNotPassedOn(t *testing.T) {
	for _, tt := range []struct {
		protocol string
		add      func(*wiretest.Link) func()
	}{
		{toxic.ProtocolHTTP1, func(l *wiretest.Link) func() { return l.Add(0, toxic.Hang{Select: toxic.All}) }},
		{toxic.ProtocolTCP, func(l *wiretest.Link) func() {
			return l.AddOn(0, toxic.Both, toxic.Latency{Delay: time.Hour, Select: toxic.All})
		}},
	} {
		t.Run(tt.protocol, func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address(), func(c *Config) { c.Protocol = tt.protocol })
			defer tt.add(l)()
			c := l.Dial()
			c.Send(wiretest.Get)
			wiretest.Eventually(t, "it is counted", func() bool { return l.Received(toxic.Upstream) == uint64(len(wiretest.Get)) })
			if n, back := l.Bytes(toxic.Both), l.Received(toxic.Downstream); n != 0 || back != 0 {
				t.Errorf("%d bytes passed, %d came back, want none", n, back)
			}
			c.Close()
			if tt.protocol == toxic.ProtocolHTTP1 {
				l.Next()
				return
			}
			l.Close()
			l.Next()
		})
	}
}

// TestReceivedInSmall: so are many small messages, whichever way they are carried.
func TestReceivedInSmall(t *testing.T) {
	const messages = 100
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address(), func(c *Config) { c.Protocol = toxic.ProtocolTCP })
	c := l.Dial()
	var up *wiretest.Caller
	for range messages {
		c.Send(wiretest.Get)
		if up == nil {
			up = d.Take()
		}
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
	}
	wiretest.Eventually(t, "it is counted", func() bool { return l.Received(toxic.Both) == l.Bytes(toxic.Both) })
	if up, down := l.Received(toxic.Upstream), l.Received(toxic.Downstream); up != uint64(messages*len(wiretest.Get)) || down != uint64(messages*len(wiretest.OK)) {
		t.Errorf("%d bytes received up, %d down, want %d, %d", up, down, messages*len(wiretest.Get), messages*len(wiretest.OK))
	}
	c.Close()
	up.Close()
	l.Next()
}

// TestReceivedInBulk: what is spliced is counted, too.
func TestReceivedInBulk(t *testing.T) {
	const size = 8 << 20
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address(), func(c *Config) { c.Protocol = toxic.ProtocolTCP })
	c := l.Dial()
	go func() { _, _ = c.Write(make([]byte, size)); _ = c.CloseWrite() }() // ends with the test's connection
	up := d.Take()
	if n, err := io.Copy(io.Discard, up.In); n != size || err != nil {
		t.Fatalf("%d bytes came, %v", n, err)
	}
	wiretest.Eventually(t, "it is counted", func() bool { return l.Received(toxic.Upstream) == size && l.Bytes(toxic.Upstream) == size })
	up.Close()
	l.Next()
}
