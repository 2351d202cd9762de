//go:build !portable

package load

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/load/poll"
)

var systemTransports = map[string]func(*loop) (transport, error){
	"":      newBest,
	Epoll:   newEpoll,
	IOURing: newIOUring,
}

// bestTransport is io_uring where it is the better one and we may have it: a
// container's seccomp filter mostly forbids it. Else it is epoll, which alone
// can coalesce.
func bestTransport(ring bool) string {
	if ring && ringAllowed() {
		return IOURing
	}
	return Epoll
}

var ringAllowed = sync.OnceValue(poll.HasRing)

// newBest makes the best transport. A ring may be refused though a small one
// was not, for its size: then it is epoll.
func newBest(l *loop) (transport, error) {
	if bestTransport(l.ring) == IOURing {
		if t, err := newIOUring(l); err == nil {
			return t, nil
		}
	}
	return newEpoll(l)
}

// raiseFileLimit allows the process as many open files as the system lets it
// have without privileges.
func raiseFileLimit() {
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) == nil && lim.Cur < lim.Max {
		lim.Cur = lim.Max
		// If it is refused, dials past the limit come out as Unsent.
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &lim)
	}
}
