package http

import (
	"errors"
	"io"
	"syscall"
	"time"

	"golang.org/x/net/http2"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// ended handles that a side is over: its connection has ended, or what came on
// it is not HTTP/2. mu is locked.
func (m *h2Conn) ended(l *h2Side, err error) {
	code, breach := peerBreach(err)
	switch {
	case l == &m.caller:
		m.finishAll(evidence.CallerGone)
		if !breach || m.draining || m.closed {
			m.shutBoth(errors.Is(err, syscall.ECONNRESET))
			return
		}
		_ = l.control.WriteGoAway(m.last, code, nil)
		m.draining, m.caller.mute = true, false
		m.end(false)
		_ = l.conn.SetWriteDeadline(time.Now().Add(linger)) // fails only if closed
		l.signal()
	default:
		m.end(breach || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF))
	}
}

// peerBreach reports whether err is a peer's breach of HTTP/2 that ends the
// connection, and the code for its GOAWAY.
func peerBreach(err error) (code http2.ErrCode, breach bool) {
	var conn http2.ConnectionError
	switch {
	case errors.As(err, &conn):
		return http2.ErrCode(conn), true
	case errors.Is(err, http2.ErrFrameTooLarge):
		return http2.ErrCodeFrameSize, true
	default:
		return 0, false
	}
}

// end handles that there is no dependency's side any more. mu is locked.
func (m *h2Conn) end(hard bool) {
	if !m.over {
		m.over, m.hard = true, hard
		m.close(&m.up, hard)
		for _, s := range m.streams {
			if s.x.dropped {
				m.discard(s)
			}
		}
	}
}

// settle ends the caller's side behind that of the dependency, as soon as that
// takes nothing from the caller which it would otherwise get: what faults hold,
// or answer, still has to come. An exchange that nothing holds ends it at once.
// mu is locked.
func (m *h2Conn) settle() {
	if !m.over || m.draining || m.closed {
		return
	}
	lost, kept := false, false
	for _, s := range m.streams {
		switch {
		case !s.x.open:
		case s.ours, s.x.verb() == toxic.Stall, s.x.dropped, s.response.complete || s.response.reset:
			kept = true
		default:
			lost = true
		}
	}
	if !lost && kept {
		return
	}
	for _, s := range m.streams {
		if s.x.dropped || !s.ours && !s.response.complete && !s.response.reset || s.response.stalled {
			m.finish(s, evidence.Failed, nil)
		}
	}
	m.draining, m.caller.mute = true, false
	m.caller.signal()
}

// leave ends the caller's connection behind all that was written to it.
func (m *h2Conn) leave() {
	m.mu.Lock()
	hard := m.hard
	m.unlock()
	if hard {
		m.shut(true)
		return
	}
	// Closing before the caller has would reset the connection if it still
	// sends, and might take from it what it has not read yet.
	_ = m.caller.conn.SetReadDeadline(time.Now().Add(linger)) // fails only if closed
	_ = m.caller.conn.CloseWrite()
	m.mu.Lock()
	m.caller.broken = true
	m.unlock()
}

// shut closes both connections, hard by a RST.
func (m *h2Conn) shut(hard bool) {
	m.mu.Lock()
	m.shutBoth(hard)
	m.unlock()
}

// shutBoth is shut with mu locked.
func (m *h2Conn) shutBoth(hard bool) {
	if m.closed {
		return
	}
	m.closed = true
	m.close(&m.caller, hard)
	m.close(&m.up, hard)
	m.drained.Broadcast()
	m.wakeClock()
}

// close closes the connection of a side. mu is locked.
func (m *h2Conn) close(l *h2Side, hard bool) {
	if l == &m.up && m.cancel != nil {
		m.cancel()
	}
	switch {
	case l.conn == nil:
	case hard:
		transport.Reset(l.conn)
	default:
		_ = l.conn.Close()
	}
	l.broken = true
	l.signal()
}

// cut ends everything, because the relay is closed.
func (m *h2Conn) cut() {
	m.mu.Lock()
	m.finishAll(evidence.Cut)
	m.shutBoth(false)
	m.unlock()
}
