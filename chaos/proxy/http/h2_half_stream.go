package http

import (
	"golang.org/x/net/http2/hpack"
)

// halfStream is one direction of a stream: what has come from one side and was not
// passed on to the other. It holds no more than window bytes and maxInterim
// heads, because the sender is given room only for what was passed on.
//
//	from ──▶ heads ──▶ data ──▶ trailers │ reset ──▶ to
type halfStream struct {
	from, to *h2Side

	heads    [][]hpack.HeaderField // in their order; all but the last are interim ones
	data     []byte
	at       int // bytes of data that were passed on
	trailers []hpack.HeaderField
	complete bool   // nothing more comes: END_STREAM was read
	reset    bool   // nothing more comes: the sender reset the stream
	code     uint32 // why

	headed  bool // the head that is not an interim one has come
	begun   bool // it has been passed on
	stalled bool // the gate is shut
	queued  bool // it is in to.ready
	done    bool // nothing more is passed on

	bounded bool // no more than allowed may be passed on
	allowed int  // bytes of data
	next    int  // of data behind those, which have been looked at and wait until they are due

	room   int   // what the sender may still send
	owed   int   // what was passed on and the sender was not told of
	window int64 // what the receiver still takes of this stream
}

// maxInterim bounds the heads that are kept for one stream.
const maxInterim = 16

// left is how many bytes of data were not passed on.
func (f *halfStream) left() int { return len(f.data) - f.at }

// put takes bytes from the sender.
func (f *halfStream) put(p []byte) {
	if f.at == len(f.data) {
		f.data, f.at = f.data[:0], 0
	} else if len(f.data)+len(p) > cap(f.data) && f.at > 0 {
		f.data, f.at = f.data[:copy(f.data, f.data[f.at:])], 0
	}
	f.data = append(f.data, p...)
}

// empty drops what is kept, and returns how much of it was data.
func (f *halfStream) empty() int {
	n := f.left()
	f.heads, f.data, f.at, f.trailers = nil, nil, 0, nil
	return n
}

// last reports whether nothing comes behind the data.
func (f *halfStream) last() bool { return f.complete && f.trailers == nil }
