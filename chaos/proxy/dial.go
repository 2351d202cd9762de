package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// dialTimeout bounds a dial to the dependency.
const dialTimeout = 10 * time.Second

// dialer dials the dependency, and asks whether each address may be touched
// before the first packet goes to it: a name may resolve to something else
// than it did before.
func dialer(allow func(netip.AddrPort) error) *net.Dialer {
	d := &net.Dialer{
		Timeout: dialTimeout,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			addr, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%s is not an address: %w", address, err)
			}
			return allow(netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()))
		},
	}
	d.SetMultipathTCP(false)
	return d
}

// onlyLoopback allows what no other machine can be hurt by.
func onlyLoopback(addr netip.AddrPort) error {
	if !addr.Addr().IsLoopback() {
		return fmt.Errorf("%s is not allowed: it is not on loopback", addr)
	}
	return nil
}

// dial connects to the dependency, streams tells whether to speak HTTP/2.
func (r *Relay) dial(ctx context.Context, streams bool) (transport, error) {
	conn, err := r.dialer.DialContext(ctx, "tcp", r.config.Upstream)
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn)
	if r.config.Originate == nil {
		return newSocket(tcp), nil
	}
	config := r.config.Originate.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(r.config.Upstream)
	}
	switch {
	case streams:
		config.NextProtos = []string{"h2"}
	case r.config.Protocol != toxic.ProtocolTCP:
		config.NextProtos = []string{"http/1.1"}
	}
	s, err := handshake(ctx, tcp, config, tls.Client)
	if err != nil {
		return nil, err
	}
	if got := s.ConnectionState().NegotiatedProtocol; streams && got != "h2" && got != "" {
		_ = s.Close()
		return nil, fmt.Errorf("the dependency speaks %s, not h2", got)
	}
	return s, nil
}
