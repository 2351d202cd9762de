package http

import (
	"time"

	"golang.org/x/net/http2"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// wait passes the request on, as soon as there is a connection with room.
func (m *h2Conn) wait(s *h2Stream) {
	if !s.queued {
		s.queued = true
		m.waiting = append(m.waiting, s)
	}
}

// pump passes on the requests that wait for that. mu is locked.
func (m *h2Conn) pump() {
	for len(m.waiting) > 0 && !m.over {
		s := m.waiting[0]
		if s.gone || s.ours || s.request.stalled {
			s.queued = false
			m.waiting = m.waiting[1:]
			continue
		}
		if m.up.conn == nil {
			m.dial()
			return
		}
		if len(m.passed) >= m.limit {
			return
		}
		s.queued = false
		m.waiting = m.waiting[1:]
		if m.next > m.served {
			m.refused(s)
			continue
		}
		m.pass(s)
	}
}

// pass passes a request's head on, and lets the rest follow.
func (m *h2Conn) pass(s *h2Stream) {
	s.up = m.next
	m.next += 2
	m.passed[s.up] = s
	s.x.passed = true
	s.corrupts = s.x.fate.CorruptsRequest()
	s.copies = s.x.fate.Duplicates() && !s.x.toCONNECT
	f := &s.request
	f.begun = true
	f.window = m.up.initial
	last := f.last() && f.left() == 0
	m.up.head(s.up, s.fields, last)
	if last {
		m.passedOn(s, f)
	} else {
		m.queue(s, f)
	}
}

// queue has the writer take from a half stream, if there is something.
func (m *h2Conn) queue(s *h2Stream, f *halfStream) {
	if f.queued || f.stalled || f.done || s.gone || !f.begun && !f.reset {
		return
	}
	if f.left() == 0 && !f.complete && !f.reset {
		return
	}
	if f.left() > 0 && (f.bounded && f.allowed == 0 || !f.reset && min(f.window, f.to.window) <= 0) {
		return // until it is due, or there is a WINDOW_UPDATE
	}
	f.queued = true
	f.to.ready = append(f.to.ready, s)
}

// pull writes a half stream's next frame. mu is locked.
func (m *h2Conn) pull(s *h2Stream, f *halfStream) {
	f.queued = false
	if s.gone || f.stalled || f.done || len(f.heads) > 0 || s.ours && f == &s.request || s.x.dropped && f == &s.response {
		return
	}
	if f.reset && f.left() > 0 && f.window <= 0 {
		f.empty() // the sender could not have sent it
	}
	if n := f.left(); n > 0 {
		n = int(min(int64(n), wire.MaxFrame, f.window, f.to.window))
		if f.bounded {
			n = min(n, f.allowed)
		}
		if n <= 0 {
			return
		}
		p := f.data[f.at : f.at+n]
		if f == &s.request {
			m.editNext(s, p)
		}
		last := n == f.left() && f.last() && !m.breaks(s, f)
		f.to.bytes(s.on(f.to), p, last)
		f.at += n
		f.window -= int64(n)
		f.to.window -= int64(n)
		m.giveBack(s, f, n)
		switch {
		case last:
			m.passedOn(s, f)
			return
		case f == &s.request:
		case !f.bounded:
			s.body.at += int64(n)
		default:
			f.allowed -= n
			m.pace(s, time.Now())
		}
		m.queue(s, f)
		return
	}
	switch {
	case f.complete && m.breaks(s, f):
		m.breakAt(s)
	case f.complete:
		if f.trailers != nil {
			if f == &s.response && s.x.Status == 0 {
				m.describe(s, f.trailers)
			}
			f.to.head(s.on(f.to), f.trailers, true)
		} else {
			f.to.bytes(s.on(f.to), nil, true)
		}
		m.passedOn(s, f)
	case f.reset: // by the dependency: the caller's takes effect at once
		m.finish(s, evidence.Failed, f.to)
		f.to.reset(s.id, f.code)
		m.forget(s)
	}
}

// giveBack makes room for as much as was passed on.
func (m *h2Conn) giveBack(s *h2Stream, f *halfStream, n int) {
	if f.complete || f.reset {
		return
	}
	if f.owed += n; f.owed < window/4 {
		return
	}
	if id := s.on(f.from); id != 0 {
		f.from.out = wire.AppendWindowUpdate(f.from.out, id, f.owed)
		f.room += f.owed
		f.owed = 0
	}
}

// passedOn notes that a half stream has been passed on whole.
func (m *h2Conn) passedOn(s *h2Stream, f *halfStream) {
	f.done = true
	m.release(s)
	if f == &s.request && s.copies && s.x.open && s.x.fate.Duplicates() {
		m.recordHits(s, toxic.Fate.Duplicates)
		m.deliverAgain(s)
	}
	if f == &s.response {
		how := evidence.Answered
		if s.ours {
			how = evidence.Injected
		} else if s.grpc && s.x.Status == 0 {
			m.describe(s, nil)
		}
		m.finish(s, how, f.to)
		if s.ours && !s.request.complete {
			f.to.reset(s.id, uint32(http2.ErrCodeNo)) // no more of the request is wanted
			m.forget(s)
			return
		}
		if f.reset && !s.request.complete {
			f.to.reset(s.id, f.code)
			m.forget(s)
			return
		}
	}
	if s.response.done && (s.request.done || s.ours && s.request.complete || s.response.reset) {
		m.forget(s)
	}
}
