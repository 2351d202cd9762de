package tcp

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// listener is the socket that callers connect to. While it is paused
// connections are refused, and the address stays bound.
type listener struct {
	on     poller
	fd     int
	addr   netip.AddrPort
	paused bool
	more   bool          // there may be a connection to accept
	retry  time.Duration // when to try again to accept or to open; never if there is nothing to try
}

const (
	listenerSlot  = -2 // marks events of the first relay's listener; that of the next is lower by 1
	listenBacklog = 4096
	acceptBatch   = 64                   // connections that one turn accepts
	listenPause   = 5 * time.Millisecond // before another try
)

// openListener listens on host:port, by a network device alone unless it is "".
func openListener(on poller, listen, device string) (d *listener, err error) {
	to, err := net.ResolveTCPAddr("tcp", listen)
	if err != nil {
		return nil, err
	}
	addr := to.AddrPort()
	if !addr.Addr().IsValid() {
		addr = netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port())
		if !hasIPv6() {
			addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		}
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	d = &listener{on: on, retry: never}
	if d.fd, d.addr, err = on.listen(addr); err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: net.TCPAddrFromAddrPort(addr), Err: err}
	}
	if device != "" {
		if err := on.bindToDevice(d.fd, device); err != nil {
			d.close()
			return nil, fmt.Errorf("listen on device %s: %w", device, err)
		}
	}
	return d, nil
}

// due is when it has something to do: never, or 0 for now.
func (d *listener) due() time.Duration {
	if d.more {
		return 0
	}
	return d.retry
}

func (d *listener) close() { d.on.closeSocket(d.fd) }

// sync pauses the listener while a toxic refuses every connection.
func (d *listener) sync(toxics *connToxics, now time.Duration) {
	refusesAll := slices.ContainsFunc(toxics.list, func(a *activeConn) bool {
		t, ok := a.toxic.(toxic.Down)
		return ok && t.RefusesAll()
	})
	switch {
	case refusesAll == d.paused:
	case refusesAll:
		if d.on.pauseListening(d.fd) == nil {
			d.paused, d.more = true, false
		}
	default:
		d.reopen(now)
	}
}

// reopen listens again. Another process may have bound the address meanwhile, with
// SO_REUSEADDR as here: then it is tried again every listenPause.
func (d *listener) reopen(now time.Duration) {
	if d.on.resumeListening(d.fd) != nil {
		d.retry = now + listenPause
		return
	}
	d.paused, d.more, d.retry = false, true, never
}

// accept takes the connections that wait.
func (l *loop) accept() {
	busy := l.accepting[:0]
	for _, r := range l.accepting {
		l.acceptOf(r)
		if r.listener.due() != never {
			busy = append(busy, r)
		}
	}
	clear(l.accepting[len(busy):])
	l.accepting = busy
}

// acceptOf takes those of one relay.
func (l *loop) acceptOf(r *Relay) {
	d := r.listener
	if d.retry <= l.now {
		d.retry = never
		if d.paused {
			d.sync(r.toxics, l.now)
		} else {
			d.more = true
		}
	}
	if d.paused {
		d.more = false
		return
	}
	for n := 0; d.more && n < acceptBatch; n++ {
		fd, errno := d.on.accept(d.fd)
		switch errno {
		case 0:
			l.admit(r, fd)
		case syscall.EINTR, syscall.ECONNABORTED:
		case syscall.EAGAIN:
			d.more = false
		default:
			// Out of file descriptors: the connections there are must not suffer
			// from it.
			d.more, d.retry = false, l.now+listenPause
		}
	}
}
