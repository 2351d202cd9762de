package testbed

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/stormctl/stormctl/chaos/allow"
	"github.com/stormctl/stormctl/load"
)

// allowList is where load and links may go.
type allowList struct{ allow.List }

func parseAllow(cidrs []string) (allowList, error) {
	if len(cidrs) == 0 {
		cidrs = allow.Loopback
	}
	list, err := allow.Parse(cidrs)
	if err != nil {
		err = fmt.Errorf("limits.allow: %w", err)
	}
	return allowList{list}, err
}

// check refuses an address outside the list.
func (l allowList) check(addr netip.AddrPort) error {
	if l.Contains(addr.Addr()) {
		return nil
	}
	return fmt.Errorf("%s is outside limits.allow (%s): nothing was sent to it", addr, l)
}

// resolve turns host:port into addresses, in the order to try them; from then on
// one of them is used, so that a name cannot point elsewhere later. All of them
// must be allowed, not only the one taken: which one a resolver gives first is
// chance. There is at least one.
func (l allowList) resolve(ctx context.Context, hostport string) ([]netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, err
	}
	ips, err := load.Lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	var addrs []netip.AddrPort
	for _, ip := range ips {
		addr := netip.AddrPortFrom(ip, uint16(number))
		if err := l.check(addr); err != nil {
			return nil, err
		}
		addrs = append(addrs, addr)
	}
	// IPv4 first: "localhost" servers often listen there only.
	slices.SortStableFunc(addrs, func(a, b netip.AddrPort) int { return cmp.Compare(a.Addr().BitLen(), b.Addr().BitLen()) })
	return addrs, nil
}
