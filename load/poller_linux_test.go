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
	net := &epoll{loop: l}
	l.net = net
	p := &pool{open: 1}
	c := l.place(p)
	c.fd, c.state = a, open
	event := unix.EpollEvent{Fd: c.slot, Pad: c.generation}
	if net.connOf(&event) != c {
		t.Error("the event's connection is not found")
	}
	l.drop(c) // closes a
	if again := l.place(p); again != c {
		t.Fatal("the place is not used again")
	}
	c.state = open
	if net.connOf(&event) != nil {
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
	g.Schedule = Constant(1000, 100*time.Millisecond)
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
	epollOf(t, l).poller.noPwait2 = true
	if err := l.run(); err != nil || n != 100 {
		t.Errorf("%d samples of 100, error %v", n, err)
	}
}

func TestLineOfExchanges(t *testing.T) {
	var q line
	e := make([]exchange, 4)
	for i := range e {
		q.push(&e[i])
	}
	q.remove(&e[1]) // middle
	q.remove(&e[3]) // last
	q.remove(&e[0]) // first
	if q.first != &e[2] || q.last != &e[2] || e[2].next != nil || e[2].prev != nil {
		t.Errorf("got %v .. %v", q.first, q.last)
	}
	q.remove(&e[2])
	if q.first != nil || q.last != nil {
		t.Error("an empty line has members")
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
