package http

import (
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// lengthOf is what a head says of the length of its body.
func lengthOf(fields []hpack.HeaderField) (length int64, known bool) {
	for _, f := range fields {
		if f.Name == "content-length" {
			length, err := strconv.ParseInt(f.Value, 10, 64)
			return length, err == nil && length >= 0
		}
	}
	return 0, false
}

// pace says how much of a response's data may be passed on now, if something
// is done to it: pieces wait for the pace, their bytes may be corrupted, and it
// may end before its end. mu is locked, also in all that follows.
func (m *h2Conn) pace(s *h2Stream, now time.Time) {
	f, b, fate := &s.response, &s.body, s.x.fate
	if !f.begun || !s.x.open || s.ours || s.x.upgraded || !fate.OnBody() {
		b.at -= int64(f.allowed + f.next)
		f.bounded, f.allowed, f.next = false, 0, 0
		return
	}
	f.bounded = true
	for f.allowed == 0 {
		if f.next > 0 {
			if fate.Paces() && now.Before(b.due) {
				m.hold(s, b.due)
				return
			}
			f.allowed, f.next = f.next, 0
			return
		}
		n := int64(f.left())
		if at, hard, cuts := b.cutAt(fate); cuts {
			if n > 0 && b.at >= at {
				m.cutShort(s, hard)
				return
			}
			n = min(n, at-b.at)
		}
		if n <= 0 {
			return // until there is more
		}
		if fate.Paces() {
			n = min(n, fate.Pace.Piece)
		}
		f.next = int(n)
		if b.piece(fate, f.data[f.at:f.at+f.next], now) {
			m.recordHits(s, toxic.Fate.Corrupts)
		}
		m.recordHits(s, toxic.Fate.Paces)
	}
}

// cutShort ends a response here: by a reset, or as if it were whole. Where
// neither a content-length nor what gRPC says of its messages would tell that it
// is not, it takes a reset to be noticed at all, as on HTTP/1.1 an end without
// the last chunk is.
func (m *h2Conn) cutShort(s *h2Stream, hard bool) {
	if hard {
		m.breakAt(s)
		return
	}
	m.recordHits(s, toxic.Fate.Truncates)
	m.finish(s, evidence.Broken, &m.caller)
	switch {
	case !s.body.known && !s.grpc:
		m.caller.reset(s.id, uint32(http2.ErrCodeInternal))
	case !s.request.complete:
		m.caller.bytes(s.id, nil, true)
		m.caller.reset(s.id, uint32(http2.ErrCodeNo))
	default:
		m.caller.bytes(s.id, nil, true)
	}
	m.forget(s)
}

// breaks reports whether a fault puts a reset in the place of a response's end:
// one that breaks it behind its last byte, or one that found no middle of it.
func (m *h2Conn) breaks(s *h2Stream, f *halfStream) bool {
	if f != &s.response || !s.x.open || s.x.upgraded {
		return false
	}
	fate := s.x.fate
	return fate.BreaksAfter() && !fate.Connection || fate.BreaksDuring() && !s.ours
}

// breakAt resets a stream behind what was passed on of its response; or the
// whole connection.
func (m *h2Conn) breakAt(s *h2Stream) {
	m.recordHits(s, func(f toxic.Fate) bool { return f.BreaksDuring() || f.BreaksAfter() })
	whole := s.x.fate.Connection
	m.finish(s, evidence.Broken, &m.caller)
	if whole {
		m.caller.ends[len(m.caller.ends)-1].breaks = true
		return
	}
	m.caller.reset(s.id, uint32(http2.ErrCodeInternal))
	m.forget(s)
}

// discard drops what there is of a response that the caller never hears.
func (m *h2Conn) discard(s *h2Stream) {
	f := &s.response
	s.withheld()
	if n := f.empty(); n > 0 {
		m.giveBack(s, f, n)
	}
	s.x.lost = s.x.lost || f.complete || f.reset || m.over
	if verb, _ := s.x.requestGate(time.Time{}); verb == toxic.Break {
		m.breakOff(s)
	}
}

// editNext does to the next bytes of a request what the fate wants.
func (m *h2Conn) editNext(s *h2Stream, p []byte) {
	if s.corrupts && !s.x.upgraded && s.noise.on(s.x.fate.CorruptRequest, s.sent, p) && s.x.open {
		m.recordHits(s, toxic.Fate.CorruptsRequest)
	}
	s.sent += int64(len(p))
	if !s.copies {
		return
	}
	if len(s.copy)+len(p) > maxCopy {
		s.copies, s.copy = false, nil
		return
	}
	s.copy = append(s.copy, p...)
}

// deliverAgain delivers a copy of the request to the dependency, on a stream of
// its own. It ends with the connection.
func (m *h2Conn) deliverAgain(s *h2Stream) {
	again := &h2Stream{fields: s.fields, duplicate: true}
	again.request = halfStream{
		from: &m.caller, to: &m.up, data: s.copy, trailers: s.request.trailers, complete: true, window: m.up.initial,
	}
	again.response = halfStream{from: &m.up, room: window}
	s.copy = nil
	m.wait(again)
	m.pump()
}

// fromDuplicate drops what comes back for a second delivery.
func (m *h2Conn) fromDuplicate(s *h2Stream, f http2.Frame) error {
	over := false
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		over = f.StreamEnded()
	case *http2.DataFrame:
		if s.response.room -= int(f.Length); s.response.room < 0 {
			return streamError(s.up, http2.ErrCodeFlowControl)
		}
		m.giveBack(s, &s.response, int(f.Length))
		over = f.StreamEnded()
	case *http2.RSTStreamFrame:
		s.response.reset, over = true, true
	}
	if over {
		s.response.complete = true
		m.drop(s, http2.ErrCodeNo)
		s.gone = true
	}
	return nil
}
