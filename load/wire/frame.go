package wire

import "encoding/binary"

// FrameType is the type of an HTTP/2 frame (RFC 9113 section 6).
type FrameType uint8

const (
	FrameData         FrameType = 0
	FrameHeaders      FrameType = 1
	FramePriority     FrameType = 2
	FrameReset        FrameType = 3
	FrameSettings     FrameType = 4
	framePushPromise  FrameType = 5
	FramePing         FrameType = 6
	FrameGoAway       FrameType = 7
	FrameWindowUpdate FrameType = 8
	frameContinuation FrameType = 9
)

const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

const (
	// MaxFrame is the longest payload that every peer accepts, and that we do:
	// the default of SETTINGS_MAX_FRAME_SIZE, which cannot be lowered.
	MaxFrame = 1 << 14
	// MaxStream is the highest stream id, and the largest window.
	MaxStream = 1<<31 - 1

	frameHead = 9
)

// Frame is what a FrameReader has read last.
type Frame struct {
	Type   FrameType
	Stream uint32 // 0 is the connection
	End    bool   // the peer sends nothing more on the stream
	Ack    bool   // of SETTINGS and PING
	// Payload is without padding and priority, valid until the next read; of HEADERS
	// with all that continues it; of DATA this piece of the body.
	Payload []byte
	Flow    int // of DATA: bytes of this piece that count against the windows, padding included
	Size    int // bytes on the wire not counted before, frame heads included
}

// Number is the payload of WINDOW_UPDATE (the increment, never 0), of
// RST_STREAM (the error code) and of GOAWAY (the last stream).
func (f *Frame) Number() uint32 {
	n := binary.BigEndian.Uint32(f.Payload)
	if f.Type != FrameReset {
		n &= MaxStream
	}
	return n
}

// FrameReader follows the frames that a server sends through successive reads:
// how those were cut changes no frame, but that DATA comes piece by piece,
// as its payload is not kept. The zero value stands at the start of
// a connection.
type FrameReader struct {
	Frame Frame

	head   [frameHead]byte
	have   int // bytes of head
	flags  uint8
	length int    // of the payload
	left   int    // of these, still to come
	padded int    // of these, at the end of DATA
	kept   []byte // payload of a frame that did not come in one read

	block     []byte // header block that is to be continued
	opened    uint32 // the stream it is on; 0 if there is none
	blockEnds bool   // with END_STREAM
	blockSize int    // of its frames
	err       error  // once malformed, for ever
}

// Reset makes r stand at the start of another connection. It keeps its memory.
func (r *FrameReader) Reset() { *r = FrameReader{kept: r.kept[:0], block: r.block[:0]} }

// Next takes n bytes from the start of p. ok reports that r.Frame is another
// frame, or another piece of DATA; if not, all of p was taken and more is
// needed. err wraps ErrMalformed or ErrTooLarge, and stays.
func (r *FrameReader) Next(p []byte) (n int, ok bool, err error) {
	for n < len(p) && !ok && r.err == nil {
		taken := 0
		if r.have < frameHead {
			taken = copy(r.head[r.have:], p[n:])
			if r.have += taken; r.have == frameHead {
				r.err = r.begin()
			}
		}
		if r.have == frameHead && r.err == nil {
			var more int
			more, ok, r.err = r.payload(p[n+taken:])
			taken += more
		}
		n += taken
	}
	return n, ok && r.err == nil, r.err
}

// begin draws the conclusions from a complete frame head.
func (r *FrameReader) begin() error {
	r.length = int(r.head[0])<<16 | int(r.head[1])<<8 | int(r.head[2])
	r.left, r.padded, r.flags, r.kept = r.length, 0, r.head[4], r.kept[:0]
	r.Frame = Frame{Type: FrameType(r.head[3]), Stream: binary.BigEndian.Uint32(r.head[5:]) & MaxStream, Size: frameHead}
	f := &r.Frame
	switch {
	case r.length > MaxFrame:
		return errFrameSize
	case (r.opened != 0) != (f.Type == frameContinuation) || r.opened != 0 && f.Stream != r.opened:
		return errContinuation
	case !fits(f.Type, f.Stream, r.length, r.flags):
		return errFrame
	}
	f.Ack = r.flags&flagAck != 0 && (f.Type == FrameSettings || f.Type == FramePing)
	return nil
}

// fits reports whether a frame may be on a stream and have a length.
func fits(t FrameType, stream uint32, length int, flags uint8) bool {
	switch t {
	case FrameData, FrameHeaders:
		least := 0
		if flags&flagPadded != 0 {
			least++
		}
		if t == FrameHeaders && flags&flagPriority != 0 {
			least += 5
		}
		return stream != 0 && length >= least
	case frameContinuation:
		return stream != 0
	case FramePriority:
		return stream != 0 && length == 5
	case FrameReset:
		return stream != 0 && length == 4
	case FrameSettings:
		return stream == 0 && length%settingSize == 0 && (flags&flagAck == 0 || length == 0)
	case framePushPromise:
		return false // we have forbidden it
	case FramePing:
		return stream == 0 && length == 8
	case FrameGoAway:
		return stream == 0 && length >= 8
	case FrameWindowUpdate:
		return length == 4
	default:
		return true
	}
}

