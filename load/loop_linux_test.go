package load

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/load/poll"
)

// stepper is a loop that a test moves turn by turn: arrivals fall due when the
// test says so, and no machine can be too busy for it.
type stepper struct {
	*loop
	t       *testing.T
	samples []Sample
}

func step(t *testing.T, addr string) *stepper {
	t.Helper()
	return stepRoute(t, Route{Addr: addr, Timeout: patient})
}

func stepRoute(t *testing.T, r Route) *stepper {
	t.Helper()
	g, err := prepare(Plan{Schedule: at(time.Hour), Run: 1, Loops: 1, Grace: patient, Routes: []Route{r}})
	if err != nil {
		t.Fatal(err)
	}
	s := &stepper{t: t}
	runtime.LockOSThread() // an io_uring is its first user's
	t.Cleanup(runtime.UnlockOSThread)
	s.loop, err = newLoop(g, 0, newClock(time.Now()), func(_ int, sample Sample) { s.samples = append(s.samples, sample) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	s.start()
	t.Cleanup(s.stopStripe)
	return s
}

// due makes an arrival fall due now.
func (s *stepper) due() {
	later := s.next
	s.next = arrival{id: later.id, intended: s.clock.now()}
	s.stripe = &script{times: []time.Duration{time.Hour}}
}

// until turns the loop until something holds.
func (s *stepper) until(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patient); !holds(); {
		if time.Now().After(deadline) {
			s.t.Fatalf("still not after %v: %s", patient, what)
		}
		if err := s.turn(); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *stepper) answered(n int) func() bool {
	return func() bool { return len(s.samples) == n }
}

// epollOf is the loop's transport, where a test is about epoll.
func epollOf(t *testing.T, l *loop) *epoll {
	t.Helper()
	e, ok := l.net.(*epoll)
	if !ok {
		t.Skip("about epoll")
	}
	return e
}

type script struct{ times []time.Duration }

func (s *script) Next() (time.Duration, bool) {
	if len(s.times) == 0 {
		return 0, false
	}
	t := s.times[0]
	s.times = s.times[1:]
	return t, true
}

// A server may close a connection that idles, or say something there. That is
// seen, and the connection not used: the next request comes on a new one.
func TestIdleCloseIsNoFailure(t *testing.T) {
	const farewell = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
	for _, tt := range []struct {
		name, farewell string
		closes         bool
	}{
		{"closed", "", true},
		{"closed with a word", farewell, true},
		{"a word, but left open", farewell, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answered, left := make(chan bool, 1), make(chan bool, 1)
			addr := listen(t, each(func(c net.Conn, _ *http.Request) bool {
				io.WriteString(c, okAnswer)
				select {
				case <-answered:
				case <-t.Context().Done():
					return false
				}
				io.WriteString(c, tt.farewell)
				if tt.closes {
					c.Close()
				}
				left <- true
				hang(c)
				return false
			})).addr
			s := step(t, addr)
			s.due()
			s.until("the first is answered", s.answered(1))
			if s.pools[0].open != 1 || len(s.pools[0].ready) == 0 {
				t.Fatal("the connection is not kept")
			}
			answered <- true
			<-left // and loopback has delivered it by then
			s.until("the idle connection is dropped", func() bool { return s.pools[0].open == 0 })
			s.due()
			s.until("the second is answered", s.answered(2))
			for _, sample := range s.samples {
				if sample.Outcome != OK {
					t.Errorf("arrival %d: got %v", sample.ID, sample.Outcome)
				}
			}
		})
	}
}

// In one batch of events a closed idle connection is taken out of use before
// anything is sent, wherever in the batch its event is.
func TestIdleCloseInTheSameTurn(t *testing.T) {
	leave, left := make(chan bool, 1), make(chan bool, 1)
	addr := listen(t, each(func(c net.Conn, _ *http.Request) bool {
		io.WriteString(c, okAnswer)
		select {
		case <-leave:
			c.Close()
			left <- true
		case <-t.Context().Done():
		}
		return false
	})).addr
	s := step(t, addr)
	s.due()
	s.until("the first is answered", s.answered(1))
	leave <- true
	<-left
	net := epollOf(t, s.loop)
	events, _, err := net.poller.Wait(patient)
	if err != nil || len(events) != 1 {
		t.Fatalf("%d events, error %v", len(events), err)
	}
	// Another connection's event comes before it, and an arrival falls due.
	s.due()
	net.handle(append([]unix.EpollEvent{{Fd: poll.WakeSlot}}, slices.Clone(events)...))
	if s.next.intended != time.Hour {
		t.Error("an arrival that falls due during a batch waits for its end")
	}
	s.until("the second is answered", s.answered(2))
	if got := s.samples[1].Outcome; got != OK {
		t.Errorf("got %v", got)
	}
}

// What falls due between the cancellation and its being seen is due all the
// same: it is unsent, not forgotten.
func TestDueWhenHalted(t *testing.T) {
	s := step(t, listen(t, hang).addr)
	s.due()
	s.halt()
	s.until("the arrival is observed", s.answered(1))
	if got := s.samples[0].Outcome; got != Unsent {
		t.Errorf("got %v, want unsent", got)
	}
	if s.next.intended != never || s.unfinished != 0 {
		t.Errorf("still to come: %v, %d unfinished", s.next.intended, s.unfinished)
	}
}

// What is due but cannot be dialled is the host's failure or the service's.
func TestDialErrors(t *testing.T) {
	for errno, want := range map[unix.Errno]Outcome{
		unix.ECONNREFUSED:  Refused,
		unix.ENETUNREACH:   Refused,
		unix.EHOSTUNREACH:  Refused,
		unix.ECONNRESET:    Refused,
		unix.ETIMEDOUT:     TimedOut,
		unix.EMFILE:        Unsent,
		unix.ENFILE:        Unsent,
		unix.ENOBUFS:       Unsent,
		unix.EADDRNOTAVAIL: Unsent,
	} {
		s := step(t, "127.0.0.1:1")
		s.unfinished++
		c := s.newConn(&s.pools[0])
		c.fd, c.state = -1, dialling
		c.pool.open++
		c.pool.dialling++
		s.begin(c, arrival{id: 1}, 5)
		s.dialFailed(c, errno)
		if len(s.samples) != 1 || s.samples[0].Outcome != want {
			t.Errorf("%v: got %+v, want %v", errno, s.samples, want)
		} else if sent := s.samples[0].Sent; (want == Unsent) != (sent == 0) {
			t.Errorf("%v: sent at %v", errno, sent)
		}
	}
}

// A body that never ends costs its connection its time, and nobody else's: a
// turn leaves it for what is due.
func TestEndlessBodyLeavesTheLoopItsTurns(t *testing.T) {
	a, b, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(b)
	s := step(t, "127.0.0.1:1")
	c := s.newConn(&s.pools[0])
	c.fd, c.state, c.codec = a, open, c.pool.codec
	c.pool.open++
	s.begin(c, arrival{id: 1}, 0)
	s.unfinished++
	net := epollOf(t, s.loop)
	net.in = net.in[:16] // a turn reads 16 times 16 bytes
	if n, errno := poll.Send(b, append([]byte("HTTP/1.1 200 OK\r\n\r\n"), make([]byte, 1000)...)); errno != 0 || n != 1019 {
		t.Fatalf("sent %d, %v", n, errno)
	}
	net.read(c)
	if len(net.unread) != 1 {
		t.Fatalf("%d connections wait for their next turn, want 1", len(net.unread))
	}
	turns := 1
	for ; len(net.unread) > 0; turns++ {
		net.readOn()
	}
	if want := 4; turns != want { // ⌈1019/256⌉
		t.Errorf("%d turns, want %d", turns, want)
	}
}
