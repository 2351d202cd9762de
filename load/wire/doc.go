// Package wire reads and writes HTTP/1.1, and HTTP/2 as a client does, as bytes:
// the event loops of package load and the relays of chaos/proxy both stand on
// it. It opens no connection, starts no goroutine and knows no clock.
//
//	Template ──Append──▶ request bytes          bytes ──Parse──▶ Request │ Response
//	(encoded once, holes filled)                                          │
//	                                            bytes behind ──Next──▶  Body
//
//	StreamTemplate ──AppendHead──▶ HEADERS      bytes ──FrameReader──▶ Frame
//	               ──AppendData──▶ DATA                                  │
//	                                            header block ──BlockReader──▶ Block
//
// Nothing here allocates once its buffers have grown, but for a value that was
// folded: names and values are slices of the caller's buffer, and every error that
// a peer can provoke is made beforehand.
//
// # Design
//
// Parse is a pure function of the bytes given: as long as the head is not
// complete it returns 0, and the caller calls again with the same bytes and
// more behind them. How the bytes were cut into reads never changes a result.
// Body is the opposite, a state that is carried from read to read, because a
// body can be longer than any buffer.
//
// The relay passes on the bytes it was given. So whatever is accepted here must
// have one meaning only, or a request could hide in another one's body (request
// smuggling, RFC 9112 section 11.2). Where RFC 9112 lets a recipient guess, we
// refuse; where it says what is meant and old peers may read it otherwise, the
// message is Doubtful: a Content-Length beside Transfer-Encoding, and a response
// whose last coding is not chunked. Compared to net/http, which is what most
// systems under test are measured against, these are stricter:
//
//   - Transfer-Encoding in HTTP/1.0 (net/http ignores it), and beside it a
//     Content-Length that is no number
//   - folded header lines that say how long the message is or what becomes of the
//     connection, that look as if they did, or that are blank
//   - white space inside a name or before the colon
//   - a request head with lines that end in LF alone; response heads may, as
//     hand-written servers do that
//   - control characters in the reason phrase or in a chunk extension
//   - a status line without exactly one space after the version, or with a
//     status that is not three digits from 100 up
//   - versions other than HTTP/1.x
//   - a head over 1 MiB or 8,192 fields, a chunk header over 1 KiB or of more
//     than 15 digits, trailers over 1 MiB or 8,192 fields or with lines that end
//     in LF alone
//
// and these are not, because RFC 9110 and 9112 say what they mean:
//
//   - a Content-Length that is a list of one number, like "2, 2"
//   - codings besides chunked, of which nothing is decoded
//
// Of HTTP/2 we are only ever the client, so what we send may be as simple as
// the protocol allows: header blocks of literals and of places in the static table,
// and in the peer's own what all requests of a connection share (see ShareFields),
// and frames of at most 16 KiB, which every peer takes. What we read is watched for what a harness has to
// know: the framing (RFC 9113), the status, the length of the body, and that no
// field is one that a response must not have. A block that is like the one
// before it, as those of equal responses are, is not decoded again.
// FrameReader carries a state from read to read like Body: DATA is passed on and
// not kept, and of the other frames the one that is cut.
//
// Two things are left to the system under test, and so accepted though net/http
// refuses them: the syntax of a request target beyond its bytes (like "/%zz"),
// and what a Trailer field announces.
package wire
