package wire

import (
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error about bytes that are not HTTP/1.1 or
// HTTP/2, or that two readers could read in two ways.
var ErrMalformed = errors.New("malformed HTTP")

// ErrTooLarge is wrapped by every error about a message past the bounds of this
// package.
var ErrTooLarge = errors.New("HTTP message too large")

// Bounds of what is accepted.
const (
	// Of HTTP/1.1 much is taken, because a relay could not read the messages behind
	// one that it refuses: no less than what curl takes of a response (300 KiB, 5,000
	// fields) and net/http of a request (1 MiB).
	MaxHead   = 1 << 20 // bytes of a head, its blank line included; and of trailers
	MaxFields = 8192    // fields of a head; and of trailers

	// MaxList is how much the fields of an HTTP/2 message take at most, as RFC 9113
	// section 6.5.2 counts them: their bytes, and 32 for each. The peer is told.
	MaxList = 256 << 10
	// maxBlock bounds the header block that they come in, in bytes, frame heads
	// included. A peer that has been told MaxList and sends more is not read on.
	maxBlock = 1 << 20
	// usualBlock is how much memory is kept for the next one.
	usualBlock = 64 << 10

	maxChunkLine     = 1 << 10  // bytes of a chunk header, extensions included
	maxChunkDigits   = 15       // so that a chunk's size fits an int64 with room to spare
	maxChunkOverhead = 16 << 10 // see Body.chunkBegun
)

// Errors that a peer can provoke are made once: a system under test that
// answers rubbish at full rate must not make the harness allocate.
var (
	errBareLF        = malformed("line ends in LF without CR")
	errFieldName     = malformed("field name is empty, has a character that is not allowed, or is not followed by a colon")
	errFieldValue    = malformed("control character in a field value")
	errFolded        = malformed("header line that is indented, or folded where two readers could read it in two ways")
	errRequestLine   = malformed("request line is not: method target HTTP/1.x")
	errStatusLine    = malformed("status line is not: HTTP/1.x status reason")
	errHosts         = malformed("more than one Host")
	errLength        = malformed("Content-Length is not a number")
	errLengths       = malformed("different Content-Lengths")
	errCoding        = malformed("Transfer-Encoding is no list of codings with chunked as the last one")
	errOldCoding     = malformed("Transfer-Encoding in HTTP/1.0")
	errChunkSize     = malformed("chunk size")
	errChunkLine     = malformed("chunk header")
	errChunkEnd      = malformed("chunk does not end in CRLF")
	errTrailer       = malformed("trailer")
	errHeadSize      = tooLarge("head", MaxHead, "bytes")
	errFields        = tooLarge("head", MaxFields, "fields")
	errChunkLineSize = tooLarge("chunk header", maxChunkLine, "bytes")
	errChunkOverhead = tooLarge("chunk headers with little in their chunks", maxChunkOverhead, "bytes")
	errTrailerSize   = tooLarge("trailers", MaxHead, "bytes")
	errTrailerFields = tooLarge("trailers", MaxFields, "fields")

	errFrame        = malformed("frame that must not have this length, this content or this stream")
	errContinuation = malformed("header block is not continued, or what continues is none")
	errPadding      = malformed("padding is longer than its frame")
	errSetting      = malformed("setting with a value that it must not have")
	errBlock        = malformed("header block")
	errFrameSize    = malformed("frame longer than the least that SETTINGS_MAX_FRAME_SIZE can be, which we have not raised")
	errBlockSize    = tooLarge("header block", maxBlock, "bytes")
)

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

func tooLarge(what string, limit int, unit string) error {
	return fmt.Errorf("%w: %s over %d %s", ErrTooLarge, what, limit, unit)
}
