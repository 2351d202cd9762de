//go:build linux && !portable

package tcp

import (
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/load/poll"
)

// A loop that fails ends the connections of all its relays, which say so when they are
// closed, and gets no more of them.
func TestLoopThatFails(t *testing.T) {
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	loops.mu.Lock()
	held := loops.loops
	loops.loops = []*loop{l}
	for range poll.Cores() - 1 { // so that the next relay is given l
		loops.loops = append(loops.loops, &loop{members: 1000, done: make(chan struct{})})
	}
	loops.mu.Unlock()
	defer func() {
		loops.mu.Lock()
		loops.loops = held
		loops.mu.Unlock()
	}()
	go l.run()
	var all [2]*Relay
	for i := range all {
		if all[i], err = Listen(Config{Config: wiretest.ConfigOf("127.0.0.1:1")}); err != nil {
			t.Fatal(err)
		}
		if all[i].loop != l {
			t.Fatal("a relay has another loop")
		}
		all[i].Serve()
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	l.order(func() { // its next wait is for something else
		if err := unix.Dup3(int(null.Fd()), l.poller.Fd(), unix.O_CLOEXEC); err != nil {
			t.Error(err)
		}
	})
	<-l.done
	if other, err := loops.join(); err != nil || other == l {
		t.Errorf("a failed loop is given to another relay (%v)", err)
	} else {
		loops.leave(other)
	}
	for _, r := range all {
		if c, err := net.Dial("tcp", r.Addr()); err == nil {
			c.Close()
			t.Error("a relay without a loop still listens")
		}
		for range 2 {
			if err := r.Close(); err == nil {
				t.Error("close says nothing of it")
			}
		}
	}
}
