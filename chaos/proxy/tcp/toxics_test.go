package tcp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/chaos/unit"
)

const hour = time.Hour

// closes ends a connection from the caller's side, which both sides see as FINs.
func (l *testLink) closes(c, up *wiretest.Caller, faults uint64) {
	l.T.Helper()
	c.CloseWrite()
	if err := up.End(); err != nil {
		l.T.Errorf("the dependency saw %v, want a FIN", err)
	}
	up.Close()
	if err := c.End(); err != nil {
		l.T.Errorf("the caller saw %v, want a FIN", err)
	}
	l.tellsOf(evidence.Answered, faults)
}

// TestStreamDelays: what delays takes its time, and lets go of what it holds when
// it is healed.
func TestStreamDelays(t *testing.T) {
	for _, tt := range []struct {
		short  toxic.ConnToxic
		least  time.Duration // of 3000 bytes
		longer toxic.ConnToxic
	}{
		{toxic.Latency{Delay: 80 * time.Millisecond, Select: toxic.All}, 80 * time.Millisecond, toxic.Latency{Delay: hour, Select: toxic.All}},
		{toxic.Latency{Delay: 80 * time.Millisecond, Jitter: 20 * time.Millisecond, Select: toxic.All}, 60 * time.Millisecond, toxic.Latency{Delay: hour, Select: toxic.All}},
		{toxic.Bandwidth{Rate: 30_000, Select: toxic.All}, 99 * time.Millisecond, toxic.Bandwidth{Rate: 1, Select: toxic.All}},
		{toxic.Slicer{Size: 100, Variation: 50, Delay: 5 * time.Millisecond, Select: toxic.All}, 19 * 5 * time.Millisecond, toxic.Slicer{Size: 1, Delay: hour, Select: toxic.All}},
		{toxic.Flap{Down: 100 * time.Millisecond, Up: hour, Select: toxic.All}, 90 * time.Millisecond, toxic.Flap{Down: hour, Up: hour, Select: toxic.All}},
		{nil, 0, toxic.Timeout{After: hour, Select: toxic.All}},
		{nil, 0, toxic.Timeout{Select: toxic.All}},
		{nil, 0, toxic.Partition{Select: toxic.All}},
		{nil, 0, toxic.Bandwidth{Select: toxic.All}},
	} {
		for _, d := range []toxic.Direction{toxic.Upstream, toxic.Downstream} {
			t.Run(fmt.Sprint(tt.longer, " ", d), func(t *testing.T) {
				l, c, up := linked(t)
				from, to := c, up
				if d == toxic.Downstream {
					from, to = up, c
				}
				text := strings.Repeat("0123456789", 300)
				if tt.short != nil {
					begin := time.Now()
					remove := l.AddOn(3, d, tt.short)
					from.Send(text)
					to.Expect(text)
					if took := time.Since(begin); took < tt.least {
						t.Errorf("it took %v, want %v at least", took, tt.least)
					}
					to.Send("quick") // the other way
					from.Expect("quick")
					remove()
				}
				remove := l.AddOn(5, d, tt.longer)
				from.Send(text)
				if _, cuts := tt.longer.(toxic.Slicer); cuts {
					to.Expect(text[:1])
					text = text[1:]
				}
				to.Silent()
				to.Send("quick")
				from.Expect("quick")
				if n := l.Hit(5); n != 1 {
					t.Errorf("%d connections hit, want 1", n)
				}
				remove()
				to.Expect(text)
				faults := uint64(1 << 5)
				if tt.short != nil {
					faults |= 1 << 3
				}
				l.closes(c, up, faults)
			})
		}
	}
}

// TestStreamBandwidthMakesTheSenderWait: a narrow link is not a deep well.
func TestStreamBandwidthMakesTheSenderWait(t *testing.T) {
	l, c, up := linked(t)
	remove := l.AddOn(0, toxic.Upstream, toxic.Bandwidth{Rate: 1000, Select: toxic.All})
	much := make([]byte, 64<<20)
	c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	n, err := c.Write(much)
	if err == nil || n == 0 {
		t.Fatalf("%d bytes found room somewhere", n)
	}
	remove()
	c.CloseWrite()
	if got, err := io.Copy(io.Discard, up); got != int64(n) || err != nil {
		t.Errorf("%d bytes arrived, and %v; %d were sent", got, err, n)
	}
	up.Close()
	c.End()
	l.tellsOf(evidence.Answered, 1)
}

// TestStreamJitterKeepsOrder: a piece that is drawn short does not overtake.
func TestStreamJitterKeepsOrder(t *testing.T) {
	l, c, up := linked(t)
	l.AddOn(0, toxic.Both, toxic.Latency{Delay: 5 * time.Millisecond, Jitter: 5 * time.Millisecond, Select: toxic.All})
	go func() {
		for i := range 300 {
			fmt.Fprintf(c, "%04d", i)
			time.Sleep(100 * time.Microsecond)
		}
		c.CloseWrite()
	}()
	for i := range 300 {
		up.Expect(fmt.Sprintf("%04d", i))
	}
	if err := up.End(); err != nil {
		t.Errorf("it ended with %v, want a FIN", err)
	}
	up.Close()
	c.End()
	l.tellsOf(evidence.Answered, 1)
}

