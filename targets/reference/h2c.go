package reference

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"
)

const (
	// maxStreams are the requests in progress that a client may have.
	maxStreams = 1000

	// maxForsaken are the requests that a client may have reset while they are
	// worked on, which goes on: one that floods us so is told to go.
	maxForsaken = 10 * maxStreams

	maxHeader = 64 << 10               // longest header field
	lingering = 100 * time.Millisecond // for the peer to read why we hang up

	readAtOnce = 64 << 10
	sendAtOnce = 64 << 10 // what is written together, and a frame more
)

// h2c is one HTTP/2 connection without TLS, of a client that knew beforehand.
//
//	            ┌ answered at once ────────────────────────┐
//	read ▶ frames                                          ├▶ out ▶ one write
//	            └ waits, by due time ▶ alarm ▶ answered ───┘
//
// All frames of a read are handled together and all their answers are written
// together. That is done with mu held: a peer that does not read is not read
// from either, so what it makes us remember is bounded.
type h2c struct {
	dependency *dependency
	conn       net.Conn

	mu      sync.Mutex // over all that follows, and over writing
	out     []byte
	failed  error // of a write: no more is written
	date    date
	noTable bool // the next header block says so

	decoder  *hpack.Decoder
	begun    bool   // its SETTINGS have come
	block    uint32 // stream whose header block goes on in CONTINUATION frames; 0 is none
	blockEnd bool   // which then ends its stream
	fresh    stream // the request that is being read
	last     uint32 // highest stream seen
	leaving  bool   // GOAWAY was sent: what is newer is not answered
	received int    // by which the connection's window is smaller than at first
	window   int    // what we may send on the connection
	initial  int    // what we may send on a new stream

	streams  map[uint32]*stream // requests in progress that cannot be answered at once
	forsaken int                // of them: those that were reset
	blocked  []*stream          // answers that wait for a window
	waiting  byDue
	alarm    *alarm // rings for the first of waiting; nil until one waits
	ended    bool   // nothing is read any more
	finisher sync.WaitGroup
}

func newH2C(d *dependency, conn net.Conn) *h2c {
	c := &h2c{
		dependency: d,
		conn:       conn,
		window:     firstWindow,
		initial:    firstWindow,
		streams:    map[uint32]*stream{},
	}
	c.decoder = hpack.NewDecoder(4096, c.field)
	c.decoder.SetMaxStringLength(maxHeader)
	c.out = appendSettings(c.out, settingMaxStreams, maxStreams, settingInitialWindow, streamWindow, settingMaxHeaderList, maxHeader)
	c.out = appendWindowUpdate(c.out, 0, connectionWindow-firstWindow)
	return c
}

// serve serves the connection, of which some bytes, the preface among them,
// have been read already. It returns when the connection has ended and all
// requests have been processed.
func (c *h2c) serve(read []byte) {
	defer c.finisher.Wait()
	defer c.end()
	buffer := make([]byte, max(readAtOnce, len(read)))
	held := copy(buffer, read[len(preface):])
	for {
		used, err := c.handle(buffer[:held])
		if err != nil {
			c.leave(err)
			return
		}
		held = copy(buffer, buffer[used:held])
		n, err := c.conn.Read(buffer[held:])
		if err != nil {
			return
		}
		held += n
	}
}

// handle handles the frames that b begins with, writes what they are answered
// with and returns how much of b they were.
func (c *h2c) handle(b []byte) (used int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.date.update()
	for rest := b; ; {
		var f frame
		var ok bool
		if f, rest, ok, err = cutFrame(rest); !ok || err != nil {
			break
		}
		used += frameHeader + len(f.payload)
		if err = c.frame(&f); err != nil {
			break
		}
	}
	c.flush()
	if err == nil {
		err = c.failed
	}
	return used, err
}

