package reference

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// The frames of HTTP/2: RFC 9113, sections 4, 6 and 7.

// preface is what a client's connection begins with.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	frameHeader = 9
	maxFrame    = 16384 // payload of the longest frame that we take or send: the least that peers must take
	maxWindow   = 1<<31 - 1
	firstWindow = 1<<16 - 1
)

type frameKind uint8

const (
	frameData frameKind = iota
	frameHeaders
	framePriority
	frameReset
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

const (
	flagEndStream  = 0x1 // DATA, HEADERS
	flagAck        = 0x1 // SETTINGS, PING
	flagEndHeaders = 0x4 // HEADERS, CONTINUATION
	flagPadded     = 0x8 // DATA, HEADERS
	flagPriority   = 0x20
)

const (
	settingTableSize     = 1
	settingEnablePush    = 2
	settingMaxStreams    = 3
	settingInitialWindow = 4
	settingMaxFrame      = 5
	settingMaxHeaderList = 6
)

type errorCode uint32

const (
	noError          errorCode = 0x0
	protocolError    errorCode = 0x1
	flowControlError errorCode = 0x3
	streamClosed     errorCode = 0x5
	frameSizeError   errorCode = 0x6
	refusedStream    errorCode = 0x7
	compressionError errorCode = 0x9
	enhanceYourCalm  errorCode = 0xb
)

// connectionError ends a connection, with a GOAWAY that says why.
type connectionError struct {
	code errorCode
	why  string
}

func (e connectionError) Error() string {
	return fmt.Sprintf("http2 error %#x: %s", uint32(e.code), e.why)
}

func violates(format string, args ...any) error {
	return connectionError{protocolError, fmt.Sprintf(format, args...)}
}

func missized(format string, args ...any) error {
	return connectionError{frameSizeError, fmt.Sprintf(format, args...)}
}

// frame is one as received; its payload is only lent.
type frame struct {
	kind    frameKind
	flags   uint8
	stream  uint32
	payload []byte
}

func (f *frame) has(flag uint8) bool { return f.flags&flag != 0 }

// cutFrame returns the first frame of b and what follows it; false while it is
// not there in full.
func cutFrame(b []byte) (f frame, rest []byte, ok bool, err error) {
	if len(b) < frameHeader {
		return frame{}, b, false, nil
	}
	length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	if length > maxFrame {
		return frame{}, b, false, missized("a frame of %d bytes, of which %d were allowed", length, maxFrame)
	}
	end := frameHeader + length
	if len(b) < end {
		return frame{}, b, false, nil
	}
	f = frame{kind: frameKind(b[3]), flags: b[4], stream: binary.BigEndian.Uint32(b[5:]) & maxWindow, payload: b[frameHeader:end:end]}
	return f, b[end:], true, nil
}

// content is the payload of DATA or HEADERS without padding and priority.
func (f *frame) content() ([]byte, error) {
	b, padding := f.payload, 0
	if f.has(flagPadded) {
		if len(b) < 1 {
			return nil, missized("padding without its length")
		}
		padding, b = int(b[0]), b[1:]
	}
	if f.kind == frameHeaders && f.has(flagPriority) {
		if len(b) < 5 {
			return nil, missized("a priority of %d bytes", len(b))
		}
		b = b[5:]
	}
	if padding > len(b) {
		return nil, violates("more padding than payload")
	}
	return b[:len(b)-padding], nil
}

func appendFrameHeader(b []byte, length int, kind frameKind, flags uint8, stream uint32) []byte {
	return append(b, byte(length>>16), byte(length>>8), byte(length), byte(kind), flags,
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

// appendSettings of pairs of a setting and its value.
func appendSettings(b []byte, pairs ...uint32) []byte {
	b = appendFrameHeader(b, 3*len(pairs), frameSettings, 0, 0)
	for i := 0; i < len(pairs); i += 2 {
		b = binary.BigEndian.AppendUint16(b, uint16(pairs[i]))
		b = binary.BigEndian.AppendUint32(b, pairs[i+1])
	}
	return b
}

func appendWindowUpdate(b []byte, stream uint32, by int) []byte {
	b = appendFrameHeader(b, 4, frameWindowUpdate, 0, stream)
	return binary.BigEndian.AppendUint32(b, uint32(by))
}

func appendReset(b []byte, stream uint32, code errorCode) []byte {
	b = appendFrameHeader(b, 4, frameReset, 0, stream)
	return binary.BigEndian.AppendUint32(b, uint32(code))
}

func appendGoAway(b []byte, last uint32, code errorCode, why string) []byte {
	b = appendFrameHeader(b, 8+len(why), frameGoAway, 0, 0)
	b = binary.BigEndian.AppendUint32(b, last)
	b = binary.BigEndian.AppendUint32(b, uint32(code))
	return append(b, why...)
}

// What follows writes header fields without HPACK's dynamic table and Huffman
// code, which save bytes and cost time (RFC 7541, section 6 and appendix A).

const (
	fieldStatus200     = 8
	fieldContentLength = 28
	fieldContentType   = 31
	fieldDate          = 33
	fieldRetryAfter    = 53
)

// noTable tells the peer, at the start of a header block, that we use no
// dynamic table. It must be told if it allows less than it did (section 4.2).
const noTable = 0x20

func appendStatus(b []byte, status int) []byte {
	if status == 200 {
		return append(b, 0x80|fieldStatus200)
	}
	b = append(b, fieldStatus200, 3) // not indexed, its name by index, 3 bytes
	return strconv.AppendInt(b, int64(status), 10)
}

// appendField of a name in the static table, from 15 on.
func appendField(b []byte, name byte, value string) []byte {
	b = append(b, 0x0f, name-0x0f)
	if len(value) < 0x7f {
		b = append(b, byte(len(value)))
	} else {
		b = append(b, 0x7f)
		b = binary.AppendUvarint(b, uint64(len(value)-0x7f)) // HPACK's integers and these are coded alike
	}
	return append(b, value...)
}
