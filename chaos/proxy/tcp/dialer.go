package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/stormctl/stormctl/chaos/proxy/transport"
)

// asyncDialer opens connections to the dependency without blocking. A name is
// looked up for each dial, on a goroutine of its own.
type asyncDialer struct {
	host, port string
	fixed      netip.AddrPort // if the host is an address
	allow      func(netip.AddrPort) error

	ctx    context.Context
	cancel context.CancelFunc
	wg     *sync.WaitGroup
}

func newAsyncDialer(upstream string, allow func(netip.AddrPort) error) (asyncDialer, error) {
	d := asyncDialer{allow: allow, wg: &sync.WaitGroup{}}
	var err error
	if d.host, d.port, err = net.SplitHostPort(upstream); err != nil {
		return d, fmt.Errorf("upstream: %w", err)
	}
	if addr, err := netip.ParseAddrPort(upstream); err == nil {
		d.fixed = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d, nil
}

// wait ends all lookups.
func (d *asyncDialer) wait() {
	d.cancel()
	d.wg.Wait()
}

// lookup returns where to dial, in the order to try.
func (d *asyncDialer) lookup() []netip.AddrPort {
	ctx, cancel := context.WithTimeout(d.ctx, transport.DialTimeout)
	defer cancel()
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", d.port)
	if err != nil {
		return nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", d.host)
	if err != nil {
		return nil
	}
	addrs := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		addrs[i] = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	return addrs
}

// connect begins to dial, as poller.connect does, where that is allowed.
func (d *asyncDialer) connect(on poller, addr netip.AddrPort) (fd int, errno syscall.Errno) {
	if d.allow(addr) != nil {
		return -1, syscall.EACCES
	}
	return on.connect(addr)
}

// errnoOf is the number of an error of package syscall.
func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return syscall.EIO
}
