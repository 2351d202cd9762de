package http

import (
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// h2Stream is one exchange of a connection of HTTP/2. h2Conn.mu guards it.
type h2Stream struct {
	id, up uint32 // its numbers on the two sides; up is 0 until it was passed on
	x      exchange
	head   toxic.Head
	fields []hpack.HeaderField // of the request
	grpc   bool
	waits  bool // the caller sends the body when it has got a 100
	until  time.Time

	request, response halfStream
	hash              uint64 // of the request's body so far
	messages          messages

	body      bodyPacer // of the response
	corrupts  bool      // bytes of the request are changed
	sent      int64     // bytes of the request that were passed on
	noise     noise
	copies    bool   // the request is to be delivered twice
	copy      []byte // of its body, as it is passed on
	duplicate bool   // it is the second delivery of another one's request: the caller knows nothing of it

	ours   bool // a fault answers it
	filled bool // and the answer is in response
	queued bool // in h2Conn.waiting
	gone   bool // forgotten
}

func (s *h2Stream) toward(l *h2Side) *halfStream {
	if s.response.to == l {
		return &s.response
	}
	return &s.request
}

func (s *h2Stream) on(l *h2Side) uint32 {
	if s.response.to == l {
		return s.id
	}
	return s.up
}

// field is the first field with this name. The authority is a host, too.
func (s *h2Stream) field(name string) (value []byte, ok bool) {
	for _, f := range s.fields {
		if strings.EqualFold(f.Name, name) {
			return []byte(f.Value), true
		}
	}
	if strings.EqualFold(name, "host") {
		return s.field(":authority")
	}
	return nil, false
}

// begin opens the exchange of a stream whose request head has come, and lets
// the toxics in force decide for it. mu is locked.
func (m *h2Conn) begin(id uint32, fields []hpack.HeaderField, complete bool) *h2Stream {
	s := &h2Stream{id: id, fields: fields, hash: fnvOffset}
	s.request = halfStream{from: &m.caller, to: &m.up, room: window, complete: complete, window: m.up.initial}
	s.response = halfStream{from: &m.up, to: &m.caller, room: window, window: m.caller.initial}
	for _, f := range fields {
		switch f.Name {
		case ":method":
			s.head.Method = []byte(f.Value)
		case ":path":
			path, _, _ := strings.Cut(f.Value, "?")
			s.head.Path = []byte(path)
		case "content-type":
			s.grpc = m.grpc && strings.HasPrefix(f.Value, "application/grpc")
		case "expect":
			s.waits = strings.EqualFold(f.Value, "100-continue")
		}
	}
	s.head.Header, s.head.Conn = s.field, m.number
	s.x.begin(m.relay, m.relay.identify(&s.head))
	m.streams[id] = s
	s.x.meet(m.relay, &s.head, &m.draw)
	return s
}

// recordHits is that of a stream's exchange. mu is locked.
func (m *h2Conn) recordHits(s *h2Stream, match func(toxic.Fate) bool) { s.x.recordHits(m.relay, match) }

// describe records what the caller is told.
func (m *h2Conn) describe(s *h2Stream, fields []hpack.HeaderField) {
	if status := s.statusIn(fields); status != 0 {
		s.x.Status, s.x.Own = status, 0
	}
	for _, f := range fields {
		switch f.Name {
		case "retry-after":
			wait, _ := wire.ParseRetryAfter([]byte(f.Value), time.Now())
			s.x.SetRetryAfter(wait)
		case "grpc-retry-pushback-ms":
			if ms, err := time.ParseDuration(f.Value + "ms"); err == nil && s.grpc && ms > 0 {
				s.x.SetRetryAfter(ms)
			}
		}
	}
}

// statusIn is the status of a response that its head or its trailers tell; 0 if they do
// not, as the head of most responses of gRPC.
func (s *h2Stream) statusIn(fields []hpack.HeaderField) int {
	status := 0
	grpc := ""
	for _, f := range fields {
		switch f.Name {
		case ":status":
			status = statusOf(f.Value)
		case "grpc-status":
			grpc = f.Value
		}
	}
	if s.grpc && (status == 0 || status == 200 && s.response.last()) {
		return grpcStatus(grpc)
	}
	if s.grpc && status == 200 {
		return 0
	}
	return status
}

// withheld records what the dependency answered as far as it is there, until its caller gets it.
func (s *h2Stream) withheld() {
	if !s.x.open || s.x.answering || s.ours || s.duplicate {
		return
	}
	for _, fields := range s.response.heads {
		if status := s.statusIn(fields); status != 0 && !interim(fields) {
			s.x.Own = int16(status)
		}
	}
	if trailers := s.response.trailers; trailers != nil && s.grpc {
		s.x.Own = int16(s.statusIn(trailers))
	}
}

// finish ends an exchange that is open. With l it is told when what is in l.out
// has been written. mu is locked.
func (m *h2Conn) finish(s *h2Stream, how evidence.Ending, l *h2Side) {
	e, ok := s.x.finish(m.relay, how, s.x.fate.Connection && !s.x.upgraded)
	switch {
	case !ok:
	case l != nil:
		l.ends = append(l.ends, e)
	default:
		m.told = append(m.told, e)
	}
}

func (m *h2Conn) finishAll(how evidence.Ending) {
	for _, s := range m.streams {
		m.finish(s, how, nil)
	}
}

// forget drops a stream. mu is locked.
func (m *h2Conn) forget(s *h2Stream) {
	m.drop(s, http2.ErrCodeCancel)
	s.gone = true
	s.request.empty()
	s.response.empty()
	delete(m.streams, s.id)
}

// drop takes a stream from the dependency's side, by a reset if it is not over
// there.
func (m *h2Conn) drop(s *h2Stream, code http2.ErrCode) {
	if m.passed[s.up] != s {
		return
	}
	delete(m.passed, s.up)
	if !s.response.reset && !(s.request.done && s.response.complete) {
		m.up.reset(s.up, uint32(code))
	}
}

// breakOff resets a stream, as a fault wants it; or the whole connection.
func (m *h2Conn) breakOff(s *h2Stream) {
	if s.x.fate.Connection {
		m.finishAll(evidence.Broken)
		m.shutBoth(true)
		return
	}
	m.finish(s, evidence.Broken, nil)
	m.caller.reset(s.id, uint32(http2.ErrCodeInternal))
	m.forget(s)
}

// refused resets a stream that the dependency will not see.
func (m *h2Conn) refused(s *h2Stream) {
	if s.duplicate {
		m.drop(s, http2.ErrCodeCancel)
		s.gone = true
		return
	}
	m.finish(s, evidence.Failed, nil)
	m.caller.reset(s.id, uint32(http2.ErrCodeRefusedStream))
	m.forget(s)
}

func interim(fields []hpack.HeaderField) bool {
	status := 0
	for _, f := range fields {
		if f.Name == ":status" {
			status = statusOf(f.Value)
		}
	}
	return status >= 100 && status < 200
}

// statusOf reads a :status; 0 if it is none.
func statusOf(text string) int {
	if len(text) != 3 {
		return 0
	}
	n := 0
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0
		}
		n = 10*n + int(text[i]-'0')
	}
	return n
}
