package http

import (
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

func TestDropResponse(t *testing.T) {
	t.Run("the caller waits until it leaves", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		remove := l.Add(4, toxic.DropResponse{Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get) // the dependency does the work
		up.Send(bodied("0123456789"))
		up.WasClosed() // and the link has read its response
		c.Silent()
		c.Close()
		if x := l.recorded(evidence.CallerGone, 0, true); x.Own != 200 || x.OwnStatus() != 200 {
			t.Errorf("the dependency answered 200, recorded %d", x.Own)
		}
		remove()
		c, up = warm(l, d)
		untouched(l, c, up)
	})

	t.Run("a caller that still waits at the heal is reset", func(t *testing.T) {
		for name, all := range map[string]bool{"the response is there": true, "half of the response is there": false} {
			t.Run(name, func(t *testing.T) {
				d := wiretest.NewDependency(t)
				l := listen(t, d.Address())
				c, up := warm(l, d)
				remove := l.Add(4, toxic.DropResponse{Select: toxic.All})
				c.Send(wiretest.Get)
				up.Expect(wiretest.Get)
				response := bodied("0123456789")
				if !all {
					response = response[:len(response)-5]
				}
				up.Send(response)
				wiretest.Eventually(t, "it is dropped", func() bool { return l.any(func(c *h1Conn) bool { return c.x.dropped && c.x.lost == all }) })
				c.Silent()
				remove()
				c.WasReset()
				l.recorded(evidence.Broken, 0, true)
			})
		}
	})

	t.Run("then reset", func(t *testing.T) {
		for name, response := range map[string]string{
			"a length": bodied("0123456789"), "no body": empty, "an upgrade": switching,
			"chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		} {
			t.Run(name, func(t *testing.T) {
				d := wiretest.NewDependency(t)
				l := listen(t, d.Address())
				c, up := warm(l, d)
				remove := l.Add(4, toxic.DropResponse{Then: "reset", Select: toxic.All})
				c.Send(upgrade)
				up.Expect(upgrade)
				up.Send("HTTP/1.1 103 Early Hints\r\n\r\n") // is no response yet
				c.Expect("HTTP/1.1 103 Early Hints\r\n\r\n")
				up.Send(response)
				c.WasReset()
				l.recorded(evidence.Broken, 0, true)
				remove()
				c, up = warm(l, d)
				untouched(l, c, up)
			})
		}
	})

	t.Run("its end is the connection's", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.DropResponse{Then: "reset", Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send("HTTP/1.0 200 OK\r\n\r\nall of it")
		c.Silent()
		up.Close()
		c.WasReset()
		l.recorded(evidence.Broken, 0, true)
	})

	t.Run("the dependency fails by itself", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.DropResponse{Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Close()
		c.WasClosed()
		l.recorded(evidence.Failed, 0, false) // no response, none dropped
	})

	t.Run("injected in flight", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		l.Add(4, toxic.DropResponse{Then: "reset", Select: toxic.All})
		up.Send(wiretest.OK)
		c.WasReset()
		l.recorded(evidence.Broken, 0, true)
	})

	t.Run("too late", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK[:len(wiretest.OK)-1])
		c.Expect(wiretest.OK[:len(wiretest.OK)-1])
		l.Add(4, toxic.DropResponse{Select: toxic.All})
		l.Add(4, toxic.Hang{Select: toxic.All})
		l.Add(4, toxic.Latency{Delay: time.Hour, On: "response", Select: toxic.All})
		up.Send(wiretest.OK[len(wiretest.OK)-1:])
		c.Expect(wiretest.OK[len(wiretest.OK)-1:])
		l.recorded(evidence.Answered, 200, false)
	})

	t.Run("an error comes after all", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(4, toxic.DropResponse{Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		up.WasClosed()
		remove := l.Add(4, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All})
		c.Expect("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		l.recorded(evidence.Injected, 503, true)
		remove()
	})
}