func (c *h2c) flush() {
	if len(c.out) > 0 && c.failed == nil {
		_, c.failed = c.conn.Write(c.out)
	}
	c.out = c.out[:0]
	if c.leaving && len(c.streams) == 0 && c.block == 0 && c.failed == nil {
		c.failed = errRetired
		c.hangUp()
	}
}

// errRetired is why nothing more is written on a connection that was retired
// and has answered all.
var errRetired = errors.New("retired")

// hangUp says that nothing more comes, and leaves the peer a while to read it:
// to close with bytes unread would take from it what was sent.
func (c *h2c) hangUp() {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // fails only if the peer is gone
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(lingering))
}

// leave ends what cannot go on for that reason, which the peer is told if it
// is its fault.
func (c *h2c) leave(why error) {
	if fault, ok := errors.AsType[connectionError](why); ok {
		c.mu.Lock()
		c.out = appendGoAway(c.out, c.last, fault.code, fault.why)
		c.flush()
		c.hangUp()
		c.mu.Unlock()
	} else if !errors.Is(why, errRetired) {
		return
	}
	_, _ = io.Copy(io.Discard, c.conn)
}

// retire makes it end when the requests in progress are answered.
func (c *h2c) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = true
	c.out = appendGoAway(c.out, c.last, noError, "")
	c.flush()
}

// abandon ends it without waiting for anything.
func (c *h2c) abandon() {
	c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = nil
	if c.alarm != nil {
		c.alarm.close()
	}
}

// end closes the connection. What waits is processed all the same.
func (c *h2c) end() {
	c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.failed = net.ErrClosed
	if c.alarm != nil && len(c.waiting) == 0 {
		c.alarm.close()
	}
}

func (c *h2c) frame(f *frame) error {
	switch {
	case !c.begun && f.kind != frameSettings:
		return violates("the first frame was not SETTINGS")
	case c.block != 0 && (f.kind != frameContinuation || f.stream != c.block):
		return violates("a header block was interrupted")
	}
	switch f.kind {
	case frameData:
		return c.data(f)
	case frameHeaders:
		return c.headers(f)
	case frameContinuation:
		if c.block == 0 {
			return violates("CONTINUATION of nothing")
		}
		return c.fragment(f, f.payload)
	case framePriority:
		if f.stream == 0 {
			return violates("PRIORITY of stream 0")
		}
		if len(f.payload) != 5 {
			return missized("PRIORITY of %d bytes", len(f.payload))
		}
		return nil
	case frameReset:
		return c.reset(f)
	case frameSettings:
		return c.settings(f)
	case framePushPromise:
		return violates("a client cannot push")
	case framePing:
		if f.stream != 0 {
			return violates("PING on stream %d", f.stream)
		}
		if len(f.payload) != 8 {
			return missized("PING of %d bytes", len(f.payload))
		}
		if !f.has(flagAck) {
			c.out = appendFrameHeader(c.room(), 8, framePing, flagAck, 0)
			c.out = append(c.out, f.payload...)
		}
		return nil
	case frameGoAway:
		if f.stream != 0 {
			return violates("GOAWAY on stream %d", f.stream)
		}
		if len(f.payload) < 8 {
			return missized("GOAWAY of %d bytes", len(f.payload))
		}
		return nil // it concerns streams that we would open
	case frameWindowUpdate:
		return c.windowUpdate(f)
	}
	return nil // unknown kinds are for extensions
}

// room returns out when there is room in it, for which it may write first.
func (c *h2c) room() []byte {
	if len(c.out) >= sendAtOnce {
		c.flush()
	}
	return c.out
}

