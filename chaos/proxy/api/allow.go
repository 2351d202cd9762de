package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/stormctl/stormctl/chaos/allow"
)

// lookupTimeout bounds how long a request waits for a name to resolve.
const lookupTimeout = time.Second

// allowList is where upstreams may be and proxies may listen.
type allowList struct{ allow.List }

// newAllowList is more, and loopback, where upstreams may always be.
func newAllowList(more allow.List) allowList {
	list, _ := allow.Parse(allow.Loopback) // it is a constant
	for _, p := range more {
		list = append(list, p.Masked())
	}
	return allowList{list}
}

// check refuses an upstream outside the list.
func (l allowList) check(addr netip.AddrPort) error {
	if l.Contains(addr.Addr()) {
		return nil
	}
	return &problem{fmt.Sprintf("upstream %s is not allowed: it is outside %s; nothing was sent to it; start with --allow %s to allow it",
		addr, l, allow.Only(addr.Addr())), http.StatusForbidden}
}

// checkUpstream refuses an upstream that could never be dialled, so that the
// client is told. A name that does not resolve yet, or not in time, is
// taken: each dial checks the addresses that it resolves to then.
func (l allowList) checkUpstream(ctx context.Context, upstream string) error {
	host, port, err := net.SplitHostPort(upstream)
	if err != nil {
		return badRequest("upstream: %v", err)
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return badRequest("upstream: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	var refused error
	for _, ip := range ips {
		err := l.check(netip.AddrPortFrom(ip.Unmap(), uint16(number)))
		if err == nil {
			return nil
		}
		if refused == nil {
			refused = err
		}
	}
	return refused
}

// listenAt is resolveListen for a proxy, and refuses an address at which other
// machines would reach through it what is on loopback.
func (l allowList) listenAt(ctx context.Context, listen string) (string, error) {
	at, err := resolveListen(ctx, listen)
	if err != nil {
		return "", err
	}
	addr, err := netip.ParseAddrPort(at)
	if err != nil {
		return "", err
	}
	ip := addr.Addr()
	if l.Contains(ip) || ip == netip.IPv6Unspecified() && l.Contains(netip.IPv4Unspecified()) {
		return at, nil
	}
	way := allow.Only(ip).String()
	if ip.IsUnspecified() {
		way = "0.0.0.0/32"
	}
	return "", &problem{fmt.Sprintf("listen %s is not allowed: other machines could reach %s, and through it the upstream; "+
		"listen on 127.0.0.1, or start with --allow %s to allow it", listen, at, way), http.StatusForbidden}
}

// resolveListen turns an address to listen on into the form that a bound
// listener has, so that the two can be compared and binding needs no resolver.
// "" is a free port on loopback.
func resolveListen(ctx context.Context, listen string) (string, error) {
	if listen == "" {
		return "127.0.0.1:0", nil
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return "", err
	}
	text := func(ip netip.Addr) string {
		if ip.Unmap().IsUnspecified() {
			ip = netip.IPv6Unspecified() // of both families: how the system names it when bound
		}
		return netip.AddrPortFrom(ip.Unmap(), uint16(number)).String()
	}
	if host == "" {
		return text(netip.IPv6Unspecified()), nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", err
	}
	best := ips[0]
	for _, ip := range ips {
		if ip.Unmap().Is4() {
			best = ip
			break
		}
	}
	return text(best), nil
}
