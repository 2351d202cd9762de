package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// DialTimeout bounds a dial to the dependency.
const DialTimeout = 10 * time.Second

// Dialer dials the dependency, and asks whether each address may be touched
// before the first packet goes to it: a name may resolve to something else than it
// did before.
type Dialer struct {
	net.Dialer
	upstream string
	tls      *tls.Config
}

// NewDialer is for upstream, a host:port. With a tls that is not nil it puts TLS
// on each connection; a ServerName that is missing there is upstream's.
func NewDialer(upstream string, tls *tls.Config, allow func(netip.AddrPort) error) *Dialer {
	d := &Dialer{upstream: upstream, tls: tls}
	d.Timeout = DialTimeout
	d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
		addr, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%s is not an address: %w", address, err)
		}
		return allow(netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()))
	}
	d.SetMultipathTCP(false)
	return d
}

// OnlyLoopback allows what no other machine can be hurt by.
func OnlyLoopback(addr netip.AddrPort) error {
	if !addr.Addr().IsLoopback() {
		return fmt.Errorf("%s is not allowed: it is not on loopback", addr)
	}
	return nil
}

// Dial connects to the dependency. alpn is the protocol that TLS is to agree on,
// "" for none; with h2 another one that is agreed on is an error.
func (d *Dialer) Dial(ctx context.Context, alpn string) (Conn, error) {
	conn, err := d.DialContext(ctx, "tcp", d.upstream)
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn)
	if d.tls == nil {
		return NewSocket(tcp), nil
	}
	config := d.tls.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(d.upstream)
	}
	if alpn != "" {
		config.NextProtos = []string{alpn}
	}
	s, err := Handshake(ctx, tcp, config, tls.Client)
	if err != nil {
		return nil, err
	}
	if got := s.ConnectionState().NegotiatedProtocol; alpn == "h2" && got != alpn && got != "" {
		_ = s.Close()
		return nil, fmt.Errorf("the dependency speaks %s, not h2", got)
	}
	return s, nil
}
