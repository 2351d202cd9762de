package http

import (
	"time"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// advance does with a stream what can be done at the time now. mu is locked.
func (m *h2Conn) advance(s *h2Stream, now time.Time) {
	s.until = time.Time{}
	if s.gone || !m.advanceRequest(s, now) {
		return
	}
	if s.x.dropped {
		m.discard(s)
		return
	}
	m.advanceResponse(s, now)
}

// advanceRequest reports false if the stream has been broken off.
func (m *h2Conn) advanceRequest(s *h2Stream, now time.Time) bool {
	f := &s.request
	if s.ours {
		m.answer(s)
		return true
	}
	verb, until := toxic.Pass, time.Time{}
	if s.x.open {
		verb, until = s.x.requestGate(now)
	}
	f.stalled = verb == toxic.Stall
	switch verb {
	case toxic.Stall:
		if s.x.verb() == toxic.Respond {
			m.recordHits(s, toxic.Fate.IsLate) // the answer is the response that waits
		}
		m.hold(s, until)
	case toxic.Break:
		m.breakOff(s)
		return false
	case toxic.Respond:
		m.respond(s)
	case toxic.Pass:
		if !s.x.passed {
			m.wait(s)
		} else {
			m.queue(s, f)
		}
	}
	return true
}

func (m *h2Conn) advanceResponse(s *h2Stream, now time.Time) {
	f := &s.response
	f.stalled = false
	for len(f.heads) > 0 {
		final := !interim(f.heads[0])
		if !m.mayPass(s, now, final) {
			return
		}
		fields := f.heads[0]
		f.heads = f.heads[1:]
		last := final && f.last() && f.left() == 0
		broken := last && m.breaks(s, f)
		if broken && s.x.fate.BreaksDuring() {
			// There is no body to break in the middle of.
			m.breakAt(s)
			return
		}
		if final {
			f.begun = true
			s.body.length, s.body.known = lengthOf(fields)
			m.describe(s, fields)
			s.x.upgraded = s.x.toCONNECT && !s.ours && s.x.Status >= 200 && s.x.Status < 300
		}
		f.to.head(s.id, fields, last && !broken)
		switch {
		case broken:
			m.breakAt(s)
			return
		case last:
			m.passedOn(s, f)
		}
	}
	if f.done || !m.mayPass(s, now, f.begun) {
		return
	}
	m.pace(s, now)
	m.queue(s, f)
}

// mayPass asks whether more of the response may be passed on.
func (m *h2Conn) mayPass(s *h2Stream, now time.Time, final bool) bool {
	if !s.x.open {
		return true
	}
	verb, until := s.x.responseGate(now, final)
	if !until.IsZero() {
		m.recordHits(s, toxic.Fate.IsLate)
	}
	switch verb {
	case toxic.Break:
		m.breakOff(s)
		return false
	case toxic.Stall:
		s.response.stalled = true
		s.withheld()
		m.hold(s, until)
		return false
	}
	if final && !s.x.answering {
		if s.x.fate.Drops() {
			s.x.dropped = true
			m.recordHits(s, toxic.Fate.Drops)
			m.discard(s)
			return false
		}
		s.x.answering = true
	}
	return true
}

// hold has a stream looked at when the time comes, if there is one.
func (m *h2Conn) hold(s *h2Stream, until time.Time) {
	if until.IsZero() {
		return
	}
	if s.until.IsZero() || until.Before(s.until) {
		s.until = until
	}
	m.at(until)
}
