package tcp

import (
	"errors"
	"net"
	"syscall"
)

// relaysHere says why this system has no relays of connections.
func relaysHere() error {
	return errors.New("links need Linux or macOS: on Windows there is no relay of connections")
}

// What follows is not called: there is no poller.

func writeNow(*net.TCPConn, []byte) (n int, errno syscall.Errno) { return 0, syscall.EPIPE }

func waitForRoom(*net.TCPConn) {}

func readNow(*net.TCPConn, []byte) (more bool) { return false }
