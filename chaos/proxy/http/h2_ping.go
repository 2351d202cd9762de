package http

import (
	"golang.org/x/net/http2"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// ping passes a PING on to the other end, and its answer back, so that it tells
// what it would tell without us. As long as there is no other end we answer. In
// a partition it waits with the exchanges.
func (m *h2Conn) ping(from *h2Side, f *http2.PingFrame) {
	p := ping{from, f.IsAck(), f.Data}
	if !m.partitioned() {
		m.passPing(p)
	} else if len(m.pings) < maxPings {
		m.pings = append(m.pings, p)
	}
}

// ping is a PING or the answer to one.
type ping struct {
	from *h2Side
	ack  bool
	data [8]byte
}

// maxPings bounds those that are stalled; a peer that sends more in a partition has given
// up on the first.
const maxPings = 16

func (m *h2Conn) passPing(p ping) {
	to := &m.up
	if p.from == to {
		to = &m.caller
	}
	switch {
	case to.conn != nil && !m.over:
		_ = to.control.WritePing(p.ack, p.data)
	case !p.ack:
		_ = p.from.control.WritePing(true, p.data)
	}
}

// partitioned reports whether a fault holds all exchanges in progress, both ways.
func (m *h2Conn) partitioned() bool {
	open := false
	for _, s := range m.streams {
		if !s.x.open {
			continue
		}
		if s.x.fate.Verb != toxic.Stall {
			return false
		}
		open = true
	}
	return open
}
