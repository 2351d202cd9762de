package http

import (
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

func TestSlowBody(t *testing.T) {
	t.Run("pieces with a pause", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.SlowBody{Piece: 4, Pause: 20 * time.Millisecond, Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		response := bodied("0123456789")
		begun := time.Now()
		up.Send(response)
		c.Expect(response)
		// Pieces of 4, 4 and 2 bytes: 20 + 20 + 10 ms.
		if took := time.Since(begun); took < 50*time.Millisecond {
			t.Errorf("the response took %v, want 50ms at least", took)
		}
		l.recorded(evidence.Answered, 200, true)
	})

	t.Run("a rate", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.SlowBody{Rate: 100_000, Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		body := strings.Repeat("x", 20_000)
		begun := time.Now()
		up.Send(bodied(body))
		c.Expect(bodied(body))
		// 20,000 bytes at 100,000 a second: 0.2 s, and never faster.
		if took := time.Since(begun); took < 200*time.Millisecond {
			t.Errorf("the response took %v, want 200ms at least", took)
		}
		l.recorded(evidence.Answered, 200, true)
	})

	t.Run("the head comes at once, and all the rest at the heal", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		remove := l.Add(4, toxic.SlowBody{Piece: 1, Pause: time.Hour, Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		up.Send(chunked + "3\r\nabc\r\n0\r\n\r\n")
		c.Expect(chunked)
		c.Expect("3\r\n")
		c.Silent()
		remove()
		c.Expect("abc\r\n0\r\n\r\n")
		l.recorded(evidence.Answered, 200, true)
		untouched(l, c, up)
	})

	t.Run("injected in the middle of the body", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		head := "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
		up.Send(head + "01234")
		c.Expect(head + "01234")
		remove := l.Add(4, toxic.SlowBody{Piece: 1, Pause: time.Hour, Select: toxic.All})
		up.Send("56789")
		c.Silent()
		remove()
		c.Expect("56789")
		l.recorded(evidence.Answered, 200, true)
	})

	t.Run("the caller leaves", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.SlowBody{Piece: 1, Pause: time.Hour, Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(bodied("0123456789"))
		c.Expect("HTTP/1.1 200 OK\r\n")
		c.Close()
		l.recorded(evidence.CallerGone, 200, true)
	})
}
