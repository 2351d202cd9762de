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

// MostConnections is how many connections are open at once. One more is closed at
// once: to wait for its turn it would have to be accepted first.
const MostConnections = 256

// Serve answers on l until ctx is done, and closes l and its connections then.
// Whoever is still reading is not waited for longer than two seconds. It closes l
// whatever it returns.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := http.Server{
		Handler: h, ReadHeaderTimeout: headTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
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
	err := server.Serve(&bounded{Listener: l, free: make(chan struct{}, MostConnections)})
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
	free chan struct{} // holds one for each connection that is open
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.free <- struct{}{}:
			return &counted{Conn: c, close: sync.OnceFunc(func() { <-b.free })}, nil
		default:
			_ = c.Close() // it has heard nothing of us
		}
	}
}

// counted is a connection that gives its place back when it is closed.
type counted struct {
	net.Conn
	close func()
}

func (c *counted) Close() error {
	err := c.Conn.Close()
	c.close()
	return err
}
