package http

import (
	"math"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/wire"
)

const (
	protocolError = http2.ConnectionError(http2.ErrCodeProtocol)
	flowError     = http2.ConnectionError(http2.ErrCodeFlowControl)
)

func streamError(id uint32, code http2.ErrCode) error {
	return http2.StreamError{StreamID: id, Code: code}
}

// fromCaller takes a frame from the caller. An error is of the stream or of the
// connection. mu is locked, also in all that follows.
func (m *h2Conn) fromCaller(f http2.Frame) error {
	id := f.Header().StreamID
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		return m.requestHead(f)
	case *http2.DataFrame:
		m.caller.readBytes(int(f.Length))
		s, err := m.onCaller(id)
		if s == nil {
			return err
		}
		return m.requestData(s, f)
	case *http2.RSTStreamFrame:
		s, err := m.onCaller(id)
		if s == nil {
			return err
		}
		m.finish(s, evidence.CallerGone, nil)
		m.drop(s, f.ErrCode)
		m.forget(s)
	case *http2.WindowUpdateFrame:
		return m.windowUpdate(&m.caller, f)
	case *http2.SettingsFrame:
		return m.settings(&m.caller, f)
	case *http2.PingFrame:
		m.ping(&m.caller, f)
	case *http2.GoAwayFrame:
		if m.up.conn != nil {
			_ = m.up.control.WriteGoAway(0, f.ErrCode, f.DebugData())
		}
	case *http2.PushPromiseFrame:
		return protocolError
	}
	return nil
}

// onCaller finds a stream; nil without an error if it is over already.
func (m *h2Conn) onCaller(id uint32) (*h2Stream, error) {
	s := m.streams[id]
	if s == nil && (id > m.last || id%2 == 0) {
		return nil, protocolError
	}
	return s, nil
}

func (m *h2Conn) requestHead(f *http2.MetaHeadersFrame) error {
	id := f.StreamID
	if id%2 == 0 {
		return protocolError
	}
	if s := m.streams[id]; s != nil {
		return m.trailers(s, &s.request, f)
	}
	if id <= m.last {
		return nil // over already
	}
	m.last = id
	switch {
	case id > m.accepts || m.draining:
		return nil // the caller is told that it was not served
	case m.over || len(m.streams) >= maxStreams:
		return streamError(id, http2.ErrCodeRefusedStream)
	case f.PseudoValue("method") == "", f.PseudoValue("protocol") != "" && !m.connects:
		return streamError(id, http2.ErrCodeProtocol)
	}
	s := m.begin(id, f.Fields, f.StreamEnded())
	if f.Truncated {
		m.finish(s, evidence.Failed, nil)
		m.forget(s)
		return streamError(id, http2.ErrCodeEnhanceYourCalm)
	}
	m.advance(s, time.Now())
	return nil
}

// trailers takes the header block that ends a half stream.
func (m *h2Conn) trailers(s *h2Stream, f *halfStream, h *http2.MetaHeadersFrame) error {
	switch {
	case f.complete:
		return streamError(h.StreamID, http2.ErrCodeStreamClosed)
	case !h.StreamEnded() || len(h.PseudoFields()) > 0:
		return streamError(h.StreamID, http2.ErrCodeProtocol)
	case h.Truncated:
		return streamError(h.StreamID, http2.ErrCodeEnhanceYourCalm)
	}
	f.trailers = h.Fields
	if f.trailers == nil {
		f.trailers = []hpack.HeaderField{}
	}
	m.completed(s, f)
	return nil
}

// completed notes that all of a half stream is there.
func (m *h2Conn) completed(s *h2Stream, f *halfStream) {
	f.complete = true
	if f == &s.request && s.x.open && s.hash != fnvOffset {
		s.x.Payload = nonZero(s.hash)
	}
	m.release(s)
	m.advance(s, time.Now())
}

// release gives back a stream's place at the dependency, where it is over.
func (m *h2Conn) release(s *h2Stream) {
	if m.passed[s.up] == s && s.request.done && s.response.complete {
		delete(m.passed, s.up)
	}
}

