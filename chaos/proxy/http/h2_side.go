package http

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/load/wire"
)

const (
	// window is how much of a stream a peer may send before it was passed on:
	// it bounds what a stream that is stalled keeps in memory.
	window = 64 << 10
	// connWindow is how much of all streams a peer may have on its way to us.
	// It is given back as soon as it is read, so that a stream which stalls
	// holds up no other: the streams' own windows bound what is kept.
	connWindow = 16 << 20
	// maxStreams is how many a caller may have open at once, however many the
	// dependency takes.
	maxStreams = 1000
	// maxList bounds the header list of a message, as SETTINGS count it.
	maxList = 256 << 10
	// maxPending is how many bytes of frames other than DATA may wait to be
	// written before nothing more is read.
	maxPending = 1 << 20
	// maxBatch is about how much is given to the kernel in one write.
	maxBatch = 64 << 10
)

// h2Side is one of the two connections of a connection of HTTP/2: what goes out on it, and how
// much its peer takes. h2Conn.mu guards it.
type h2Side struct {
	conn   transport.Conn // nil until dialled; set once
	nudge  chan struct{}
	broken bool // takes no more: what goes out goes nowhere
	mute   bool // control frames wait, see h2Conn.greet

	out   []byte      // frames to be written before more DATA is
	ends  []ended     // exchanges that end with what is in out
	ready []*h2Stream // have something for out, in turn

	control *http2.Framer // of frames that are few; it writes to out
	encoder *hpack.Encoder
	block   bytes.Buffer // what encoder writes into

	initial int64 // window of a stream at its start
	window  int64 // what the peer still takes on all streams
	owed    int   // what was read and the peer was not told of
}

func (l *h2Side) init() {
	l.nudge = make(chan struct{}, 1)
	l.control, l.encoder = http2.NewFramer(l, nil), hpack.NewEncoder(&l.block)
	l.initial, l.window = wire.DefaultWindow, wire.DefaultWindow
}

// signal makes the writer look.
func (l *h2Side) signal() {
	select {
	case l.nudge <- struct{}{}:
	default:
	}
}

// clogged reports whether too much waits to be written.
func (l *h2Side) clogged() bool { return l.conn != nil && !l.broken && len(l.out) > maxPending }

// fail drops what goes out, and returns the exchanges that were to end with it.
func (l *h2Side) fail(r *Relay) []ended {
	ends := l.ends
	for i := range ends {
		ends[i].unwritten(r)
	}
	l.out, l.ends, l.ready = nil, nil, nil
	return ends
}

// idle reports whether there is nothing to be written.
func (l *h2Side) idle() bool { return len(l.out) == 0 && len(l.ready) == 0 }

// frame begins a frame of a stream.
func (l *h2Side) frame(length int, t http2.FrameType, flags http2.Flags, stream uint32) {
	l.mute = false
	l.out = append(l.out, byte(length>>16), byte(length>>8), byte(length), byte(t), byte(flags))
	l.out = binary.BigEndian.AppendUint32(l.out, stream)
}

// head writes a header block: HEADERS and what CONTINUATIONs it takes.
func (l *h2Side) head(stream uint32, fields []hpack.HeaderField, last bool) {
	l.block.Reset()
	for _, f := range fields {
		_ = l.encoder.WriteField(f) // to a bytes.Buffer
	}
	var flags http2.Flags
	if last {
		flags = http2.FlagHeadersEndStream
	}
	for t := http2.FrameHeaders; ; t, flags = http2.FrameContinuation, 0 {
		piece := l.block.Next(wire.MaxFrame)
		if l.block.Len() == 0 {
			flags |= http2.FlagHeadersEndHeaders
		}
		l.frame(len(piece), t, flags, stream)
		l.out = append(l.out, piece...)
		if l.block.Len() == 0 {
			return
		}
	}
}

func (l *h2Side) bytes(stream uint32, p []byte, last bool) {
	var flags http2.Flags
	if last {
		flags = http2.FlagDataEndStream
	}
	l.frame(len(p), http2.FrameData, flags, stream)
	l.out = append(l.out, p...)
}

func (l *h2Side) reset(stream, code uint32) {
	l.mute = false
	l.out = wire.AppendReset(l.out, stream, code)
}

// Write is where control puts frames.
func (l *h2Side) Write(frame []byte) (int, error) {
	l.out = append(l.out, frame...)
	return len(frame), nil
}

// widen says how much of all streams we take.
func (l *h2Side) widen() { l.out = wire.AppendWindowUpdate(l.out, 0, connWindow-wire.DefaultWindow) }

// readBytes gives the peer back what it sent on all streams, from time to time.
func (l *h2Side) readBytes(n int) {
	if l.owed += n; l.owed >= connWindow/4 {
		l.out = wire.AppendWindowUpdate(l.out, 0, l.owed)
		l.owed = 0
	}
}

// lastStream is the highest stream id there is.
const lastStream = wire.MaxStream
