package http

import (
	"context"
	"time"

	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/load/wire"
)

// repeat is a request that is delivered a second time.
type repeat struct {
	request []byte
	toHEAD  bool
}

// deliverAgain delivers a copy of the request to the dependency, on a connection
// that no caller has. Its result is ignored: only the dependency's side shows what
// became of it.
func (c *h1Conn) deliverAgain() {
	a := repeat{c.edit.copy, string(c.req.Method) == "HEAD"}
	c.edit.copy = nil
	r := c.relay
	select {
	case r.again <- a: // a delivery has a connection that is idle
	default:
		r.life.WG.Go(func() { r.deliver(a) })
	}
}

const (
	// patienceAgain bounds how long the dependency may take for the second of two
	// deliveries.
	patienceAgain = time.Minute
	// idleAgain is how long a connection waits for another: with one dialled for each, a
	// delivery took some 400 µs of CPU on both its sides, and 60 without. It is
	// shorter than servers keep idle ones, so that none is lost to a connection which is
	// just being closed.
	idleAgain = 200 * time.Millisecond
)

// delivery is a connection for second deliveries.
type delivery struct {
	relay *Relay
	conn  transport.Conn // nil if there is none
	room  []byte
}

// deliver delivers a request, and others as long as there are some.
func (r *Relay) deliver(a repeat) {
	d := delivery{relay: r, room: make([]byte, 8<<10)}
	defer d.hangUp()
	idle := time.NewTimer(idleAgain)
	defer idle.Stop()
	for d.request(a) {
		idle.Reset(idleAgain)
		select {
		case a = <-r.again:
		case <-idle.C:
			return
		case <-r.life.Ctx.Done():
			return
		}
		if raw, err := d.conn.SyscallConn(); err != nil || transport.HungUp(raw) {
			d.hangUp()
		}
	}
}

func (d *delivery) hangUp() {
	if d.conn != nil {
		_ = d.conn.Close()
		d.conn = nil
	}
}

// request sends a request to the dependency, and reads and drops the response. It
// reports whether the connection takes another.
func (d *delivery) request(a repeat) bool {
	r := d.relay
	if d.conn == nil {
		conn, err := r.dialer.Dial(r.life.Ctx, "http/1.1")
		if err != nil {
			return false
		}
		d.conn = conn
	}
	conn := d.conn
	_ = conn.SetDeadline(time.Now().Add(patienceAgain)) // fails only if closed
	stop := context.AfterFunc(r.life.Ctx, func() { _ = conn.SetDeadline(longAgo) })
	defer stop()
	n, err := conn.Write(a.request)
	r.Passed(link.ToDependency, n)
	return err == nil && d.response(a.toHEAD)
}

// response is the second half of request.
func (d *delivery) response(toHEAD bool) bool {
	conn, r := d.conn, d.relay
	in := buffer{b: d.room}
	var res wire.Response
	for headed := false; ; {
		room := in.roomFor(!headed)
		n, err := conn.Read(room)
		r.Got(link.ToCaller, n)
		if err != nil {
			return false
		}
		in.filled(n)
		for !headed && !in.empty() {
			n, err := res.Parse(in.pending(), toHEAD)
			if err != nil {
				return false
			}
			if n == 0 {
				break
			}
			in.take(n)
			headed = !res.Interim()
		}
		if headed {
			n, done, err := res.Body.Next(in.pending())
			if done || err != nil {
				in.take(n)
				return done && err == nil && in.empty() && !res.Close && !res.Upgrade
			}
			in.take(n)
		}
	}
}
