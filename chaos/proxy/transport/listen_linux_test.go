package transport

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Who comes by another device than that which was named is refused, though the address
// is the same.
func TestListenOnADevice(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root to make a network device")
	}
	reached := make(chan map[string]bool, 1)
	go func() {
		runtime.LockOSThread()
		found := map[string]bool{}
		defer func() { reached <- found }()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Log(err) // not allowed here
			return
		}
		if out, err := exec.Command("sh", "-c", "ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d0 up").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
			return
		}
		for _, device := range []string{"", "lo", "d0"} {
			l, err := Listen("127.0.0.1:0", device)
			if err != nil {
				t.Errorf("%q: %v", device, err)
				continue
			}
			c, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
			if found[device] = err == nil; found[device] {
				c.Close()
			}
			l.Close()
		}
	}()
	found := <-reached
	if len(found) == 0 {
		t.Skip("no network namespace can be made here")
	}
	if !found[""] || !found["lo"] || found["d0"] {
		t.Errorf("reached by loopback: %v, want by any device and by lo", found)
	}
	if _, err := Listen("127.0.0.1:0", "no-such-device"); err == nil {
		t.Error("it listens on a device that is not there")
	}
}
