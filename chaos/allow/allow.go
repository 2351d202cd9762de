// Package allow says which addresses may be touched: by load, links, proxies and
// agents, each with a list of its own. An address counts without its zone, which says
// which way it is and not where, and one of IPv4 is the same in the clothes of IPv6.
package allow

import (
	"net/netip"
	"slices"

	"github.com/stormctl/stormctl/chaos/unit"
)

// List is the addresses that may be touched.
type List []netip.Prefix

// Loopback is where no other machine can be hurt.
var Loopback = []string{"127.0.0.0/8", "::1/128"}

// Parse reads CIDRs; bits behind their masks mean nothing.
func Parse(cidrs []string) (List, error) {
	var list List
	for _, text := range cidrs {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// Contains reports whether an address is in the list.
func (l List) Contains(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("") // no prefix contains an address with one
	return slices.ContainsFunc(l, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// String is like "127.0.0.0/8, ::1/128".
func (l List) String() string {
	return unit.List(l, ", ", netip.Prefix.String)
}

// Only is the prefix that has one address in it.
func Only(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	return netip.PrefixFrom(ip, ip.BitLen())
}
