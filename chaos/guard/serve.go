package guard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// What one request may take, and how long an idle connection stays. An answer takes
// far less; one that goes on for as long as its reader wants, as events do, sets
// deadlines of its own by http.ResponseController.
const (
	headTimeout  = 5 * time.Second
	readTimeout  = 15 * time.Second
	writeTimeout = 30 * time.Second
	idleTimeout  = time.Minute
	endTimeout   = 2 * time.Second // for the requests in progress when it ends
	mostHead     = 16 << 10        // bytes
)

// MaxConnections is how many connections are open at once. One more takes the place of
// the one that has kept us waiting for longest, for a request or for the rest of one: so
// whoever opens many and says nothing keeps nobody out. Where all of them are being
// answered it is closed at once.
const MaxConnections = 256

// Serve answers on l until ctx is done, and closes l and its connections then.
// Whoever is still reading is not waited for longer than two seconds. It closes l
// whatever it returns.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := http.Server{
		Handler: answering(h), ConnContext: withConn,
		ReadHeaderTimeout: headTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: mostHead, ErrorLog: log.New(io.Discard, "", 0), // what a client does wrong is told to it
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		patience, cancel := context.WithTimeout(context.Background(), endTimeout)
		defer cancel()
		if server.Shutdown(patience) != nil {
			_ = server.Close() // closes what Shutdown waited for
		}
	})
	err := server.Serve(&bounded{Listener: l, open: map[*counted]uint64{}})
	if !stop() {
		<-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve on %s: %w", l.Addr(), err)
}

// bounded is a listener with so many connections at most.
type bounded struct {
	net.Listener

	mu   sync.Mutex
	turn uint64              // grows with each that begins to keep us waiting
	open map[*counted]uint64 // since which turn it does; 0 of one that is being answered
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &counted{Conn: conn, of: b}
		if b.admit(c) {
			return c, nil
		}
		_ = conn.Close() // it has heard nothing of us
	}
}

// admit makes room for a connection; false if there is none.
func (b *bounded) admit(c *counted) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.open) >= MaxConnections {
		var first *counted
		for other, since := range b.open {
			if since > 0 && (first == nil || since < b.open[first]) {
				first = other
			}
		}
		if first == nil {
			return false
		}
		delete(b.open, first)
		_ = first.Conn.Close() // its reader is told
	}
	b.turn++
	b.open[c] = b.turn
	return true
}

// counted is a connection that gives its place back when it is closed.
type counted struct {
	net.Conn
	of *bounded
}

func (c *counted) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// waits takes note that we wait for the other side, or do so no more.
func (c *counted) waits(is bool) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if _, there := c.of.open[c]; !there {
		return
	}
	c.of.open[c] = 0
	if is {
		c.of.turn++
		c.of.open[c] = c.of.turn
	}
}

// ofConn is the key of the connection in the context of its requests.
type ofConn struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, ofConn{}, c)
}

// answering is h, which says of its connections while it answers that it does.
func answering(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(ofConn{}).(*counted)
		if !ok {
			h.ServeHTTP(w, r)
			return
		}
		c.waits(false)
		defer c.waits(true)
		of := *r // the server's own keeps its body: by that it knows that some of it was not read, and lingers
		of.Body = &awaited{r.Body, c}
		h.ServeHTTP(w, &of)
	})
}

// awaited is a body for which we wait while it is read.
type awaited struct {
	io.ReadCloser
	conn *counted
}

func (a *awaited) Read(p []byte) (int, error) {
	a.conn.waits(true)
	defer a.conn.waits(false)
	return a.ReadCloser.Read(p)
}
