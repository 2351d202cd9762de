package http

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// h2Conn is a caller's connection of HTTP/2 with its own connection to the
// dependency. Every stream on it is an exchange.
//
//	          ┌────── caller's side ───────┐ ┌───── dependency's side ──────┐
//	caller ──▶│ read ─▶ frame ─▶ stream ───┼─┼─▶ gate ─▶ request ──▶ write  │──▶ dependency
//	caller ◀──│ write ◀── response ◀─ gate ┼─┼── stream ◀─ frame ◀─ read    │◀── dependency
//	          └────────────────────────────┘ └──────────────────────────────┘
//
// Each side has a goroutine that reads and one that writes; they share the
// streams under mu, which is never held while reading or writing. What is read
// is put into its stream, and what a stream may pass on is taken from it by the
// other side's writer: heads and control frames in their order, DATA of the
// streams in turn, as far as the receiver's windows go. A goroutine for delays
// is there from the first delay on.
//
// A stream has a number on each side, because those that a delay holds back are
// overtaken, and numbers must go up.
type h2Conn struct {
	relay  *Relay
	number uint64
	grpc   bool
	in     *bufio.Reader // from the caller

	mu       sync.Mutex
	drained  sync.Cond // a backlog has been written, or the end has come
	draw     draw
	caller   h2Side
	up       h2Side
	streams  map[uint32]*h2Stream // by their numbers on the caller's side
	passed   map[uint32]*h2Stream // those that are open on the dependency's, by their numbers there
	waiting  []*h2Stream          // may be passed on, but for the connection or for the dependency's limit
	pings    []ping               // stalled
	told     []ended              // to be told when mu is unlocked
	last     uint32               // the caller's highest stream
	next     uint32               // the next on the dependency's side
	served   uint32               // the last one there that is served
	accepts  uint32               // the caller's last one that is not ignored
	offered  int                  // streams that the caller was told it may open
	limit    int                  // of streams that the dependency takes at once
	settled  bool                 // the dependency's settings are known
	connects bool                 // it takes extended CONNECT
	greeted  bool                 // the caller has been told its settings
	cancel   context.CancelFunc   // ends the dial; nil before it
	due      time.Time            // when a stream is to be looked at; zero for none
	clock    chan struct{}        // makes keep look at due; nil until there was a due
	over     bool                 // the dependency has closed its side, or could not be reached
	hard     bool                 // by a RST
	draining bool                 // what has been read is still written to the caller, then it ends
	closed   bool
}

// unsettledLimit is how many streams the dependency is assumed to take until it
// says so.
const unsettledLimit = 100

func newH2Conn(r *Relay, number uint64, caller transport.Conn) *h2Conn {
	m := &h2Conn{
		relay: r, number: number, grpc: r.config.Protocol == toxic.ProtocolGRPC,
		in:      bufio.NewReaderSize(r.Reading(caller, link.ToDependency), 16<<10),
		streams: map[uint32]*h2Stream{}, passed: map[uint32]*h2Stream{},
		next: 1, served: lastStream, accepts: lastStream, offered: maxStreams, limit: unsettledLimit,
	}
	m.drained.L = &m.mu
	m.draw.init()
	m.caller.init()
	m.caller.conn, m.caller.mute = caller, true
	m.up.init()
	return m
}

// run is the caller's side.
func (m *h2Conn) run() {
	if ok, err := m.preface(); !ok {
		if err == nil {
			m.relay.serveHTTP1(m)
			return
		}
		m.shut(false)
		m.relay.forget(m)
		return
	}
	defer m.relay.forget(m)
	caller := m.caller.conn
	_, _ = m.in.Discard(len(http2.ClientPreface))
	m.mu.Lock()
	m.dial()
	m.unlock()
	var writer sync.WaitGroup
	writer.Go(func() { m.write(&m.caller) })
	defer writer.Wait()
	defer m.shut(false)
	m.read(&m.caller, m.in, m.fromCaller)
	m.mu.Lock()
	sentGoAway := m.draining && !m.closed
	m.mu.Unlock()
	if sentGoAway {
		writer.Wait()
		_, _ = io.Copy(io.Discard, caller) // until it has read the GOAWAY, or its deadline
	}
}

// preface reports whether the caller begins as one of HTTP/2 does. An error means
// that it has left before that could be told.
func (m *h2Conn) preface() (bool, error) {
	for n := 1; n <= len(http2.ClientPreface); n++ {
		n = min(max(n, m.in.Buffered()), len(http2.ClientPreface))
		got, err := m.in.Peek(n)
		if err != nil && (len(got) == 0 || !errors.Is(err, io.EOF)) {
			return false, err
		}
		if string(got) != http2.ClientPreface[:n] {
			return false, nil
		}
	}
	return true, nil
}

// runUp is the dependency's side.
func (m *h2Conn) runUp(ctx context.Context) {
	conn, err := m.relay.dialer.Dial(ctx, "h2")
	if err != nil {
		m.unreached()
		return
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		_ = conn.Close()
		return
	}
	u := &m.up
	u.conn = conn
	u.out = append(u.out, http2.ClientPreface...)
	_ = u.control.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: window},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxList},
	)
	u.widen()
	m.pump()
	m.unlock()
	var writer sync.WaitGroup
	writer.Go(func() { m.write(u) })
	defer writer.Wait()
	m.read(u, bufio.NewReaderSize(m.relay.Reading(conn, link.ToCaller), 16<<10), m.fromDependency)
}

