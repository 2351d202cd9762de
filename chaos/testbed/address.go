package testbed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
)

// resolve finds the addresses of a target, which limits must allow.
func (b *Testbed) resolve(ctx context.Context, name string) ([]netip.AddrPort, error) {
	hostport, err := b.address(b.x.Targets[name])
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", name, err)
	}
	b.hosts[name] = hostport
	addrs, err := b.allow.resolve(ctx, hostport)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", name, err)
	}
	return addrs, nil
}

// choose takes one of the addresses of a target for the whole run: of one that
// runs already the first that can be reached. If none does, it is the first, and
// Start says what is wrong with it.
func (b *Testbed) choose(ctx context.Context, name string, addrs []netip.AddrPort) netip.AddrPort {
	if len(addrs) == 1 || b.x.Targets[name].URL == "" {
		return addrs[0]
	}
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	reached, err := load.ProbeAny(ctx, texts, b.routeTo(name), probeTimeout)
	if err != nil {
		return addrs[0]
	}
	text := fmt.Sprintf("target %s: %s is %s, one of its %d addresses", name, b.hosts[name], reached.Addr, reached.Candidates)
	for _, why := range reached.Failed {
		text += fmt.Sprintf("; another is not used: %v", why)
	}
	b.Notes = append(b.Notes, text)
	return addrs[len(reached.Failed)]
}

// address is the host:port of a target, a free one where none is given.
func (b *Testbed) address(t *experiment.Target) (string, error) {
	switch {
	case t.URL != "":
		u, err := url.Parse(t.URL)
		if err != nil {
			return "", err
		}
		if u.Port() != "" {
			return u.Host, nil
		}
		if u.Scheme == "https" {
			return net.JoinHostPort(u.Hostname(), "443"), nil
		}
		return net.JoinHostPort(u.Hostname(), "80"), nil
	case t.Process != nil && t.Process.Listen != "":
		return t.Process.Listen, nil
	default:
		return freeAddress()
	}
}

// The ports that targets are given.
const (
	lowestPort  = 10240
	highestPort = 32768
)

// freeAddress finds a free port on 127.0.0.1 below the range that the kernel
// takes for outgoing connections: one that is free now cannot become somebody's
// source port before the target binds it.
func freeAddress() (string, error) {
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(lowestPort+rand.IntN(highestPort-lowestPort)))
		l, err := net.Listen("tcp", addr)
		if err == nil {
			l.Close()
			return addr, nil
		}
	}
	return "", errors.New("no free port on 127.0.0.1")
}
