package wire

import "io"

// Framing is how the end of a body is known.
type Framing uint8

const (
	NoBody     Framing = iota // there are no bytes
	Length                    // by Content-Length
	Chunked                   // by chunks, and trailers behind them
	UntilClose                // by the end of the connection; responses only
)

// Body follows one message's body through successive reads. It looks at no byte
// behind the body, so that the next message can start in the same read. The
// zero value is the body of a message without one.
type Body struct {
	framing Framing
	state   bodyState
	left    int64 // payload bytes still to come, of the body (Length) or of the chunk (Chunked)
	err     error // once malformed, for ever

	digits   int // of the chunk size so far
	line     int // bytes of this chunk header, or of all trailers, so far
	fields   int // trailers so far
	overhead int64
}

// bodyState is what the next byte has to be.
type bodyState uint8

const (
	bodyDone    bodyState = iota // none: the body is over
	bodyPayload                  // left bytes of payload; without end if UntilClose

	chunkSize      // a digit, or what ends the size
	chunkSpace     // white space behind the size
	chunkExtension // anything up to CR
	chunkLF        // the LF of a chunk header
	chunkEndCR     // the CRLF behind a chunk's payload
	chunkEndLF
	trailerStart // a trailer, or the last CRLF
	trailerName
	trailerValue
	trailerLF
	trailerEndLF // the last LF
)

func newBody(framing Framing, length int64) Body {
	switch framing {
	case Length:
		return Body{framing: Length, state: bodyPayload, left: length}
	case Chunked:
		return Body{framing: Chunked, state: chunkSize}
	case UntilClose:
		return Body{framing: UntilClose, state: bodyPayload}
	default:
		return Body{}
	}
}

// Framing is how the end of this body is known.
func (b *Body) Framing() Framing { return b.framing }

// Done reports whether the body is complete.
func (b *Body) Done() bool { return b.state == bodyDone }

// Left is how many bytes are still to come, if that is known: a body by
// Content-Length, or one that is complete.
func (b *Body) Left() (n int64, known bool) {
	return b.left, b.framing == Length || b.state == bodyDone
}

// Next returns how many bytes at the start of p belong to this body, framing
// included: all of p unless done or err says otherwise. done means that the
// body is complete with them. err wraps ErrMalformed or ErrTooLarge, n is then
// what was still right; a body that failed once goes on failing.
func (b *Body) Next(p []byte) (n int, done bool, err error) {
	for n < len(p) && b.state != bodyDone {
		span, _, err := b.Span(p[n:])
		n += span
		if err != nil {
			return n, false, err
		}
	}
	return n, b.state == bodyDone, b.err
}

// Span is Next for callers that need the payload: it returns how many bytes
// at the start of p belong to this body and are all payload, or all framing. It
// takes at least one byte unless p is empty, the body is Done, or there is an
// error.
func (b *Body) Span(p []byte) (n int, payload bool, err error) {
	switch {
	case b.err != nil || b.state == bodyDone || len(p) == 0:
		return 0, false, b.err
	case b.framing == UntilClose:
		return len(p), true, nil
	case b.state != bodyPayload:
		n, b.err = b.frame(p)
		return n, false, b.err
	}
	n = int(min(b.left, int64(len(p))))
	b.left -= int64(n)
	if b.left == 0 {
		if b.framing == Chunked {
			b.state = chunkEndCR
		} else {
			b.state = bodyDone
		}
	}
	return n, true, nil
}

// EOF says what it means that the connection ended here: nil if that is a
// legal end of this body, io.ErrUnexpectedEOF if something is missing.
func (b *Body) EOF() error {
	switch {
	case b.err != nil:
		return b.err
	case b.framing == UntilClose || b.state == bodyDone:
		return nil
	default:
		return io.ErrUnexpectedEOF
	}
}

// frame reads bytes of chunk framing up to the next payload or the end of the
// body (RFC 9112 section 7.1).
func (b *Body) frame(p []byte) (n int, err error) {
	for n < len(p) && b.state != bodyPayload && b.state != bodyDone {
		if err := b.step(p[n]); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// step takes one byte of chunk framing.
func (b *Body) step(c byte) error {
	b.line++
	switch b.state {
	case chunkSize, chunkSpace, chunkExtension, chunkLF:
		if b.line > maxChunkLine {
			return errChunkLineSize
		}
		return b.stepHeader(c)
	case chunkEndCR:
		if c != '\r' {
			return errChunkEnd
		}
		b.state = chunkEndLF
	case chunkEndLF:
		if c != '\n' {
			return errChunkEnd
		}
		b.state, b.digits, b.line = chunkSize, 0, 0
	default:
		if b.line > MaxHead {
			return errTrailerSize
		}
		return b.stepTrailer(c)
	}
	return nil
}

// stepHeader takes one byte of: 1*hexdigit *space [ ";" extension ] CR LF, where
// space and extension exclude each other.
func (b *Body) stepHeader(c byte) error {
	switch b.state {
	case chunkSize:
		if d := hexDigit(c); d >= 0 {
			if b.digits++; b.digits > maxChunkDigits {
				return errChunkSize
			}
			b.left = b.left<<4 | int64(d)
			return nil
		}
		if b.digits == 0 {
			return errChunkSize
		}
		switch c {
		case ' ', '\t':
			b.state = chunkSpace
		case ';':
			b.state = chunkExtension
		case '\r':
			b.state = chunkLF
		default:
			return errChunkSize
		}
	case chunkSpace:
		switch c {
		case ' ', '\t':
		case '\r':
			b.state = chunkLF
		default:
			return errChunkLine
		}
	case chunkExtension:
		if c == '\r' {
			b.state = chunkLF
		} else if class[c]&inValue == 0 {
			return errChunkLine
		}
	case chunkLF:
		if c != '\n' {
			return errChunkLine
		}
		return b.chunkBegun()
	}
	return nil
}

// chunkBegun goes on behind a complete chunk header. Extensions must not make
// the body mostly overhead, or a small body could keep us busy for ever: each
// chunk may cost 16 bytes and twice its payload, and what is spent above that is
// summed up. The figures are those of net/http, which met that attack
// (CVE-2023-39326), so that the same bodies pass.
func (b *Body) chunkBegun() error {
	b.overhead = max(0, b.overhead+int64(b.line)-16-2*b.left)
	if b.overhead > maxChunkOverhead {
		return errChunkOverhead
	}
	b.line = 0
	b.state = bodyPayload
	if b.left == 0 {
		b.state = trailerStart
	}
	return nil
}

// stepTrailer takes one byte of: *( name ":" value CR LF ) CR LF.
func (b *Body) stepTrailer(c byte) error {
	switch b.state {
	case trailerStart:
		if c == '\r' {
			b.state = trailerEndLF
			return nil
		}
		if b.fields++; b.fields > MaxFields {
			return errTrailerFields
		}
		if class[c]&inToken == 0 {
			return errTrailer
		}
		b.state = trailerName
	case trailerName:
		if c == ':' {
			b.state = trailerValue
		} else if class[c]&inToken == 0 {
			return errTrailer
		}
	case trailerValue:
		if c == '\r' {
			b.state = trailerLF
		} else if class[c]&inValue == 0 {
			return errTrailer
		}
	case trailerLF:
		if c != '\n' {
			return errTrailer
		}
		b.state = trailerStart
	case trailerEndLF:
		if c != '\n' {
			return errTrailer
		}
		b.state = bodyDone
	}
	return nil
}

// hexDigit is the value of a hexadecimal digit of either case, -1 of any other
// byte.
func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	default:
		return -1
	}
}
