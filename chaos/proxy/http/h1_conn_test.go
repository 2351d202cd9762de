package http

import (
	"net"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
)

// bare is a connection that no goroutine serves.
func bare(t *testing.T) (c *h1Conn, caller net.Conn) {
	t.Helper()
	r := &Relay{conns: map[connection]struct{}{}}
	r.life.Start()
	r.toxics.Store(new([]*active))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	caller, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c = newH1Conn(r, 1, accepted.(*net.TCPConn))
	t.Cleanup(func() {
		caller.Close()
		c.shut(false)
	})
	return c, caller
}

// TestNoWakeIsLost: a wake between the look at the state and the read ends the
// read, though the read sets a deadline of its own.
func TestNoWakeIsLost(t *testing.T) {
	for _, tt := range []struct {
		name  string
		until time.Time
	}{
		{"without a time to wait for", time.Time{}},
		{"in a delay", time.Now().Add(time.Hour)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := bare(t)
			for range 3 { // and it is as before each time
				c.seen = c.wakes.Load()
				c.until = tt.until
				c.wake()
				returned := make(chan error)
				go func() { returned <- c.read() }()
				select {
				case err := <-returned:
					if err != nil {
						t.Fatal(err)
					}
				case <-time.After(wiretest.Patience):
					t.Fatal("the read goes on")
				}
			}
		})
	}
}

// TestEndingsWhileClosing: what seems to be anyone's fault then is ours.
func TestEndingsWhileClosing(t *testing.T) {
	for how, want := range map[evidence.Ending]evidence.Ending{
		evidence.CallerGone: evidence.Cut,
		evidence.Failed:     evidence.Cut,
		evidence.Broken:     evidence.Broken,
	} {
		c, _ := bare(t)
		var got []evidence.Ending
		c.relay.Record(time.Now(), func(x evidence.Exchange) { got = append(got, x.Ending) })
		c.begin(false, nil)
		c.relay.life.Close()
		c.end(how)
		c.end(evidence.Failed) // again means nothing
		if len(got) != 1 || got[0] != want {
			t.Errorf("%v: observed %v, want once %v", how, got, want)
		}
		if n := c.relay.InFlight(); n != 0 {
			t.Errorf("%v: %d in flight", how, n)
		}
	}
}
