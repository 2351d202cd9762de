package load

import "sync"

var systemTransports = map[string]func(*loop) (transport, error){
	"":      newBest,
	Epoll:   newEpoll,
	IOURing: newSubmit,
}

// bestTransport is epoll for loops that may gather, which it alone can; else
// io_uring where we may have it: a container's seccomp filter mostly forbids it.
func bestTransport(gather bool) string {
	if !gather && ringAllowed() {
		return IOURing
	}
	return Epoll
}

var ringAllowed = sync.OnceValue(hasIOURing)

// newBest makes the best transport. A ring may be refused though a small one
// was not, for its size: then it is epoll.
func newBest(l *loop) (transport, error) {
	if bestTransport(l.gather) == IOURing {
		if t, err := newSubmit(l); err == nil {
			return t, nil
		}
	}
	return newEpoll(l)
}
