package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// Listen listens on host:port for callers that come by a network device, or with "" by
// any. An address is the machine's, whatever device it is on: who is on another network
// of it reaches what listens there, if they send packets for it this way.
func Listen(addr, device string) (net.Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil || device == "" {
		return l, err
	}
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err == nil {
		var bound error
		err = raw.Control(func(fd uintptr) { bound = BindToDevice(int(fd), device) })
		err = errors.Join(err, bound)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on device %s: %w", device, err), l.Close())
	}
	return l, nil
}