// read reads frames until the connection ends.
func (m *h2Conn) read(l *h2Side, in io.Reader, take func(http2.Frame) error) {
	framer := http2.NewFramer(io.Discard, in)
	framer.SetReuseFrames()
	framer.SetMaxReadFrameSize(wire.MaxFrame)
	framer.MaxHeaderListSize = maxList
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := framer.ReadFrame()
		m.mu.Lock()
		if err == nil {
			err = take(f)
		}
		if stream, ok := errors.AsType[http2.StreamError](err); ok {
			m.refuse(l, stream)
			err = nil
		}
		if err != nil {
			m.ended(l, err)
			m.unlock()
			return
		}
		m.flush()
		for !m.closed && (m.caller.clogged() || m.up.clogged()) {
			m.signalWriters()
			m.drained.Wait()
		}
		m.unlock()
	}
}

// direction is the one of the bytes that are written on a side.
func (m *h2Conn) direction(l *h2Side) link.Direction {
	if l == &m.caller {
		return link.ToCaller
	}
	return link.ToDependency
}

// write writes what goes out on a side until the end.
func (m *h2Conn) write(l *h2Side) {
	var batch []byte
	for {
		m.mu.Lock()
		for len(l.ready) > 0 && len(l.out) < maxBatch {
			s := l.ready[0]
			l.ready = l.ready[1:]
			m.pull(s, s.toward(l))
		}
		ends := l.ends
		l.ends = nil
		if l == &m.caller && !l.mute && len(l.out) > 0 {
			m.greet()
		}
		if l.mute {
			batch = batch[:0]
		} else {
			batch, l.out = l.out, batch[:0]
		}
		if cap(l.out) > 4*maxBatch {
			l.out = nil
		}
		closed, last := m.closed, len(batch) == 0 && l == &m.caller && m.draining
		if last {
			m.finishAll(evidence.Failed) // the windows leave no room for what there is
		}
		broken := l.broken || closed
		m.drained.Broadcast()
		m.unlock()
		switch {
		case len(batch) == 0 && broken:
			return
		case last:
			m.leave()
			return
		case len(batch) == 0:
			<-l.nudge
			continue
		}
		err := error(nil)
		if !broken {
			var n int
			n, err = l.conn.Write(batch)
			m.relay.Passed(m.direction(l), n)
		}
		breaks := false
		for i := range ends {
			breaks = breaks || ends[i].breaks
			if err != nil || broken && l == &m.caller {
				ends[i].unwritten(m.relay)
			}
			ends[i].Tell()
		}
		if breaks && err == nil {
			if raw, err := l.conn.SyscallConn(); err == nil {
				m.relay.delivered(raw)
			}
			m.mu.Lock()
			m.finishAll(evidence.Broken)
			m.shutBoth(true)
			m.unlock()
		}
		if err != nil {
			m.mu.Lock()
			l.broken = true
			m.unlock()
			if l == &m.caller {
				m.mu.Lock()
				m.finishAll(evidence.CallerGone)
				m.unlock()
				m.shut(true)
			}
		}
	}
}

// review brings the exchanges in progress into line with the toxics in force.
func (m *h2Conn) review(toxics []*active) {
	m.mu.Lock()
	now := time.Now()
	for _, s := range m.streams {
		if s.x.open {
			s.x.review(m.relay, toxics, &s.head, &m.draw)
			m.advance(s, now)
		}
	}
	m.flush()
	m.unlock()
}

// flush does what a change may have made possible. mu is locked.
func (m *h2Conn) flush() {
	if len(m.pings) > 0 && !m.partitioned() {
		for _, p := range m.pings {
			m.passPing(p)
		}
		m.pings = nil
	}
	m.pump()
	m.settle()
}

// unlock unlocks mu, has written what is there to be written, and tells about
// what has ended.
func (m *h2Conn) unlock() {
	m.settle()
	m.signalWriters()
	told := m.told
	m.told = nil
	m.mu.Unlock()
	for i := range told {
		told[i].Tell()
	}
}

func (m *h2Conn) signalWriters() {
	for _, l := range [...]*h2Side{&m.caller, &m.up} {
		switch {
		case l.broken:
			m.told = append(m.told, l.fail(m.relay)...)
		case !l.idle():
			l.signal()
		}
	}
}

// at has a stream looked at when the time comes. mu is locked.
func (m *h2Conn) at(due time.Time) {
	if !m.due.IsZero() && !due.Before(m.due) {
		return
	}
	m.due = due
	if m.clock == nil {
		m.clock = make(chan struct{}, 1)
		m.relay.life.WG.Go(m.keep)
	}
	m.wakeClock()
}

func (m *h2Conn) wakeClock() {
	if m.clock == nil {
		return
	}
	select {
	case m.clock <- struct{}{}:
	default:
	}
}

// keep looks at streams when their time comes.
func (m *h2Conn) keep() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		m.mu.Lock()
		now := time.Now()
		if !m.due.IsZero() && !now.Before(m.due) {
			m.due = time.Time{}
			for _, s := range m.streams {
				switch {
				case s.until.IsZero():
				case now.Before(s.until):
					m.at(s.until)
				default:
					m.advance(s, now)
				}
			}
			m.flush()
		}
		due, closed := m.due, m.closed
		m.unlock()
		if closed {
			return
		}
		wait := time.Hour
		if !due.IsZero() {
			wait = time.Until(due)
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-m.clock:
		}
	}
}