func (c *h2c) settings(f *frame) error {
	c.begun = true
	switch {
	case f.stream != 0:
		return violates("SETTINGS on stream %d", f.stream)
	case f.has(flagAck) && len(f.payload) != 0, len(f.payload)%6 != 0:
		return missized("SETTINGS of %d bytes", len(f.payload))
	case f.has(flagAck):
		return nil
	}
	for b := f.payload; len(b) > 0; b = b[6:] {
		value := binary.BigEndian.Uint32(b[2:])
		switch binary.BigEndian.Uint16(b) {
		case settingTableSize:
			c.noTable = true
		case settingEnablePush:
			if value > 1 {
				return violates("ENABLE_PUSH %d", value)
			}
		case settingMaxFrame:
			if value < maxFrame || value > 1<<24-1 {
				return violates("MAX_FRAME_SIZE %d", value)
			}
		case settingInitialWindow:
			if value > maxWindow {
				return connectionError{flowControlError, "INITIAL_WINDOW_SIZE is too large"}
			}
			change := int(value) - c.initial
			c.initial = int(value)
			for _, s := range c.streams {
				if s.window += change; s.window > maxWindow {
					return connectionError{flowControlError, "the window of a stream is too large"}
				}
			}
		}
	}
	c.out = appendFrameHeader(c.room(), 0, frameSettings, flagAck, 0)
	c.unblock()
	return nil
}

// find returns the stream of a frame, nil if it is over. It is an error if it
// never began.
func (c *h2c) find(f *frame) (*stream, error) {
	if s := c.streams[f.stream]; s != nil && !s.forsaken {
		return s, nil
	}
	if f.stream == 0 || f.stream%2 == 0 || f.stream > c.last && !c.leaving {
		return nil, violates("a frame of kind %d on stream %d, which is idle", f.kind, f.stream)
	}
	return nil, nil
}

func (c *h2c) reset(f *frame) error {
	if len(f.payload) != 4 {
		return missized("RST_STREAM of %d bytes", len(f.payload))
	}
	s, err := c.find(f)
	if s != nil {
		c.forsake(s)
	}
	return err
}

// refuse resets a stream for the peer's fault.
func (c *h2c) refuse(s *stream, code errorCode) {
	c.out = appendReset(c.room(), s.id, code)
	c.forsake(s)
}

// forsake ends a stream unanswered. If it is being worked on, that goes on.
func (c *h2c) forsake(s *stream) {
	if s.kept && !s.due.IsZero() && len(s.rest) == 0 {
		s.forsaken = true
		c.forsaken++
		return
	}
	c.forget(s)
}

func (c *h2c) headers(f *frame) error {
	content, err := f.content()
	if err != nil {
		return err
	}
	if f.stream%2 == 0 {
		return violates("HEADERS on stream %d", f.stream)
	}
	c.blockEnd = f.has(flagEndStream)
	fresh := f.stream > c.last && !c.leaving
	if fresh {
		c.last = f.stream
		c.fresh = stream{id: f.stream, length: -1, window: c.initial}
	}
	c.decoder.SetEmitEnabled(fresh)
	return c.fragment(f, content)
}

// fragment reads a part of a header block. Whatever becomes of its request it
// must be read, because the table it changes is the connection's.
func (c *h2c) fragment(f *frame, content []byte) error {
	if _, err := c.decoder.Write(content); err != nil {
		return connectionError{compressionError, "a header field is malformed or too long"}
	}
	if !f.has(flagEndHeaders) {
		c.block = f.stream
		return nil
	}
	c.block = 0
	if err := c.decoder.Close(); err != nil {
		return connectionError{compressionError, "a header block is cut off"}
	}
	if c.decoder.EmitEnabled() {
		return c.request()
	}
	return c.trailers(f)
}

// trailers end a body; they say nothing to us. Those of a stream that we reset
// may have been sent before its peer knew, so no stream is too old for them,
// though one that had ended would deserve a worse error (section 5.1).
func (c *h2c) trailers(f *frame) error {
	s, err := c.find(f)
	switch {
	case err != nil:
		return err
	case s == nil && c.leaving && f.stream > c.last:
		// It came after the GOAWAY that said it would be ignored.
	case s == nil || !s.open:
		c.out = appendReset(c.room(), f.stream, streamClosed)
	case !c.blockEnd:
		c.refuse(s, protocolError)
	default:
		c.work(s)
	}
	return nil
}
