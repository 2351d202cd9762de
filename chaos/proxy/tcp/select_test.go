package tcp

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// TestStreamTakesItsShare: a part of the connections, those with a number, the
// same for the same seed.
func TestStreamTakesItsShare(t *testing.T) {
	d := wiretest.NewDependency(t)
	hits := func(seed uint64, tx toxic.Toxic) (pattern string) {
		l := listen(t, d.Address(), func(c *Config) { c.Seed = seed })
		defer l.AddOn(6, toxic.Both, tx)()
		for range 60 {
			conn, err := net.Dial("tcp", l.Addr())
			if err == nil {
				conn.SetDeadline(time.Now().Add(wiretest.Patience))
				if _, err = conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					t.Fatalf("connection: %v", err)
				}
				conn.Close()
			}
			switch x := l.Next(); {
			case x.Ending == evidence.Broken && x.HitBy(6):
				pattern += "x"
			case x.Ending == evidence.Failed && x.Faults == 0:
				pattern += "."
			default:
				t.Fatalf("recorded %+v", x)
			}
		}
		return pattern
	}
	d.Close() // so that those that are spared fail
	some := toxic.Down{Select: toxic.Select{Share: 0.5}}
	a := hits(7, some)
	if n := strings.Count(a, "x"); n < 15 || n > 45 {
		t.Errorf("a share of 50%% took %d of 60", n)
	}
	if b := hits(7, some); b != a {
		t.Errorf("the same seed took\n%s, then\n%s", a, b)
	}
	if b := hits(8, some); b == a {
		t.Error("another seed took the same")
	}
	for _, tt := range []struct {
		conns toxic.Select
		want  string
	}{
		{toxic.Select{Share: 1, Match: &toxic.Match{Connection: 3}}, "..x" + strings.Repeat(".", 57)},
		{toxic.Select{Share: 1, First: 2}, "xx" + strings.Repeat(".", 58)},
		{toxic.Select{Share: 1, Every: 3}, strings.Repeat("..x", 20)},
		{toxic.Select{Share: 1, First: 5, Every: 2}, ".x.x" + strings.Repeat(".", 56)},
	} {
		if got := hits(7, toxic.ResetPeer{Select: tt.conns}); got != tt.want {
			t.Errorf("%v took\n%s, want\n%s", tt.conns, got, tt.want)
		}
	}
}

// TestStreamCycles: a toxic that comes and goes holds what is sent while it is
// there, and lets go of it when it goes, and so on.
func TestStreamCycles(t *testing.T) {
	l, c, up := linked(t)
	cycle := toxic.Cycle{On: 120 * time.Millisecond, Off: 80 * time.Millisecond}
	remove := l.AddOn(4, toxic.Both, toxic.Partition{Select: toxic.Select{Share: 1, Cycle: &cycle}})
	held, passed := 0, 0
	for begin := time.Now(); (held < 3 || passed < 3) && time.Since(begin) < wiretest.Patience; {
		sent := time.Now()
		c.Send("x")
		up.Expect("x")
		if time.Since(sent) > 40*time.Millisecond {
			held++
		} else {
			passed++
			time.Sleep(10 * time.Millisecond)
		}
	}
	if held < 3 || passed < 3 {
		t.Errorf("%d messages were held and %d passed, want some of each", held, passed)
	}
	remove()
	time.Sleep(cycle.Off) // it does not come again
	for range 20 {
		sent := time.Now()
		c.Send("x")
		up.Expect("x")
		if took := time.Since(sent); took > cycle.On {
			t.Errorf("healed, a message took %v", took)
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.closes(c, up, 1<<4)
	if n := l.Hit(4); n != 1 {
		t.Errorf("it hit %d connections, want 1", n)
	}
}

// TestStreamGrows: a toxic that grows takes more and more of the connections that
// are open, and each that comes with the chance that it has by then.
func TestStreamGrows(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	const conns = 40
	for range conns {
		l.Dial()
		d.Take()
	}
	l.AddOn(1, toxic.Both, toxic.Partition{Select: toxic.Select{Share: 1, Ramp: hour}})
	if n := l.Hit(1); n > 0 {
		t.Errorf("it has %d connections at once", n)
	}
	l.AddOn(2, toxic.Both, toxic.Partition{Select: toxic.Select{Share: 1, Ramp: 400 * time.Millisecond}})
	var seen []uint64
	for n := uint64(0); n < conns; time.Sleep(time.Millisecond) {
		if before := n; len(seen) == 0 || l.Hit(2) != before {
			n = l.Hit(2)
			seen = append(seen, n)
		}
	}
	if len(seen) < 4 {
		t.Errorf("it grew in these steps: %v", seen)
	}
	l.AddOn(3, toxic.Both, toxic.Partition{Select: toxic.Select{Share: 0.5, Ramp: time.Millisecond}})
	time.Sleep(5 * time.Millisecond)
	wiretest.Eventually(t, "half of them are taken", func() bool { return l.Hit(3) >= conns/4 })
	if n := l.Hit(3); n > conns*3/4 {
		t.Errorf("a share of 50%% has grown to %d of %d", n, conns)
	}
	l.Close()
	for range conns {
		l.recordedAs(evidence.Cut)
	}
}

// TestStreamLatencyGrows in its delay, for every connection.
func TestStreamLatencyGrows(t *testing.T) {
	l, c, up := linked(t)
	remove := l.AddOn(0, toxic.Upstream, toxic.Latency{Delay: hour, Select: toxic.Select{Share: 1, Ramp: 1000 * hour}})
	c.Send("at first next to nothing")
	up.Expect("at first next to nothing")
	remove()
	l.AddOn(1, toxic.Upstream, toxic.Latency{Delay: 200 * time.Millisecond, Select: toxic.Select{Share: 1, Ramp: time.Second}})
	for begin := time.Now(); time.Since(begin) < 1300*time.Millisecond; {
		sent := time.Now()
		c.Send("x")
		up.Expect("x")
		least := min(sent.Sub(begin), time.Second) / 5
		if took := time.Since(sent); took < least {
			t.Errorf("%v after it came a message takes %v, want %v at least", sent.Sub(begin), took, least)
		}
	}
	l.closes(c, up, 3)
}

// TestStreamMaxActive: of the connections it takes a toxic holds no more than it
// may, and counts the others.
func TestStreamMaxActive(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	l.AddOn(5, toxic.Both, toxic.Partition{Select: toxic.Select{Share: 1, MaxActive: 2}})
	held := []*wiretest.Caller{l.Dial(), l.Dial()}
	var pass []*wiretest.Caller
	for range 3 {
		c := l.Dial()
		up := d.Take()
		c.Send("passes")
		up.Expect("passes")
		pass = append(pass, c)
		c.CloseWrite()
		up.CloseWrite()
		c.End()
		l.tellsOf(evidence.Answered, 0)
	}
	if n := l.Overflow(5); n != uint64(len(pass)) {
		t.Errorf("%d went free, want %d", n, len(pass))
	}
	transport.Reset(held[0].TCPConn)
	held[0].Close()
	remove := l.AddOn(6, toxic.Both, toxic.ResetPeer{Select: toxic.Select{Share: 1, First: 1}}) // which ends one that is held
	if x := l.Next(); !x.HitBy(5) || x.Conn != 1 {
		t.Errorf("recorded %+v", x)
	}
	remove()
	again := l.Dial()
	again.Send("held")
	if n := l.Overflow(5); n != 3 {
		t.Errorf("%d went free, want 3: there is room again", n)
	}
	again.Silent()
	l.Close()
	l.recordedAs(evidence.Cut)
	l.recordedAs(evidence.Cut)
}
