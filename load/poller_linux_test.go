package load

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Both ways to wait: epoll_pwait2, and ppoll where the kernel has no such call.
func eachPoller(t *testing.T, test func(t *testing.T, p *poller)) {
	for _, old := range []bool{false, true} {
		name := "epoll_pwait2"
		if old {
			name = "ppoll"
		}
		t.Run(name, func(t *testing.T) {
			p, err := newPoller()
			if err != nil {
				t.Fatal(err)
			}
			defer p.close()
			p.noPwait2 = old
			p.wait(0) // the eventfd is writable, which is news once
			test(t, p)
		})
	}
}

func TestPollerWaitsItsTime(t *testing.T) {
	eachPoller(t, func(t *testing.T, p *poller) {
		for _, timeout := range []time.Duration{0, 300 * time.Microsecond, 5 * time.Millisecond} {
			// A signal may cut it short, and says so.
			for elapsed := false; !elapsed; {
				begin := time.Now()
				events, done, err := p.wait(timeout)
				if err != nil || len(events) > 0 {
					t.Fatalf("got %v, %v", events, err)
				}
				if took := time.Since(begin); done && took < timeout {
					t.Errorf("waited %v, want %v", took, timeout)
				}
				elapsed = done
			}
		}
	})
}

func TestPollerWakes(t *testing.T) {
	eachPoller(t, func(t *testing.T, p *poller) {
		go p.wake()
		for {
			events, elapsed, err := p.wait(time.Hour)
			if err != nil || elapsed {
				t.Fatalf("elapsed %v, error %v", elapsed, err)
			}
			if len(events) > 0 {
				if events[0].Fd != wakeSlot {
					t.Errorf("got an event of slot %d", events[0].Fd)
				}
				return
			}
		}
	})
}

// An event names the connection it is about, not the place it had.
func TestPollerTellsGenerationsApart(t *testing.T) {
	eachPoller(t, func(t *testing.T, p *poller) {
		a, b, err := socketpair()
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(a)
		defer unix.Close(b)
		if err := p.add(a, 5, 7); err != nil {
			t.Fatal(err)
		}
		events, _, err := p.wait(0)
		if err != nil || len(events) != 1 || events[0].Fd != 5 || events[0].Pad != 7 {
			t.Errorf("got %+v, %v", events, err)
		}
	})
}

func TestLoopTellsGenerationsApart(t *testing.T) {
	a, b, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(b)
	l := &loop{}
	c := l.place()
	c.fd, c.pool, c.state = a, &pool{open: 1}, busy
	event := unix.EpollEvent{Fd: c.slot, Pad: c.generation}
	if l.connOf(&event) != c {
		t.Error("the event's connection is not found")
	}
	l.drop(c) // closes a
	if again := l.place(); again != c {
		t.Fatal("the place is not used again")
	}
	c.state = busy
	if l.connOf(&event) != nil {
		t.Error("an event of a closed connection is taken for one of the next in its place")
	}
}

func socketpair() (a, b int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	return fds[0], fds[1], err
}

// The whole loop on an old kernel.
func TestRunOnOldKernel(t *testing.T) {
	g := prepared(t, listen(t, says(okAnswer)).addr)
	g.schedule = Constant(1000, 100*time.Millisecond)
	g.end = time.Minute
	n := 0
	l, err := newLoop(g, 0, newClock(time.Now()), func(_ int, s Sample) {
		n++
		if s.Outcome != OK {
			t.Errorf("arrival %d: %v", s.ID, s.Outcome)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	g.shards = 1
	l.poller.noPwait2 = true
	if err := l.run(); err != nil || n != 100 {
		t.Errorf("%d samples of 100, error %v", n, err)
	}
}

func TestListOfConnections(t *testing.T) {
	var l, other list
	c := make([]conn, 4)
	for i := range c {
		l.push(&c[i])
	}
	c[1].leave() // middle
	c[3].leave() // last
	c[0].leave() // first
	other.push(&c[1])
	c[3].leave() // twice is once
	if l.first != &c[2] || l.last != &c[2] || other.first != &c[1] || c[2].next != nil || c[2].prev != nil {
		t.Errorf("got %v .. %v", l.first, l.last)
	}
	c[2].leave()
	if l.first != nil || l.last != nil {
		t.Error("an empty list has members")
	}
}

func BenchmarkLoopback(b *testing.B) {
	addr := listen(b, saysAnything).addr
	b.ReportAllocs()
	// All are due at the start: they go as fast as 64 connections let them.
	p := Plan{Schedule: Constant(1e9, time.Duration(b.N)), Run: 1, Loops: 1, MaxConns: 64, Grace: time.Minute, Routes: []Route{{Addr: addr}}}
	b.ResetTimer()
	if err := Run(b.Context(), p, time.Now(), func(int, Sample) {}); err != nil {
		b.Fatal(err)
	}
}
