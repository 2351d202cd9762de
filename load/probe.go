package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Lookup finds the addresses of a host, in the order in which the system would
// try them. One that is an address itself keeps its zone, which a resolver
// would lose.
func Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i := range ips {
		ips[i] = ips[i].Unmap()
	}
	return ips, err
}

// Reached is which of several addresses can be connected to.
type Reached struct {
	Addr       string  // as Route.Addr
	Candidates int     // how many addresses there were to try
	Failed     []error // why those before Addr are not used, in their order
	Protocol   string  // what is spoken there, as Probe says
}

// ProbeAny probes addresses in turn until one can be reached; r.Addr means
// nothing. Each has so much time. The error is that of all of them.
func ProbeAny(ctx context.Context, addrs []string, r Route, within time.Duration) (Reached, error) {
	d := Reached{Candidates: len(addrs)}
	for _, addr := range addrs {
		r.Addr = addr
		probing, cancel := context.WithTimeout(ctx, within)
		var err error
		d.Protocol, err = Probe(probing, r)
		if cancel(); err == nil {
			d.Addr = addr
			return d, nil
		}
		d.Failed = append(d.Failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return d, errors.Join(d.Failed...)
}

// Probe connects to where a route leads, shakes hands if it has TLS, and returns
// the protocol that is spoken there: the route's, or for Auto the one that
// Route.Protocol should be.
func Probe(ctx context.Context, r Route) (protocol string, err error) {
	protocol = r.Protocol
	if protocol == "" || protocol == Auto {
		protocol = HTTP1
	}
	e, err := parseEndpoint(r.Addr)
	if err != nil {
		return "", err
	}
	if r.TLS != nil {
		if e.tls, err = new(program).tlsFor(r); err != nil {
			return "", err
		}
	}
	network, addr := e.dialArgs()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return "", fmt.Errorf("nothing answers at %s: %w", addr, err)
	}
	if e.tls == nil {
		return protocol, conn.Close()
	}
	secure := tls.Client(conn, e.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // a handshake that ran out of time has closed it
		return "", fmt.Errorf("TLS with %s: %w", addr, err)
	}
	switch got := secure.ConnectionState().NegotiatedProtocol; {
	case r.Protocol == Auto && got == alpnHTTP2:
		protocol = HTTP2
	case r.isHTTP2() && got != alpnHTTP2:
		return "", errors.Join(fmt.Errorf("%s does not speak HTTP/2 by TLS: it chose %q", addr, got), conn.Close())
	}
	return protocol, conn.Close()
}
