package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/load/poll"
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

// resolved is what became of looking up a name for a connection.
type resolved struct {
	session    *session
	generation int32
	addrs      []netip.AddrPort // none if it failed
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

// connect begins to dial. It returns errno 0 if the connection is open already,
// EINPROGRESS if that will show; with any other there is none.
func (d *asyncDialer) connect(addr netip.AddrPort) (fd int, errno unix.Errno) {
	if d.allow(addr) != nil {
		return -1, unix.EACCES
	}
	to, family, err := sockaddrOf(addr)
	if err != nil {
		return -1, unix.EADDRNOTAVAIL
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, errnoOf(err)
	}
	poll.Tune(fd, to)
	switch errno := errnoOf(unix.Connect(fd, to)); errno {
	case 0:
		return fd, 0
	case unix.EINPROGRESS, unix.EINTR: // a signal does not stop it
		return fd, unix.EINPROGRESS
	default:
		_ = unix.Close(fd)
		return -1, errno
	}
}

// errnoOf is the number of an error of package unix.
func errnoOf(err error) unix.Errno {
	if err == nil {
		return 0
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EIO
}

// sockaddrOf is the address as the kernel takes it.
func sockaddrOf(addr netip.AddrPort) (to unix.Sockaddr, family int, err error) {
	ip := addr.Addr()
	if ip.Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: ip.As4()}, unix.AF_INET, nil
	}
	six := &unix.SockaddrInet6{Port: int(addr.Port()), Addr: ip.As16()}
	if zone := ip.Zone(); zone != "" {
		i, err := net.InterfaceByName(zone)
		if err != nil {
			return nil, 0, err
		}
		six.ZoneId = uint32(i.Index)
	}
	return six, unix.AF_INET6, nil
}
