package load

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/load/arrivals"
)

func TestLoopTellsGenerationsApart(t *testing.T) {
	a, b, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(b)
	l := &loop{stats: &loopStats{}}
	net := &epoll{loop: l}
	l.net = net
	p := &pool{open: 1}
	c := l.newConn(p)
	c.fd, c.state = a, open
	event := unix.EpollEvent{Fd: c.slot, Pad: c.generation}
	if net.connOf(&event) != c {
		t.Error("the event's connection is not found")
	}
	l.drop(c) // closes a
	if again := l.newConn(p); again != c {
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
	g.Schedule = arrivals.Constant(1000, 100*time.Millisecond)
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
	epollOf(t, l).poller.NoPwait2 = true
	if err := l.run(); err != nil || n != 100 {
		t.Errorf("%d samples of 100, error %v", n, err)
	}
}

func TestLineOfExchanges(t *testing.T) {
	var q timeoutList
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
	for _, transport := range Transports() {
		b.Run(transport, func(b *testing.B) {
			if transport == IOURing && !ringAllowed() {
				b.Skip("this kernel, or a sandbox, has no io_uring for us")
			}
			addr := listen(b, saysAnything).addr
			b.ReportAllocs()
			// All are due at the start: they go as fast as 64 connections let them.
			p := Plan{
				Schedule: arrivals.Constant(1e9, time.Duration(b.N)), Transport: transport,
				Run: 1, Loops: 1, MaxConns: 64, Grace: time.Minute, Routes: []Route{{Addr: addr}},
			}
			b.ResetTimer()
			if err := Run(b.Context(), p, time.Now(), func(int, Sample) {}); err != nil {
				b.Fatal(err)
			}
		})
	}
}
