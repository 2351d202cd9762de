package targets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Probe says how a service shows that it is ready. At most one of Addr and
// URL is given.
type Probe struct {
	Addr string // host:port that accepts a TCP connection; with Command it is only looked at before the start: nobody may.
	URL  string // An HTTP GET that answers with a status below 400.
	// Program and arguments, run again and again until it ends with exit status 0: as the user of the service, in
	// its folder, environment and network namespace. A program without a slash is looked up in our PATH.
	Command []string
	Within  time.Duration // How long all of that may take; 0 means 10s.
}

const (
	probeEvery     = 20 * time.Millisecond
	commandEvery   = 100 * time.Millisecond // a process costs more than a connection
	probeTimeout   = 2 * time.Second        // one try; a service that hangs is tried again
	commandTimeout = 5 * time.Second        // the same, of a command
)

func (p Probe) String() string {
	switch {
	case len(p.Command) > 0:
		return "run " + strings.Join(p.Command, " ")
	case p.URL != "":
		return "GET " + p.URL
	case p.Addr != "":
		return "connect to " + p.Addr
	}
	return "no probe"
}

// addr returns the host:port that the probe will connect to, or "".
func (p Probe) addr() (string, error) {
	if p.URL == "" {
		return p.Addr, nil
	}
	if p.Addr != "" {
		return "", fmt.Errorf("probe has an address %s and a URL %s: give one", p.Addr, p.URL)
	}
	return hostPort(p.URL)
}

// program finds the file of Command, if there is one, as Process.program does.
func (p Probe) program(of Process) (string, error) {
	if p.Command == nil {
		return "", nil
	}
	if p.URL != "" {
		return "", fmt.Errorf("probe has a command and a URL %s: give one", p.URL)
	}
	of.Command = p.Command
	return of.program()
}

// try probes once, without Command.
func (p Probe) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if p.URL != "" {
		return get(ctx, p.URL)
	}
	if p.Addr != "" {
		return connect(ctx, p.Addr)
	}
	return nil
}

// await probes until the probe succeeds or ctx is done. The error is that of
// the last try.
func await(ctx context.Context, every time.Duration, try func(context.Context) error) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var last error
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		// A try that ctx cut short says less than the one before.
		deadline, bounded := ctx.Deadline()
		cut := ctx.Err() != nil || bounded && !time.Now().Before(deadline)
		if last == nil || !cut {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-ticker.C:
		}
	}
}

// Reachable reports whether something accepts connections where rawURL points
// to, and waits for it at most the given time. No request is sent: the
// service is not ours. The error gives the reason: unknown host, refused, no
// answer.
func Reachable(ctx context.Context, rawURL string, within time.Duration) error {
	addr, err := hostPort(rawURL)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err = await(waiting, probeEvery, func(ctx context.Context) error { return connect(ctx, addr) })
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("reach %s: %w", rawURL, context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("reach %s within %s: %w", rawURL, within, err)
	}
	return nil
}

func hostPort(rawURL string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", err
	}
	port := u.Port()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("%q is not an http:// or https:// URL", rawURL)
	case u.Hostname() == "":
		return "", fmt.Errorf("%q names no host", rawURL)
	case port == "" && u.Scheme == "https":
		port = "443"
	case port == "":
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

func connect(ctx context.Context, addr string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

func get(ctx context.Context, rawURL string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return err
	}
	// A connection of its own for each try: none is left idle at the service.
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer")
	}
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode >= 400 {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}
