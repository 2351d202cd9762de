//go:build !linux || portable

package tcp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/load/poll"
)

// listening is the part of a socket that listens. Between pause and resume the
// address is not bound: another process may take it.
type listening struct {
	addr     netip.AddrPort
	open     *net.TCPListener // nil while it is paused
	ended    chan struct{}    // closed when nothing accepts on it any more
	accepted []*net.TCPConn   // guarded by the socket's mu
}

// listen listens on addr.
func (s *sockets) listen(addr netip.AddrPort) (fd int, has netip.AddrPort, err error) {
	open, err := listenOn(addr)
	if err != nil {
		return -1, addr, err
	}
	port := open.Addr().(*net.TCPAddr).AddrPort().Port()
	l := &listening{addr: netip.AddrPortFrom(addr.Addr(), port), open: open}
	return s.enter(&socket{listener: l}), l.addr, nil
}

// bindToDevice is of Linux alone.
func (s *sockets) bindToDevice(int, string) error { return errors.ErrUnsupported }

func listenOn(addr netip.AddrPort) (*net.TCPListener, error) {
	c := net.ListenConfig{KeepAlive: -1}
	c.SetMultipathTCP(false)
	l, err := c.Listen(context.Background(), "tcp", addr.String())
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return nil, op.Err // the caller says of what
	}
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// serve begins to accept: as many as one turn of the loop takes, the others wait in
// the kernel.
func (l *listening) serve(x *socket) {
	open, ended := l.open, make(chan struct{})
	l.ended = ended
	x.of.tasks.Go(func() {
		defer close(ended)
		for {
			conn, err := open.AcceptTCP()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				time.Sleep(listenPause) // out of file descriptors: the connections there are must not suffer from it
				continue
			}
			x.mu.Lock()
			l.accepted = append(l.accepted, conn)
			x.mu.Unlock()
			x.tell(poll.Readable)
			x.mu.Lock()
			for len(l.accepted) >= acceptBatch && l.open == open && !x.closed {
				x.changed.Wait()
			}
			x.mu.Unlock()
		}
	})
}

// stop ends accepting, and resets those that were not taken.
func (l *listening) stop(x *socket) {
	x.mu.Lock()
	open := l.open
	l.open = nil
	x.changed.Broadcast()
	x.mu.Unlock()
	if open == nil {
		return
	}
	_ = open.Close()
	if l.ended != nil {
		<-l.ended // until then the kernel does not refuse
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, conn := range l.accepted {
		transport.Reset(conn)
	}
	l.accepted = nil
}

// pauseListening makes the kernel refuse connections. Those that wait to be
// accepted are reset.
func (s *sockets) pauseListening(fd int) error {
	x := s.socket(fd)
	x.listener.stop(x)
	return nil
}

// resumeListening is the end of pauseListening. Another process may have bound the
// address meanwhile: then it is an error.
func (s *sockets) resumeListening(fd int) error {
	x := s.socket(fd)
	open, err := listenOn(x.listener.addr)
	if err != nil {
		return err
	}
	x.mu.Lock()
	x.listener.open = open
	x.mu.Unlock()
	x.listener.serve(x)
	return nil
}

// accept takes a connection that waits; EAGAIN if there is none.
func (s *sockets) accept(listener int) (fd int, errno syscall.Errno) {
	x := s.socket(listener)
	x.mu.Lock()
	defer x.mu.Unlock()
	waiting := x.listener.accepted
	if len(waiting) == 0 {
		return -1, syscall.EAGAIN
	}
	conn := waiting[0]
	x.listener.accepted = append(waiting[:0], waiting[1:]...)
	x.changed.Signal()
	return s.enter(&socket{conn: conn}), 0
}

// hasIPv6 reports whether there are sockets of it.
var hasIPv6 = sync.OnceValue(func() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err == nil {
		_ = l.Close()
	}
	return err == nil
})
