package reference

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
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

// Serve runs the reference service of that name until ctx is done, and then
// returns nil. Ready is called once, with the address it listens on, when it
// accepts requests; it may be nil.
func Serve(ctx context.Context, name string, c Config, ready func(addr string)) error {
	if c.Name == "" {
		c.Name = name
	}
	err := c.withDir(name, func(c Config) error { return serve(ctx, name, c, ready) })
	if err != nil {
		return fmt.Errorf("serve %s: %w", c.Name, err)
	}
	return nil
}

// withDir has a folder for a service that keeps something.
func (c Config) withDir(name string, serve func(Config) error) error {
	if c.Dir != "" || !slices.Contains([]string{"broker", "consumer", "saga"}, name) {
		return serve(c)
	}
	dir, err := os.MkdirTemp("", "stormctl-target-")
	if err != nil {
		return err
	}
	c.Dir = dir
	return errors.Join(serve(c), os.RemoveAll(dir))
}

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

func serve(ctx context.Context, name string, c Config, ready func(addr string)) error {
	// What is in progress may finish, for a while, when ctx is done.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var server listening
	switch name {
	case "broker":
		return serveBroker(ctx, c, ready)
	case "frontend":
		settings, err := parseFrontend(c.With)
		if err != nil {
			return err
		}
		f, err := newFrontend(life, settings, c.Deps)
		if err != nil {
			return err
		}
		defer func() { end(); f.close() }()
		server = overNetHTTP(life, f)
	case "page":
		settings, err := parsePage(c.With)
		if err != nil {
			return err
		}
		p, err := newPage(settings, c.Deps)
		if err != nil {
			return err
		}
		defer p.close()
		server = overNetHTTP(life, p)
	case "store":
		settings, err := parseStore(c.With)
		if err != nil {
			return err
		}
		s, err := newStore(life, settings, c.Deps)
		if err != nil {
			return err
		}
		defer func() { end(); s.close() }()
		server = overNetHTTP(life, s)
	case "worker":
		settings, err := parseWorker(c.With)
		if err != nil {
			return err
		}
		if len(c.Deps) > 0 {
			return errors.New("a worker calls nobody: take the links from it out, or make it a frontend or a page")
		}
		server = overNetHTTP(life, newWorker(settings))
	case "rpc":
		settings, err := parseRPC(c.With)
		if err != nil {
			return err
		}
		g, err := newRPC(settings, c.Deps)
		if err != nil {
			return err
		}
		defer g.close()
		server = overH2C(overNetHTTP(life, g))
	case "pool":
		settings, err := parsePool(c.With)
		if err != nil {
			return err
		}
		p, err := newConnPool(life, settings, c.Deps)
		if err != nil {
			return err
		}
		defer p.close()
		server = overNetHTTP(life, p)
	case "cache":
		settings, err := parseCache(c.With)
		if err != nil {
			return err
		}
		k, err := newCache(settings, c.Deps)
		if err != nil {
			return err
		}
		defer k.close()
		server = overNetHTTP(life, k)
	case "dependency":
		settings, err := parseDependency(c.With)
		if err != nil {
			return err
		}
		if len(c.Deps) > 0 {
			return errors.New("a dependency calls nobody: take the links from it out, or make it a frontend or a page")
		}
		d := newDependency(settings)
		server = newServer(d, overNetHTTP(life, d))
	default:
		handler, done, err := openEvents(life, name, c)
		if err != nil {
			return err
		}
		defer func() { end(); done() }()
		server = overNetHTTP(life, handler)
	}

	network, address := "tcp", c.Listen
	if path, ok := strings.CutPrefix(c.Listen, "unix:"); ok {
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
