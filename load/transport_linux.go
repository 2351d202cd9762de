package load

import "sync"

var systemTransports = map[string]func(*loop) (transport, error){
	"":      newBest,
	Epoll:   newEpoll,
	IOURing: newSubmit,
}

// bestTransport is io_uring where we may have it; a container's seccomp filter
// mostly forbids it.
var bestTransport = sync.OnceValue(func() string {
	if hasIOURing() {
		return IOURing
	}
	return Epoll
})

// newBest makes the best transport. A ring may be refused though a small one
// was not, for its size: then it is epoll.
func newBest(l *loop) (transport, error) {
	if bestTransport() == IOURing {
		if t, err := newSubmit(l); err == nil {
			return t, nil
		}
	}
	return newEpoll(l)
}
