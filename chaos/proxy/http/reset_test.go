package http

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

func TestResetDuring(t *testing.T) {
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, tt := range []struct {
		name           string
		response, want string
	}{
		{"half of the body", bodied("0123456789"), strings.TrimSuffix(bodied("0123456789"), "56789")},
		{"a body of one byte", bodied("0"), strings.TrimSuffix(bodied("0"), "0")},
		{"a body of unknown length", chunked + "3\r\nabc\r\n0\r\n\r\n", chunked + "3\r\na"},
		{"until the connection ends", "HTTP/1.0 200 OK\r\n\r\nabc", "HTTP/1.0 200 OK\r\n\r\na"},
		{"no body", empty, empty[:len(empty)-2]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address())
			c, up := warm(l, d)
			remove := l.Add(4, toxic.Reset{When: "during", Select: toxic.All})
			c.Send(wiretest.Get)
			up.Expect(wiretest.Get)
			up.Send(tt.response)
			c.Expect(tt.want) // what was sent before the reset is not lost by it
			c.WasReset()
			status := 200
			if tt.response == empty {
				status = 0 // it never had the whole head
			}
			l.recorded(evidence.Broken, status, true)
			remove()
			c, up = warm(l, d)
			untouched(l, c, up)
		})
	}

	t.Run("half of a long body", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.Reset{When: "during", Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		body := strings.Repeat("x", 4<<20)
		go io.WriteString(up, bodied(body)) // fails when the connection is closed in the middle of it
		c.Expect(bodied(body)[:len(bodied(""))+len("4194304")-1])
		c.Expect(body[:2<<20])
		c.WasReset()
		l.recorded(evidence.Broken, 200, true)
	})
}

func TestResetAfter(t *testing.T) {
	t.Run("the dependency's response", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		remove := l.Add(4, toxic.Reset{When: "after", Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(bodied("0123456789"))
		c.Expect(bodied("0123456789"))
		c.WasReset()
		l.recorded(evidence.Answered, 200, true)
		remove()
		c, up = warm(l, d)
		untouched(l, c, up)
	})

	t.Run("the next request waits already", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.Reset{When: "after", Select: toxic.All})
		c.Send(wiretest.Get + wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		c.WasReset()
		l.recorded(evidence.Answered, 200, true) // and none of the second
	})

	t.Run("an answer of ours", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, _ := warm(l, d)
		l.Add(4, toxic.Reset{When: "after", Select: toxic.All})
		l.Add(3, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All})
		c.Send(wiretest.Get)
		c.Expect("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		c.WasReset()
		if x := l.Next(); x.Ending != evidence.Injected || x.Faults != 1<<3|1<<4 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("a long response that is read slowly", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.Reset{When: "after", Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		body := strings.Repeat("x", 1<<20)
		go io.WriteString(up, bodied(body))
		time.Sleep(20 * time.Millisecond) // most of it is in buffers; the test cannot fail for it
		c.Expect(bodied(body))
		c.WasReset()
		l.recorded(evidence.Answered, 200, true)
	})
}

func TestReset(t *testing.T) {
	for _, tt := range []struct {
		name   string
		during func(l *testLink, c, up *wiretest.Caller) (remove func()) // the request, and the injection
		status int
	}{
		{"next call on an open connection", func(l *testLink, c, up *wiretest.Caller) func() {
			remove := l.Add(1, toxic.Reset{Select: toxic.All})
			c.Send(wiretest.Get)
			return remove
		}, 0},
		{"waiting for the response", func(l *testLink, c, up *wiretest.Caller) func() {
			c.Send(wiretest.Get)
			up.Expect(wiretest.Get)
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 0},
		{"in the response", func(l *testLink, c, up *wiretest.Caller) func() {
			c.Send(wiretest.Get)
			up.Expect(wiretest.Get)
			up.Send(wiretest.OK[:len(wiretest.OK)-1])
			c.Expect(wiretest.OK[:len(wiretest.OK)-1])
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 200},
		{"in the request", func(l *testLink, c, up *wiretest.Caller) func() {
			c.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
			up.Expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 0},
		{"in a delay", func(l *testLink, c, up *wiretest.Caller) func() {
			l.Add(1, toxic.Latency{Delay: time.Hour, Select: toxic.All})
			c.Send(wiretest.Get)
			wiretest.Eventually(l.T, "it begins", func() bool { return l.InFlight() == 1 })
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 0},
		{"in a tunnel", func(l *testLink, c, up *wiretest.Caller) func() {
			c.Send(upgrade)
			up.Expect(upgrade)
			up.Send(switching)
			c.Expect(switching)
			c.CloseWrite()
			if err := up.End(); err != nil {
				l.T.Errorf("the dependency saw %v, want a FIN", err)
			}
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 101},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address())
			c, up := warm(l, d)
			remove := tt.during(l, c, up)
			if err := c.End(); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the caller saw %v, want a reset", err)
			}
			if x := l.Next(); x.Ending != evidence.Broken || x.Status != tt.status || x.Faults != 1<<1 {
				t.Errorf("recorded %+v", x)
			}
			remove()
		})
	}
	t.Run("healed", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(1, toxic.Reset{Select: toxic.All})()
		untouched(l, c, up)
	})
}

// A response that comes while a fault breaks its exchange off does not reach the caller: it
// sees what is recorded.
func TestNothingPassesBehindWhatIsBrokenOff(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c, up := warm(l, d)
	saw := make(chan error, 1)
	l.Record(time.Now(), func(x evidence.Exchange) {
		if x.Ending == evidence.Broken {
			_, _ = io.WriteString(up, bodied("late")) // fails if that connection is closed by now, as it may be
			_, err := c.Read(make([]byte, 1))
			saw <- err
		}
		l.Records <- x
	})
	c.Send(wiretest.Get)
	up.Expect(wiretest.Get)
	l.Add(4, toxic.Reset{Select: toxic.All})
	if err := <-saw; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the caller saw %v, want a reset", err)
	}
	l.recorded(evidence.Broken, 0, true)
}