func TestStreamSlowClose(t *testing.T) {
	l, c, up := linked(t)
	remove := l.AddOn(0, toxic.Upstream, toxic.SlowClose{Delay: 100 * time.Millisecond, Select: toxic.All})
	begin := time.Now()
	c.Send("last")
	c.CloseWrite()
	up.Expect("last")
	if err := up.End(); err != nil || time.Since(begin) < 100*time.Millisecond {
		t.Errorf("a FIN after %v, %v; want one after 100 ms at least", time.Since(begin), err)
	}
	remove()
	remove = l.AddOn(1, toxic.Downstream, toxic.SlowClose{Delay: hour, Select: toxic.All})
	up.Close()
	c.Silent()
	remove()
	if err := c.End(); err != nil {
		t.Errorf("the caller saw %v, want a FIN", err)
	}
	l.tellsOf(evidence.Answered, 0b11)
}

func TestStreamTimeoutCloses(t *testing.T) {
	l, c, up := linked(t)
	begin := time.Now()
	l.AddOn(2, toxic.Both, toxic.Timeout{After: 100 * time.Millisecond, Select: toxic.All})
	c.Send("lost")
	for name, side := range map[string]*wiretest.Caller{"caller": c, "dependency": up} {
		if err := side.End(); err != nil || time.Since(begin) < 100*time.Millisecond {
			t.Errorf("the %s saw %v after %v, want a FIN after 100 ms at least", name, err, time.Since(begin))
		}
	}
	l.tellsOf(evidence.Broken, 1<<2)
}

func TestStreamResetPeer(t *testing.T) {
	for _, after := range []time.Duration{0, 100 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address())
			c := l.Dial()
			up := d.Take()
			begin := time.Now()
			remove := l.AddOn(2, toxic.Both, toxic.ResetPeer{After: after, Select: toxic.All})
			if after > 0 {
				c.Send("passes")
				up.Expect("passes")
			}
			for name, side := range map[string]*wiretest.Caller{"caller": c, "dependency": up} {
				if err := side.End(); !errors.Is(err, syscall.ECONNRESET) || time.Since(begin) < after {
					t.Errorf("the %s saw %v after %v, want a reset after %v at least", name, err, time.Since(begin), after)
				}
			}
			l.tellsOf(evidence.Broken, 1<<2)
			remove()
			again := l.Dial()
			up = d.Take()
			again.Send("fine")
			up.Expect("fine")
			l.closes(again, up, 0)
		})
	}
}

func TestStreamLimitData(t *testing.T) {
	l, c, up := linked(t)
	c.Send("before it counts")
	up.Expect("before it counts")
	l.AddOn(4, toxic.Upstream, toxic.LimitData{Bytes: 10, Select: toxic.All})
	up.Send("the other way is not limited")
	c.Expect("the other way is not limited")
	c.Send("01234567")
	up.Expect("01234567")
	c.Send("89abcdef")
	up.Expect("89")
	for name, side := range map[string]*wiretest.Caller{"caller": c, "dependency": up} {
		if err := side.End(); err != nil {
			t.Errorf("the %s saw %v, want a FIN", name, err)
		}
	}
	l.tellsOf(evidence.Broken, 1<<4)
}

func TestStreamLimitDataHeals(t *testing.T) {
	l, c, up := linked(t)
	limit := l.AddOn(4, toxic.Upstream, toxic.LimitData{Bytes: 10, Select: toxic.All})
	c.Send("01234567")
	up.Expect("01234567")
	// The limit is reached, but the end is still under way when it is healed.
	latency := l.AddOn(5, toxic.Upstream, toxic.Latency{Delay: hour, Select: toxic.All})
	c.Send("89abcdef")
	up.Silent()
	limit()
	latency()
	up.Expect("89abcdef")
	l.closes(c, up, 1<<4|1<<5)
}

func TestStreamDown(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c := l.Dial()
	up := d.Take()
	remove := l.AddOn(0, toxic.Both, toxic.Down{Select: toxic.All})
	for name, side := range map[string]*wiretest.Caller{"caller": c, "dependency": up} {
		if err := side.End(); err != nil {
			t.Errorf("the %s saw %v, want a FIN", name, err)
		}
	}
	l.tellsOf(evidence.Broken, 1)
	if _, err := net.Dial("tcp", l.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dialling gave %v, want refused", err)
	}
	// Nobody else gets the address meanwhile.
	if other, err := net.Listen("tcp", l.Addr()); err == nil {
		t.Log("another process with SO_REUSEADDR can listen there")
		other.Close()
	}
	remove()
	c = l.Dial()
	up = d.Take()
	c.Send("back")
	up.Expect("back")
	l.closes(c, up, 0)
}

