package http

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

func TestPartition(t *testing.T) {
	partition := func(l *testLink) (heal func()) { return l.Add(6, toxic.Partition{Select: toxic.All}) }
	held := func(l *testLink) {
		l.T.Helper()
		if x := l.Next(); x.Ending != evidence.Answered || x.Status != 200 || x.Faults != 1<<6 {
			l.T.Errorf("recorded %+v", x)
		}
	}

	t.Run("new connection", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		heal := partition(l)
		c := l.Dial() // accepted
		c.Send(wiretest.Get)
		c.Silent()
		heal()
		up := d.Take()
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		held(l)
	})

	t.Run("open connection", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		heal := partition(l)
		c.Send(wiretest.Get)
		up.Silent()
		heal()
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		held(l)
		untouched(l, c, up)
	})

	t.Run("response on its way", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		heal := partition(l)
		up.Send(wiretest.OK)
		c.Silent()
		heal()
		c.Expect(wiretest.OK)
		held(l)
	})

	t.Run("in the middle of both bodies", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		size := 4 << 20 // past what the relay and the kernel take in
		head := fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
		response := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
		c.Send(head + "ab")
		up.Expect(head + "ab")
		up.Send(response + "cd")
		c.Expect(response + "cd")
		heal := partition(l)
		go io.WriteString(c, strings.Repeat("x", size-2))
		go io.WriteString(up, strings.Repeat("y", size-2))
		c.Silent()
		up.Silent()
		heal()
		done := make(chan struct{})
		go func() {
			defer close(done)
			got, err := io.ReadAll(io.LimitReader(up.In, int64(size-2)))
			if err != nil || string(got) != strings.Repeat("x", size-2) {
				t.Errorf("the dependency got %d bytes, %v", len(got), err)
			}
		}()
		c.Expect(strings.Repeat("y", size-2))
		<-done
		held(l)
	})

	t.Run("the dependency closes behind its response", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		heal := partition(l)
		up.Send("HTTP/1.0 200 OK\r\n\r\nall of it")
		up.Close()
		c.Silent()
		heal()
		c.Expect("HTTP/1.0 200 OK\r\n\r\nall of it")
		if err := c.End(); err != nil {
			t.Errorf("the caller saw %v, want a FIN", err)
		}
		held(l)
	})

	t.Run("the dependency dies", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		heal := partition(l)
		transport.Reset(up.TCPConn)
		c.Silent()
		heal()
		if err := c.End(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the caller saw %v, want a reset", err)
		}
		if x := l.Next(); x.Ending != evidence.Failed || x.Faults != 1<<6 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("the caller leaves", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		heal := partition(l)
		c.Send(wiretest.Get)
		wiretest.Eventually(t, "it begins", func() bool { return l.InFlight() == 1 })
		c.Close()
		if x := l.Next(); x.Ending != evidence.CallerGone || x.Faults != 1<<6 {
			t.Errorf("recorded %+v", x)
		}
		heal()
		if err := up.End(); err != nil {
			t.Errorf("the dependency saw %v, want a FIN and no request", err)
		}
	})

	t.Run("the caller leaves when there is no room for more", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, _ := warm(l, d)
		partition(l)
		size := maxBuffer + 1000 // fills the relay's buffer, and the rest reaches its socket
		c.Send(fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", 2*size, strings.Repeat("x", size)))
		wiretest.Eventually(t, "it begins", func() bool { return l.InFlight() == 1 })
		c.Close()
		if x := l.Next(); x.Ending != evidence.CallerGone || x.Faults != 1<<6 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("a tunnel", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(upgrade)
		up.Expect(upgrade)
		up.Send(switching)
		c.Expect(switching)
		heal := partition(l)
		c.Send("ping")
		up.Send("pong")
		c.CloseWrite()
		up.CloseWrite()
		c.Silent()
		up.Silent()
		heal()
		c.Expect("pong")
		up.Expect("ping")
		if errC, errUp := c.End(), up.End(); errC != nil || errUp != nil {
			t.Errorf("the ends are %v and %v, want FINs", errC, errUp)
		}
		if x := l.Next(); x.Ending != evidence.Answered || x.Status != 101 || x.Faults != 1<<6 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("one of two heals", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		first, second := partition(l), partition(l)
		c.Send(wiretest.Get)
		first()
		first() // again means nothing
		up.Silent()
		second()
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		held(l)
	})
}

// TestDeathIsAResetWhileToxicsChange: a change of toxics has the caller's side look at
// its state at any moment, also when the exchange has ended and the connection is not
// reset yet.
func TestDeathIsAResetWhileToxicsChange(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				l.Add(6, toxic.Partition{Select: toxic.All})()
			}
		}
	}()
	for range 300 {
		c := l.Dial()
		c.Send(wiretest.Get)
		up := d.Take()
		up.Expect(wiretest.Get)
		transport.Reset(up.TCPConn)
		c.WasReset()
		c.Close()
		if x := l.Next(); x.Ending != evidence.Failed {
			t.Fatalf("recorded %+v", x)
		}
	}
	close(stop)
	<-stopped
}