func (m *h2Conn) requestData(s *h2Stream, d *http2.DataFrame) error {
	f := &s.request
	if err := m.data(s, f, d); err != nil {
		return err
	}
	if p := d.Data(); len(p) > 0 {
		s.hash = hashOn(s.hash, p)
		if s.grpc {
			s.messages.next(p)
		}
		if s.ours || s.response.reset {
			m.giveBack(s, f, len(p)) // it goes nowhere
		} else {
			f.put(p)
		}
	}
	if d.StreamEnded() {
		m.completed(s, f)
	} else {
		m.advance(s, time.Now())
	}
	return nil
}

// data checks that DATA may come, and takes it into account.
func (m *h2Conn) data(s *h2Stream, f *halfStream, d *http2.DataFrame) error {
	if f.complete {
		return streamError(d.StreamID, http2.ErrCodeStreamClosed)
	}
	if f.room -= int(d.Length); f.room < 0 {
		return streamError(d.StreamID, http2.ErrCodeFlowControl)
	}
	if padding := int(d.Length) - len(d.Data()); padding > 0 {
		m.giveBack(s, f, padding)
	}
	return nil
}

// fromDependency takes a frame from the dependency, as fromCaller does.
func (m *h2Conn) fromDependency(f http2.Frame) error {
	id := f.Header().StreamID
	if _, ok := f.(*http2.SettingsFrame); !ok && !m.settled {
		return protocolError // most likely it does not speak HTTP/2
	}
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		s, err := m.onUp(id)
		if s == nil {
			return err
		}
		if s.duplicate {
			return m.fromDuplicate(s, f)
		}
		return m.responseHead(s, f)
	case *http2.DataFrame:
		m.up.readBytes(int(f.Length))
		s, err := m.onUp(id)
		if s == nil {
			return err
		}
		if s.duplicate {
			return m.fromDuplicate(s, f)
		}
		return m.responseData(s, f)
	case *http2.RSTStreamFrame:
		s, err := m.onUp(id)
		if s == nil {
			return err
		}
		if s.duplicate {
			return m.fromDuplicate(s, f)
		}
		m.resetByDependency(s, f.ErrCode)
	case *http2.WindowUpdateFrame:
		return m.windowUpdate(&m.up, f)
	case *http2.SettingsFrame:
		return m.settings(&m.up, f)
	case *http2.PingFrame:
		m.ping(&m.up, f)
	case *http2.GoAwayFrame:
		m.goAway(f)
	case *http2.PushPromiseFrame:
		return protocolError // we have forbidden it
	}
	return nil
}

// onUp is onCaller for the dependency's side.
func (m *h2Conn) onUp(id uint32) (*h2Stream, error) {
	s := m.passed[id]
	if s == nil && (id >= m.next || id%2 == 0) {
		return nil, protocolError
	}
	return s, nil
}

func (m *h2Conn) responseHead(s *h2Stream, h *http2.MetaHeadersFrame) error {
	f := &s.response
	if f.headed {
		return m.trailers(s, f, h)
	}
	status := statusOf(h.PseudoValue("status"))
	switch {
	case h.Truncated:
		return streamError(s.up, http2.ErrCodeEnhanceYourCalm)
	case status < 100, status < 200 && h.StreamEnded():
		return streamError(s.up, http2.ErrCodeProtocol)
	case status < 200 && len(f.heads) >= maxInterim:
		return streamError(s.up, http2.ErrCodeEnhanceYourCalm)
	}
	f.headed = status >= 200
	f.heads = append(f.heads, h.Fields)
	if h.StreamEnded() {
		m.completed(s, f)
	} else {
		m.advance(s, time.Now())
	}
	return nil
}

func (m *h2Conn) responseData(s *h2Stream, d *http2.DataFrame) error {
	f := &s.response
	if !f.headed {
		return streamError(s.up, http2.ErrCodeProtocol)
	}
	if err := m.data(s, f, d); err != nil {
		return err
	}
	f.put(d.Data())
	if d.StreamEnded() {
		m.completed(s, f)
	} else {
		m.advance(s, time.Now())
	}
	return nil
}

// resetByDependency has the caller's stream reset too, behind what came before.
// What is left of the request goes nowhere.
func (m *h2Conn) resetByDependency(s *h2Stream, code http2.ErrCode) {
	delete(m.passed, s.up)
	s.response.reset, s.response.code = true, uint32(code)
	if n := s.request.empty(); n > 0 {
		m.giveBack(s, &s.request, n)
	}
	if s.response.done {
		m.caller.reset(s.id, uint32(code))
		m.forget(s)
		return
	}
	m.advance(s, time.Now())
}