// payload takes what is there of the payload.
func (r *FrameReader) payload(p []byte) (n int, ok bool, err error) {
	n = min(r.left, len(p))
	switch t := r.Frame.Type; {
	case t == FrameData:
		return r.data(p[:n])
	case t > frameContinuation || t == FramePriority:
		// Of no interest.
	case n == r.length:
		ok, err = r.whole(p[:n])
	default:
		r.kept = append(r.kept, p[:n]...)
		if n == r.left {
			ok, err = r.whole(r.kept)
		}
	}
	r.took(n)
	return n, ok, err
}

// took gets ready for the next head if the frame is complete.
func (r *FrameReader) took(n int) {
	if r.left -= n; r.left == 0 {
		r.have = 0
	}
}

// data takes a piece of DATA.
func (r *FrameReader) data(p []byte) (n int, ok bool, err error) {
	f := &r.Frame
	if len(p) == 0 && r.length > 0 {
		return 0, false, nil
	}
	if r.left < r.length {
		f.Size = 0 // the head was counted
	}
	f.Flow, f.Payload = len(p), p
	f.Size += len(p)
	if r.flags&flagPadded != 0 {
		if r.left == r.length {
			if r.padded = int(p[0]); r.padded >= r.length {
				return 0, false, errPadding
			}
			f.Payload = p[1:]
		}
		behind := r.padded - (r.left - len(p)) // bytes of the piece that are padding
		f.Payload = f.Payload[:len(f.Payload)-min(max(behind, 0), len(f.Payload))]
	}
	r.took(len(p))
	f.End = r.left == 0 && r.flags&flagEndStream != 0
	return len(p), true, nil
}

// whole takes the complete payload of anything but DATA. ok is false for a
// header block that is to be continued.
func (r *FrameReader) whole(p []byte) (ok bool, err error) {
	f := &r.Frame
	f.Size += r.length
	f.Payload = p
	switch f.Type {
	case FrameHeaders:
		return r.headers(p)
	case frameContinuation:
		return r.proceed(p)
	case FrameWindowUpdate:
		if f.Number() == 0 {
			return false, errFrame
		}
	}
	return true, nil
}

// headers takes a complete HEADERS frame.
func (r *FrameReader) headers(p []byte) (ok bool, err error) {
	f := &r.Frame
	padding := 0
	if r.flags&flagPadded != 0 {
		padding, p = int(p[0]), p[1:]
	}
	if r.flags&flagPriority != 0 {
		p = p[5:]
	}
	if padding > len(p) {
		return false, errPadding
	}
	f.Payload = p[:len(p)-padding]
	f.End = r.flags&flagEndStream != 0
	if r.flags&flagEndHeaders != 0 {
		return true, nil
	}
	if cap(r.block) > usualBlock {
		r.block = nil // of one that was unusual
	}
	r.block = append(r.block[:0], f.Payload...)
	r.opened, r.blockEnds, r.blockSize = f.Stream, f.End, f.Size
	return false, nil
}

// proceed takes a complete CONTINUATION frame. Frame heads count against the
// bound, so that those without payload are bounded too.
func (r *FrameReader) proceed(p []byte) (ok bool, err error) {
	r.block = append(r.block, p...)
	if r.blockSize += r.Frame.Size; r.blockSize > maxBlock {
		return false, errBlockSize
	}
	if r.flags&flagEndHeaders == 0 {
		return false, nil
	}
	r.Frame = Frame{Type: FrameHeaders, Stream: r.opened, End: r.blockEnds, Payload: r.block, Size: r.blockSize}
	r.opened = 0
	return true, nil
}

// appendFrameHead appends the head of a frame.
func appendFrameHead(dst []byte, length int, t FrameType, flags uint8, stream uint32) []byte {
	dst = append(dst, byte(length>>16), byte(length>>8), byte(length), byte(t), flags)
	return binary.BigEndian.AppendUint32(dst, stream)
}

// AppendWindowUpdate appends the permission to send n more bytes.
func AppendWindowUpdate(dst []byte, stream uint32, n int) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHead(dst, 4, FrameWindowUpdate, 0, stream), uint32(n))
}

// Why a stream is reset (RFC 9113 section 7).
const (
	CodeProtocol uint32 = 1
	CodeRefused  uint32 = 7 // the peer has done nothing with it: section 8.7
	CodeCancel   uint32 = 8
)

// AppendReset appends RST_STREAM, which ends a stream before its end.
func AppendReset(dst []byte, stream, code uint32) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHead(dst, 4, FrameReset, 0, stream), code)
}

// AppendPong appends the answer to a PING with that payload.
func AppendPong(dst, payload []byte) []byte {
	return append(appendFrameHead(dst, len(payload), FramePing, flagAck, 0), payload...)
}
