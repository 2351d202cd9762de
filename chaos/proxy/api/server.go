package api

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/allow"
	"github.com/stormctl/stormctl/chaos/guard"
	"github.com/stormctl/stormctl/chaos/proxy"
)

// Config is what a server needs to know.
type Config struct {
	Allow allow.List // where upstreams may be and proxies may listen, beside loopback
	Token string     // what every request must bear; "" asks for none
	Seed  uint64     // of all chance

	// Tell is told what happens unasked: that a lease has run out. It is called
	// concurrently and must not block; nil discards.
	Tell func(text string)
}

// Server holds proxies and serves the API that changes them. Any number of
// goroutines may use it at once.
type Server struct {
	config   Config
	allow    allowList
	guard    *guard.Guard
	counters counters

	listen func(proxy.Config, func(proxy.Relay)) (proxy.Relay, error) // listen, but for tests

	mu      sync.Mutex // guards what follows; held for a few assignments
	entries map[string]*entry
	closed  bool

	ops     sync.WaitGroup // changes in progress, and relays that are being closed
	closing sync.Once
}

// New is a server without any proxy.
func New(c Config) *Server {
	return &Server{config: c, allow: newAllowList(c.Allow), guard: guard.New(guard.Config{Token: c.Token, MaxBody: maxBody}),
		entries: map[string]*entry{}, listen: listen}
}

// listen returns a relay that is bound and serving, and was prepared before its
// first connection.
func listen(c proxy.Config, prepare func(proxy.Relay)) (proxy.Relay, error) {
	c.Prepare = prepare
	return proxy.Listen(c)
}

// Serve answers on l until ctx is done, and closes l and the server's
// connections then. The proxies stay until Close.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if err := guard.Serve(ctx, l, s); err != nil {
		return fmt.Errorf("the API: %w", err)
	}
	return nil
}

// Close deletes all proxies, and waits until nothing of them is left. Requests
// that change something fail from then on. It may be called again.
func (s *Server) Close() {
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		for range 2 { // once more for what a change in progress has made
			for _, e := range s.all() {
				_ = e.change(func() error { e.delete(); return nil }) // fails only if it is gone
			}
			s.ops.Wait()
		}
	})
}

// begin notes that a change is in progress; s.ops.Done notes its end.
func (s *Server) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errEnding
	}
	s.ops.Add(1)
	return nil
}

// shown is every proxy there is for readers, by name.
func (s *Server) shown() []*entry {
	return slices.DeleteFunc(s.all(), func(e *entry) bool { return !e.isShown() })
}

// all is every proxy there is, and those that are being made or deleted, by
// name.
func (s *Server) all() []*entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*entry, 0, len(s.entries))
	for _, e := range s.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	return all
}

// get is the proxy with that name that there is for readers.
func (s *Server) get(name string) (*entry, error) {
	e := s.lookup(name)
	if e == nil || !e.isShown() {
		return nil, errProxyNotFound
	}
	return e, nil
}

// lookup is the proxy with that name, be it being made or deleted, nil if there
// is none.
func (s *Server) lookup(name string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[name]
}

// claim takes a name for a proxy that is about to be made. It is e's alone
// until forget; readers do not see it before it is made.
func (s *Server) claim(e *entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[e.name] != nil {
		return errProxyExists
	}
	s.entries[e.name] = e
	return nil
}

func (s *Server) forget(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[e.name] == e {
		delete(s.entries, e.name)
	}
}

// patience bounds how long a request waits for a relay to close. Its listener
// and its connections are closed at once, and what else it waits for is not
// the caller's business.
const patience = time.Second

// retire closes a relay. An operation is in progress.
func (s *Server) retire(r proxy.Relay) {
	closed := make(chan struct{})
	s.ops.Go(func() {
		defer close(closed)
		if err := r.Close(); err != nil {
			s.tell("%v", err)
		}
	})
	select {
	case <-closed:
	case <-time.After(patience):
	}
}

func (s *Server) tell(format string, args ...any) {
	if s.config.Tell != nil {
		s.config.Tell(fmt.Sprintf(format, args...))
	}
}