// goAway passes on that the dependency serves no further streams. The caller is
// told of those which it does not serve by the last stream that it does, as by the
// dependency itself; only those that others have overtaken are refused one by one.
func (m *h2Conn) goAway(f *http2.GoAwayFrame) {
	m.served = min(m.served, f.LastStreamID)
	var unserved []*h2Stream
	last := uint32(0) // of those that are served, and of those that a fault holds
	for _, s := range m.streams {
		if m.passed[s.up] == s && s.up > m.served || s.queued && !s.ours && !s.request.stalled && m.next > m.served {
			unserved = append(unserved, s)
		} else {
			last = max(last, s.id)
		}
	}
	for _, s := range m.passed {
		if s.duplicate && s.up > m.served {
			m.refused(s)
		}
	}
	if m.served < lastStream {
		m.accepts = min(m.accepts, m.last)
		if len(unserved) > 0 {
			m.accepts = min(m.accepts, last)
		}
	}
	_ = m.caller.control.WriteGoAway(m.accepts, f.ErrCode, f.DebugData())
	for _, s := range unserved {
		if s.id <= m.accepts {
			m.refused(s)
			continue
		}
		m.finish(s, evidence.Failed, nil)
		m.forget(s)
	}
}

// refuse resets a stream on which the peer has sent what it must not.
func (m *h2Conn) refuse(l *h2Side, err http2.StreamError) {
	l.reset(err.StreamID, uint32(err.Code))
	if l == &m.caller {
		m.last = max(m.last, err.StreamID)
		if s := m.streams[err.StreamID]; s != nil {
			m.finish(s, evidence.CallerGone, nil)
			m.forget(s)
		}
		return
	}
	s := m.passed[err.StreamID]
	switch {
	case s == nil:
	case s.response.complete, s.duplicate:
		delete(m.passed, s.up)
		s.gone = s.duplicate
	default:
		m.resetByDependency(s, err.Code)
	}
}

// windowUpdate widens a window, and wakes the side that waits for it.
func (m *h2Conn) windowUpdate(l *h2Side, f *http2.WindowUpdateFrame) error {
	n := int64(f.Increment)
	if f.StreamID == 0 {
		if l.window += n; l.window > wire.MaxStream {
			return flowError
		}
		m.queueAll(l)
		return nil
	}
	find := m.onCaller
	if l == &m.up {
		find = m.onUp
	}
	s, err := find(f.StreamID)
	if s == nil {
		return err
	}
	half := s.toward(l)
	if half.window += n; half.window > wire.MaxStream {
		return streamError(f.StreamID, http2.ErrCodeFlowControl)
	}
	m.queue(s, half)
	return nil
}

func (m *h2Conn) queueAll(l *h2Side) {
	for _, s := range m.open(l) {
		m.queue(s, s.toward(l))
	}
}

// settings takes a peer's settings. A change of the first window changes those
// of all streams by as much, even to below 0.
func (m *h2Conn) settings(l *h2Side, f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	limit, connects := m.limit, false
	if l == &m.up && !m.settled {
		m.settled, limit = true, math.MaxInt
	}
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return err
		}
		switch s.ID {
		case http2.SettingHeaderTableSize:
			l.encoder.SetMaxDynamicTableSize(s.Val)
		case http2.SettingMaxConcurrentStreams:
			limit = int(min(s.Val, math.MaxInt32))
		case http2.SettingEnableConnectProtocol:
			connects = s.Val == 1
		case http2.SettingInitialWindowSize:
			return m.resize(l, int64(s.Val))
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.out = wire.AppendSettingsAck(l.out)
	if l == &m.up {
		m.offer(limit, connects)
	}
	m.queueAll(l)
	return nil
}

// open are the streams that are open on a side.
func (m *h2Conn) open(l *h2Side) map[uint32]*h2Stream {
	if l == &m.up {
		return m.passed
	}
	return m.streams
}

func (m *h2Conn) resize(l *h2Side, initial int64) error {
	grown := initial - l.initial
	l.initial = initial
	for _, s := range m.open(l) {
		half := s.toward(l)
		if half.window += grown; half.window > wire.MaxStream {
			return flowError
		}
	}
	return nil
}
