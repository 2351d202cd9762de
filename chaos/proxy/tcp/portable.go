//go:build !linux || portable

package tcp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/load/poll"
)

// poller is a loop's sockets, and the events of them, on net.Conn: for systems
// without epoll. Each connection has a goroutine that reads ahead, and one that
// waits for room while the kernel has none; what the loop writes it writes itself.
// Sockets have numbers of ours.
//
//	net.Conn ──read──▶ socket.in ──event──▶ inbox ──▶ loop ──receive──▶ socket.in
//	net.Conn ◀──────────────── send, without blocking ── loop
type poller struct{ *sockets }

// sockets is what a poller knows. But for Wait, its methods may be called at once.
type sockets struct {
	bell  chan struct{} // has one if the inbox is not empty, or after Wake
	timer *time.Timer   // of Wait
	tasks sync.WaitGroup

	mu    sync.Mutex
	inbox []event
	open  map[int]*socket
	last  int // number that was given

	reading []event // what the loop works off
}

// event is what the kernel's is with epoll: Fd and Pad are slot and generation.
type event struct {
	Fd, Pad int32
	Events  uint32
}

// socketBuffer is what a socket holds at most that the loop has not asked for: as
// much as a kernel's buffer would.
const socketBuffer = 64 << 10

// hungUp is an end by a FIN.
const hungUp = poll.HungUp &^ poll.Broken

// socket is a connection, or a listener.
type socket struct {
	of       *sockets
	slot     int32 // this and turn are set before it has events
	turn     int32
	listener *listening
	to       netip.AddrPort // to dial
	cancel   context.CancelFunc
	conn     *net.TCPConn // nil until it is dialled

	mu      sync.Mutex
	changed *sync.Cond // in is shorter, accepted is, or closed
	in      bytes.Buffer
	ended   bool          // nothing comes after in
	errno   syscall.Errno // because of this; 0 is a FIN
	awaits  bool          // a goroutine waits for room in the kernel
	closed  bool
	hard    bool // by a RST
}

func newPoller() (poller, error) {
	s := &sockets{bell: make(chan struct{}, 1), timer: time.NewTimer(time.Hour), open: map[int]*socket{}}
	s.timer.Stop()
	return poller{s}, nil
}

// Close waits until nothing is under way. Every socket was closed before.
func (s *sockets) Close() { s.tasks.Wait() }

// Wake ends a Wait.
func (s *sockets) Wake() {
	select {
	case s.bell <- struct{}{}:
	default:
	}
}

// Wait is poll.Poller.Wait; its timer is Go's.
func (s *sockets) Wait(timeout time.Duration) (events []event, elapsed bool, err error) {
	switch {
	case timeout == 0:
		select {
		case <-s.bell:
		default:
		}
	case timeout < 0:
		<-s.bell
	default:
		s.timer.Reset(timeout)
		select {
		case <-s.bell:
			s.timer.Stop()
		case <-s.timer.C:
			elapsed = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inbox, s.reading = s.reading[:0], s.inbox
	return s.reading, elapsed, nil
}

// Add begins to tell of a socket, and to dial if that is to be done.
func (s *sockets) Add(fd int, slot, generation int32) error {
	x := s.socket(fd)
	x.slot, x.turn = slot, generation
	switch {
	case x.listener != nil:
		x.listener.serve(x)
	case x.conn == nil:
		ctx, cancel := context.WithTimeout(context.Background(), transport.DialTimeout)
		x.cancel = cancel
		s.tasks.Go(func() { x.dial(ctx) })
	default:
		s.tasks.Go(x.read)
		x.tell(poll.Writable)
	}
	return nil
}

// enter gives a socket its number.
func (s *sockets) enter(x *socket) (fd int) {
	x.of, x.changed = s, sync.NewCond(&x.mu)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	s.open[s.last] = x
	return s.last
}

func (s *sockets) socket(fd int) *socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[fd]
}

// tell gives the loop an event.
func (x *socket) tell(events uint32) {
	x.of.mu.Lock()
	x.of.inbox = append(x.of.inbox, event{x.slot, x.turn, events})
	x.of.mu.Unlock()
	x.of.Wake()
}

// lingerNot lets a connection whose dial is cancelled after the kernel has opened it
// end by a RST: package net closes it before it can be told how.
func lingerNot(_, _ string, raw syscall.RawConn) error {
	var err error
	failed := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	})
	return errors.Join(failed, err)
}