func TestStreamSlowConnect(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	remove := l.AddOn(0, toxic.Both, toxic.SlowConnect{Delay: 100 * time.Millisecond, Select: toxic.All})
	begin := time.Now()
	c := l.Dial()
	c.Send("early")
	up := d.Take()
	if took := time.Since(begin); took < 100*time.Millisecond {
		t.Errorf("the dependency was dialled after %v, want 100 ms at least", took)
	}
	up.Expect("early")
	remove()
	l.closes(c, up, 1)

	remove = l.AddOn(1, toxic.Both, toxic.SlowConnect{Delay: hour, Select: toxic.All})
	c = l.Dial()
	c.Send("early")
	d.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := d.Accept(); err == nil {
		t.Error("the dependency was dialled at once")
	}
	remove()
	up = d.Take()
	up.Expect("early")
	l.closes(c, up, 1<<1)
}

// TestStreamPartitionHoldsEnds: neither side learns of the other's end, nor does
// the dependency of new callers, until it heals.
func TestStreamPartitionHoldsEnds(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	closes, resets := l.Dial(), (*wiretest.Caller)(nil)
	upCloses := d.Take()
	resets = l.Dial()
	upResets := d.Take()
	remove := l.AddOn(0, toxic.Both, toxic.Partition{Select: toxic.All})
	closes.Send("bye")
	closes.CloseWrite()
	transport.Reset(resets.TCPConn)
	fresh := l.Dial()
	fresh.Send("anybody?")
	upCloses.Silent()
	upResets.Silent()
	d.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := d.Accept(); err == nil {
		t.Error("the dependency was dialled through the partition")
	}
	remove()
	upCloses.Expect("bye")
	if err := upCloses.End(); err != nil {
		t.Errorf("the dependency saw %v, want a FIN", err)
	}
	if err := upResets.End(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the dependency saw %v, want a reset", err)
	}
	l.tellsOf(evidence.CallerGone, 1)
	upFresh := d.Take()
	upFresh.Expect("anybody?")
	upCloses.Close()
	closes.End()
	l.tellsOf(evidence.Answered, 1)
	l.closes(fresh, upFresh, 1)
}

// TestStreamHalfOpen: what was open when it is injected is lost for good, and
// both sides learn it only when they send.
func TestStreamHalfOpen(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c := l.Dial()
	up := d.Take()
	remove := l.AddOn(0, toxic.Both, toxic.HalfOpen{Select: toxic.All})
	c.Send("lost")
	up.Silent()
	fresh := l.Dial()
	upFresh := d.Take()
	fresh.Send("passes")
	upFresh.Expect("passes")
	remove()
	if err := c.End(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the caller, who has sent, saw %v; want a reset", err)
	}
	up.Silent() // it has not
	up.Send("anybody?")
	if err := up.End(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the dependency saw %v, want a reset", err)
	}
	l.tellsOf(evidence.Broken, 1)
	l.closes(fresh, upFresh, 0)
}

// TestStreamFlapCycles: it goes down and up by itself.
func TestStreamFlapCycles(t *testing.T) {
	l, c, up := linked(t)
	begin := time.Now()
	l.AddOn(0, toxic.Upstream, toxic.Flap{Up: 20 * time.Millisecond, Down: 30 * time.Millisecond, Select: toxic.All})
	for range 100 { // one in each phase, more or less
		c.Send("x")
		up.Expect("x")
		time.Sleep(2 * time.Millisecond)
	}
	// 100 pauses of 2 ms, and while 20 ms of them pass there are 30 down.
	if took := time.Since(begin); took < 400*time.Millisecond {
		t.Errorf("it took %v: it was not down again", took)
	}
	l.closes(c, up, 1)
}

// TestStreamSeedsAreSafe: no value of a toxic hangs or breaks the relay, even one
// that Check would refuse.
func TestStreamSeedsAreSafe(t *testing.T) {
	for _, tx := range []toxic.Toxic{
		toxic.Slicer{Select: toxic.All}, toxic.Slicer{Size: -5, Variation: 100, Delay: -1, Select: toxic.All}, toxic.Bandwidth{Rate: -1, Select: toxic.All},
		toxic.Flap{Select: toxic.All}, toxic.LimitData{Bytes: -1, Select: toxic.All}, toxic.Latency{Delay: -hour, Select: toxic.All}, toxic.SlowClose{Delay: -1, Select: toxic.All},
		toxic.SlowConnect{Delay: -1, Select: toxic.All}, toxic.Down{}, toxic.Timeout{After: -1, Select: toxic.All}, toxic.Down{Select: toxic.Select{Share: unit.Share(-1)}},
	} {
		t.Run(fmt.Sprintf("%#v", tx), func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address())
			c := l.Dial()
			d.Take()
			remove := l.AddOn(0, toxic.Both, tx)
			c.Write([]byte("some bytes"))
			remove()
			transport.Reset(c.TCPConn)
			l.Next()
		})
	}
}
