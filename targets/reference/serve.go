package reference

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"
)

// Config says how to run a reference service.
type Config struct {
	Name   string            // Names the service in errors.
	Listen string            // host:port, or unix:PATH; port 0 picks a free one.
	Deps   map[string]string // What a frontend, a page or a store calls: link name → base URL.
	With   map[string]string // Settings; see Describe.
	// Where it keeps what must outlive its process, made if it is missing; "" is a folder of its own that ends with it.
	Dir string
}

// shutdownWithin bounds how long requests in progress may take at the end.
const shutdownWithin = time.Second

// listening is what serves a listener: net/http's server, or ours.
type listening interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Close() error
}

func overNetHTTP(life context.Context, handler http.Handler) *http.Server {
	return &http.Server{
		Handler:     handler,
		BaseContext: func(net.Listener) context.Context { return life },
		ErrorLog:    log.New(io.Discard, "", 0), // it would tell of callers that reset connections
	}
}

// serve answers requests at an address until ctx is done, and then lets those in
// progress finish, for a while, before it ends their life.
func serve(ctx, life context.Context, end func(), listen string, server listening, ready func(addr string)) error {
	network, address := "tcp", listen
	if path, ok := strings.CutPrefix(listen, "unix:"); ok {
		network, address = "unix", path
	}
	listener, err := new(net.ListenConfig).Listen(ctx, network, address)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if ready != nil {
		address = listener.Addr().String()
		if network == "unix" {
			address = "unix:" + address
		}
		ready(address)
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	polite, cancel := context.WithTimeout(life, shutdownWithin)
	defer cancel()
	if server.Shutdown(polite) != nil {
		end()
		_ = server.Close() // what is still in progress is cut off
	}
	_ = <-served
	return nil
}
