package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// transport carries the bytes of one loop's connections. The loop is the only
// caller, but for wake. What happens on a connection the loop hears through
// its methods
//
//	opened(c)      or dialFailed(c, err): once after each dial
//	received(c, p) bytes that came, valid during the call
//	ended(c)       the peer has sent its last
//	broken(c)      the connection is of no use any more
//
// from inside of deliver, and of dial where that ends at once. After a close, and
// after broken or dialFailed, nothing more is heard of that connection; the
// loop closes it all the same.
type transport interface {
	// dial begins to open a connection to where its pool leads.
	dial(c *conn)
	// adopt takes over a connection that package net has opened. What is heard of
	// it begins with what is received.
	adopt(c *conn, from net.Conn) error
	// send takes p whole: what cannot go now goes as soon as it can. It returns
	// false if the connection is broken.
	send(c *conn, p []byte) bool
	// close closes a connection, at whatever stage it is.
	close(c *conn)
	// wait sleeps until something happens, or for timeout; 0 does not block.
	// elapsed reports that nothing came before the timeout: not so after a signal.
	wait(timeout time.Duration) (elapsed bool, err error)
	// deliver calls the loop for what the last wait has found.
	deliver()
	// wake ends a wait. Any goroutine may call it.
	wake()
	// stop frees what the transport holds; all connections are closed.
	stop()
}

// socket is what a transport keeps about a connection.
type socket struct {
	fd        int     // -1 if there is none
	unwritten []byte  // what the kernel has not taken yet
	out       []byte  // of io_uring: what the kernel is to send
	sending   bool    // of io_uring: it has not said that this is done
	entry     uint32  // of io_uring: where in the ring
	goConn    *goConn // of the portable transport
}

// writing reports whether the kernel has not taken all yet.
func (s *socket) writing() bool { return s.sending || len(s.unwritten) > 0 }

// readSize is how much one read takes at most.
const readSize = 64 << 10

// token means one connection, and none that has its slot later.
type token struct {
	conn       *conn
	generation int32
}

// The transports that a plan can name.
const (
	Epoll    = "epoll"
	IOURing  = "io_uring"
	Portable = "portable"
)

// transportOf returns what makes the transport that a plan names; "" is the
// best one that the system has.
func transportOf(name string) (func(*loop) (transport, error), error) {
	if name == Portable {
		return newPortable, nil
	}
	if make, ok := systemTransports[name]; ok {
		return make, nil
	}
	return nil, fmt.Errorf("transport %q is not one of this system's: %s", name, strings.Join(Transports(), ", "))
}

// Transports are the names that a plan can choose from on this system.
func Transports() []string {
	names := []string{Portable}
	for name := range systemTransports {
		if name != "" && name != Portable {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// isEnd reports whether a read failed because the peer has sent its last.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }

// TransportName is the transport that a plan uses.
func TransportName(p Plan) string {
	if p.Transport != "" {
		return p.Transport
	}
	g, err := prepare(p)
	return bestTransport(err != nil || g.ring)
}
