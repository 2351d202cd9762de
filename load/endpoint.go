package load

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"
)

// endpoint is where the connections of a pool lead, and what is spoken there.
// It is comparable: routes with equal endpoints share connections.
type endpoint struct {
	addr   netip.AddrPort
	others string      // further addresses of the same service, parted by commas
	path   string      // of a unix socket, instead of addr
	tls    *tls.Config // nil is without
	codec  codec
}

const unixPrefix = "unix:"

func parseEndpoint(text string) (endpoint, error) {
	if path, ok := strings.CutPrefix(text, unixPrefix); ok {
		if path == "" || len(path) > MaxUnixPath {
			return endpoint{}, fmt.Errorf("unix socket %q: a path has 1 to %d bytes", path, MaxUnixPath)
		}
		return endpoint{path: path}, nil
	}
	addr, err := netip.ParseAddrPort(text)
	if err != nil {
		return endpoint{}, fmt.Errorf("address %q is neither ip:port nor unix:PATH: %w", text, err)
	}
	return endpoint{addr: addr}, nil
}

// with adds further addresses of the same service.
func (e endpoint) with(others []string) (endpoint, error) {
	for _, text := range others {
		if _, err := netip.ParseAddrPort(text); err != nil || e.path != "" {
			return e, fmt.Errorf("further address %q: it is not ip:port, or the first is not: %w", text, err)
		}
	}
	e.others = strings.Join(others, ",")
	return e, nil
}

// each lists the addresses of the service apart.
func (e endpoint) each() []endpoint {
	all := []endpoint{e}
	if e.others != "" {
		for text := range strings.SplitSeq(e.others, ",") {
			one := e
			one.addr, _ = netip.ParseAddrPort(text) // with has tried it
			all = append(all, one)
		}
	}
	return all
}

// MaxUnixPath is what fits into a sockaddr_un on Linux with its final zero
// byte; elsewhere it is a little less (unix(7)).
const MaxUnixPath = 107

// host is what a request says it wants if the route does not.
func (e endpoint) host() string {
	if e.path != "" {
		return "localhost"
	}
	return unzoned(e.addr.String())
}

// unzoned is a host, with or without a port, without the zone of its IPv6
// address: that means something on this machine only, and no server is told of
// it (RFC 6874, section 4).
func unzoned(host string) string {
	address, zone, found := strings.Cut(host, "%")
	if !found || !strings.Contains(address, ":") {
		return host
	}
	if _, port, bracketed := strings.Cut(zone, "]"); bracketed {
		address += "]" + port
	}
	return address
}

// dialArgs are what package net wants to know.
func (e endpoint) dialArgs() (network, addr string) {
	if e.path != "" {
		return "unix", e.path
	}
	return "tcp", e.addr.String()
}
