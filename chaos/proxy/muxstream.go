package proxy

import (
	"math/bits"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// stream is one exchange of a mux. mux.mu guards it.
type stream struct {
	id, up uint32 // its numbers on the two legs; up is 0 until it was passed on
	x      exchange
	head   toxic.Head
	fields []hpack.HeaderField // of the request
	grpc   bool
	waits  bool // the caller sends the body when it has got a 100
	until  time.Time

	request, response half
	hash              uint64 // of the request's body so far
	messages          messages

	body     shape // of the response
	corrupts bool  // bytes of the request are changed
	sent     int64 // bytes of the request that were passed on
	noise    noise
	copies   bool   // the request is to be delivered twice
	copy     []byte // of its body, as it is passed on
	shadow   bool   // it is the second delivery of another one's request: the caller knows nothing of it

	ours   bool // a fault answers it
	filled bool // and the answer is in response
	queued bool // in mux.waiting
	gone   bool // forgotten
}

func (s *stream) toward(l *leg) *half {
	if s.response.to == l {
		return &s.response
	}
	return &s.request
}

func (s *stream) on(l *leg) uint32 {
	if s.response.to == l {
		return s.id
	}
	return s.up
}

// field is the first field with this name. The authority is a host, too.
func (s *stream) field(name string) (value []byte, ok bool) {
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
// the toxics in force decide for it. mu is held.
func (m *mux) begin(id uint32, fields []hpack.HeaderField, complete bool) *stream {
	r := m.relay
	s := &stream{id: id, fields: fields, hash: fnvOffset}
	s.request = half{from: &m.caller, to: &m.up, room: window, complete: complete, window: m.up.initial}
	s.response = half{from: &m.up, to: &m.caller, room: window, window: m.caller.initial}
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
	x := evidence.Exchange{Conn: m.number, Method: r.names.of(s.head.Method), Path: r.names.of(s.head.Path), ID: r.requestID(s.field)}
	if key, ok := s.field("Idempotency-Key"); ok {
		x.Key = hashBytes(key)
	}
	recorder := r.recorder.Load()
	x.InFlight = int(r.inFlight.Add(1))
	x.Seq = r.seq.Add(1)
	if recorder != nil {
		x.Begin = time.Since(recorder.start)
	}
	s.x = exchange{Exchange: x, recorder: recorder, open: true, toHEAD: x.Method == "HEAD", toCONNECT: x.Method == "CONNECT"}
	m.streams[id] = s
	if toxics := *r.toxics.Load(); len(toxics) > 0 {
		s.x.since = time.Now()
		m.decide(s, toxics)
	}
	return s
}

// decide lets those toxics decide that have not yet. mu is held.
func (m *mux) decide(s *stream, toxics []*active) {
	for _, a := range toxics {
		if s.x.knows(a) {
			continue
		}
		m.draw.about(a, s.x.ID, s.x.Seq)
		if s.x.add(a, a.decide(&s.head, m.rng), time.Now()) {
			m.relay.overflows[a.index].Add(1)
		}
	}
	m.struck(s, toxic.Fate.AtOnce)
}

// struck notes that those toxics have touched an exchange whose fates are such,
// and counts it for them. mu is held.
func (m *mux) struck(s *stream, such func(toxic.Fate) bool) {
	for by := s.x.struck(such); by != 0; by &= by - 1 {
		m.relay.hits[bits.TrailingZeros64(by)].Add(1)
	}
}

// describe records what the caller is told.
func (m *mux) describe(s *stream, fields []hpack.HeaderField) {
	status := 0
	grpc := ""
	for _, f := range fields {
		switch f.Name {
		case ":status":
			status = statusOf(f.Value)
		case "grpc-status":
			grpc = f.Value
		case "retry-after":
			s.x.RetryAfter, _ = wire.ParseRetryAfter([]byte(f.Value), time.Now())
		case "grpc-retry-pushback-ms":
			if ms, err := time.ParseDuration(f.Value + "ms"); err == nil && s.grpc && ms > 0 {
				s.x.RetryAfter = ms
			}
		}
	}
	switch {
	case !s.grpc, status != 0 && status != 200:
		if status != 0 {
			s.x.Status = status
		}
	case s.response.last() || status == 0:
		s.x.Status = grpcStatus(grpc)
	}
}

// finish ends an exchange that is open. With l it is told when what is in l.out
// has been written. mu is held.
func (m *mux) finish(s *stream, how evidence.Ending, l *leg) {
	x := &s.x
	if !x.open {
		return
	}
	breaks := x.fate.Connection && x.fate.BreaksAfter() && (how == evidence.Answered || how == evidence.Injected)
	if breaks {
		m.struck(s, toxic.Fate.BreaksAfter)
	}
	x.open = false
	x.letGo()
	r := m.relay
	r.inFlight.Add(-1)
	if r.closing.Load() && (how == evidence.CallerGone || how == evidence.Failed) {
		how = evidence.Cut
	}
	x.Ending = how
	if x.recorder != nil {
		x.End = time.Since(x.recorder.start)
	}
	e := ended{Exchange: x.Exchange, recorder: x.recorder, breaks: breaks}
	if l != nil {
		l.ends = append(l.ends, e)
	} else {
		m.told = append(m.told, e)
	}
}

func (m *mux) finishAll(how evidence.Ending) {
	for _, s := range m.streams {
		m.finish(s, how, nil)
	}
}

// forget drops a stream. mu is held.
func (m *mux) forget(s *stream) {
	m.drop(s, http2.ErrCodeCancel)
	s.gone = true
	s.request.empty()
	s.response.empty()
	delete(m.streams, s.id)
}

// drop takes a stream from the dependency's leg, by a reset if it is not over
// there.
func (m *mux) drop(s *stream, code http2.ErrCode) {
	if m.passed[s.up] != s {
		return
	}
	delete(m.passed, s.up)
	if !s.response.reset && !(s.request.done && s.response.complete) {
		m.up.reset(s.up, uint32(code))
	}
}

// breakOff resets a stream, as a fault wants it; or the whole connection.
func (m *mux) breakOff(s *stream) {
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
func (m *mux) refused(s *stream) {
	if s.shadow {
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
