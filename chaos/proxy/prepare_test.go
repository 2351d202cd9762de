package proxy

import (
	"bufio"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// TestPrepared: a caller that connects as soon as the kernel lets it, and sends
// at once, meets the toxics that Prepare adds, and the dependency sees nothing.
func TestPrepared(t *testing.T) {
	for _, tt := range []struct {
		protocol string
		fault    toxic.Toxic
		answer   string // what the caller gets; "" is nothing
	}{
		{toxic.ProtocolHTTP1, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All}, "HTTP/1.1 503"},
		{toxic.ProtocolTCP, toxic.Partition{Select: toxic.All}, ""},
	} {
		t.Run(tt.protocol, func(t *testing.T) {
			d := newDependency(t)
			var early net.Conn
			r, err := Listen(Config{Name: "payments", Upstream: d.addr(), Protocol: tt.protocol, Prepare: func(r *Relay) {
				var err error
				if early, err = net.Dial("tcp", r.Addr()); err != nil {
					t.Fatal(err)
				}
				early.Write([]byte(get))
				time.Sleep(50 * time.Millisecond) // enough for the request to get through, if it could
				if _, err := r.Add(0, tt.fault, toxic.Both); err != nil {
					t.Error(err)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer early.Close()
			if tt.answer != "" {
				early.SetReadDeadline(time.Now().Add(patience))
				line, err := bufio.NewReader(early).ReadString('\n')
				if err != nil || !strings.HasPrefix(line, tt.answer) {
					t.Errorf("got %q, %v, want %s", line, err, tt.answer)
				}
			}
			d.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
			if c, err := d.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the dependency saw %v, %v, want nothing", c, err)
			}
		})
	}
}
