package http

import (
	"maps"
	"sync"
	"sync/atomic"
)

// interned hands out one string per text, so that the same few methods and
// paths do not become a string each time. Reading takes no lock. It is
// bounded: past maxInterned texts, or for a long one, each call allocates.
type interned struct {
	known atomic.Pointer[map[string]string]
	mu    sync.Mutex // held while adding
}

const (
	maxInterned    = 512
	maxInternedLen = 256
)

func (n *interned) of(text []byte) string {
	known := n.known.Load()
	if known != nil {
		if s, ok := (*known)[string(text)]; ok {
			return s
		}
	}
	s := string(text)
	if len(s) > maxInternedLen || known != nil && len(*known) >= maxInterned {
		return s
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	next := map[string]string{s: s}
	if known = n.known.Load(); known != nil {
		maps.Copy(next, *known)
	}
	n.known.Store(&next)
	return s
}
