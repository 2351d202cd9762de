package wiretest

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// kernelState is what the kernel says of a connection: why it does not go on is there.
func kernelState(conn *net.TCPConn) string {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err.Error()
	}
	var i *unix.TCPInfo
	if e := raw.Control(func(fd uintptr) { i, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); e != nil {
		return e.Error()
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("state %d, %d segments unacknowledged, %d sent again, %d bytes unsent, windows %d to send and %d to receive, "+
		"%d probes, timeout %d ms after %d doublings", i.State, i.Unacked, i.Total_retrans, i.Notsent_bytes, i.Snd_wnd, i.Rcv_wnd,
		i.Probes, i.Rto/1000, i.Backoff)
}