func (x *socket) dial(ctx context.Context) {
	defer x.cancel()
	d := net.Dialer{KeepAlive: -1, Control: lingerNot}
	d.SetMultipathTCP(false)
	conn, err := d.DialContext(ctx, "tcp", x.to.String())
	x.mu.Lock()
	closed := x.closed
	if err != nil {
		x.ended, x.errno = true, errnoOf(err)
	} else {
		x.conn = conn.(*net.TCPConn)
		if !x.hard {
			_ = x.conn.SetLinger(-1) // fails only on a connection that is gone already
		}
	}
	x.mu.Unlock()
	switch {
	case closed && err == nil:
		_ = conn.Close()
	case closed:
	case err != nil:
		x.tell(poll.HungUp)
	default:
		x.tell(poll.Writable)
		x.read()
	}
}

// read reads ahead until the end.
func (x *socket) read() {
	buf := make([]byte, socketBuffer)
	for {
		n, err := x.conn.Read(buf)
		events := uint32(poll.Readable)
		x.mu.Lock()
		x.in.Write(buf[:n])
		if err != nil {
			x.ended = true
			events |= hungUp
			if !errors.Is(err, io.EOF) {
				x.errno = errnoOf(err)
				events |= poll.Broken
			}
		}
		x.mu.Unlock()
		x.tell(events)
		x.mu.Lock()
		for x.in.Len() >= socketBuffer && !x.closed {
			x.changed.Wait()
		}
		over := x.ended || x.closed
		x.mu.Unlock()
		if over {
			return
		}
	}
}

// receive reads without blocking; 0 bytes are the end.
func (s *sockets) receive(fd int, p []byte) (n int, errno syscall.Errno) {
	x := s.socket(fd)
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.in.Len() > 0:
		n, _ = x.in.Read(p) // there is something: it does not fail
		x.changed.Signal()
		return n, 0
	case x.ended:
		return 0, x.errno
	}
	return 0, syscall.EAGAIN
}

// send writes without blocking. Where not all of p has room, an event tells when
// there is some.
func (s *sockets) send(fd int, p []byte) (n int, errno syscall.Errno) {
	x := s.socket(fd)
	n, errno = writeNow(x.conn, p)
	if n < len(p) && (errno == 0 || errno == syscall.EAGAIN) {
		x.mu.Lock()
		defer x.mu.Unlock()
		if !x.awaits {
			x.awaits = true
			s.tasks.Go(x.awaitRoom)
		}
	}
	return n, errno
}

func (x *socket) awaitRoom() {
	waitForRoom(x.conn)
	x.mu.Lock()
	x.awaits = false
	x.mu.Unlock()
	x.tell(poll.Writable)
}

// shutdown ends what we send. It fails only if the peer is gone, which reading shows.
func (s *sockets) shutdown(fd int) { _ = s.socket(fd).conn.CloseWrite() }

// drain drops what a peer has sent already: closed with that unread, the
// connection would end by a RST.
func (s *sockets) drain(fd int, buf []byte) {
	x := s.socket(fd)
	x.mu.Lock()
	conn := x.conn
	x.mu.Unlock()
	for n := 0; conn != nil && n < drainReads; n++ {
		if !readNow(conn, buf) {
			return
		}
	}
}

func (s *sockets) closeSocket(fd int) { s.close(fd, false) }

// resetSocket closes fd with a RST instead of a FIN, dropping what is unsent.
func (s *sockets) resetSocket(fd int) { s.close(fd, true) }

func (s *sockets) close(fd int, hard bool) {
	x := s.socket(fd)
	s.mu.Lock()
	delete(s.open, fd)
	s.mu.Unlock()
	x.mu.Lock()
	x.closed, x.hard = true, hard
	conn := x.conn
	x.changed.Broadcast()
	x.mu.Unlock()
	switch {
	case x.listener != nil:
		x.listener.stop(x)
	case conn == nil && x.cancel != nil:
		x.cancel()
	case conn != nil && hard:
		transport.Reset(conn)
	case conn != nil:
		_ = conn.Close()
	}
}

// connect prepares to dial, which Add begins.
func (s *sockets) connect(addr netip.AddrPort) (fd int, errno syscall.Errno) {
	return s.enter(&socket{to: addr}), syscall.EINPROGRESS
}

// connectError is how a connect that was in progress ended: 0 if it is open.
func (s *sockets) connectError(fd int) syscall.Errno {
	x := s.socket(fd)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.conn == nil {
		return x.errno
	}
	return 0
}
