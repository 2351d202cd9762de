package hist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"io"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// decoder reads the text of one histogram after the other. hdrhistogram makes room
// for every cell there could be, 200 kB, and a decompressor of its own for each: a
// day of seconds takes it minutes. What has the shape of our own is read here, cell
// by cell; all else, and all that is not as it should be, is left to hdrhistogram, so
// that it alone decides what a sound histogram is.
type decoder struct {
	text  string
	known bool                    // it is decoded: into bars, or into other if that is there
	bars  []cellCount             // in the order of cells
	other *hdrhistogram.Histogram // of a shape that is not ours; nil otherwise

	packed []byte
	zipped bytes.Reader
	unzip  io.ReadCloser // a zlib.Resetter; nil before the first
	plain  []byte
}

// cellCount is how many times are in a cell.
type cellCount struct {
	cell  int32
	count int64
}

// plainMost is more than any histogram of our shape takes: 9 bytes a count.
const plainMost = headSize + 9*cells

// reset makes text the next that is decoded.
func (d *decoder) reset(text string) { d.text, d.known, d.other = text, false, nil }

// decode decodes the text, once.
func (d *decoder) decode() (err error) {
	if !d.known && !d.own() {
		d.other, err = decode(d.text)
	}
	d.known = err == nil
	return err
}

// addTo adds to h what was decoded.
func (d *decoder) addTo(h *Histogram) {
	if d.other != nil {
		h.lost += h.counts.MergeFrom(d.other)
		return
	}
	for _, b := range d.bars {
		h.add(least(int(b.cell)), b.count)
	}
}

// own decodes a histogram of our shape, and reports whether it was one.
func (d *decoder) own() bool {
	d.bars = d.bars[:0]
	plain := d.inflate()
	if len(plain) < headSize || binary.BigEndian.Uint32(plain) != plainCookie ||
		binary.BigEndian.Uint32(plain[4:]) != uint32(len(plain)-headSize) || binary.BigEndian.Uint32(plain[8:]) != 0 ||
		!bytes.Equal(plain[12:32], ownShape) || binary.BigEndian.Uint64(plain[32:]) != math.Float64bits(1) {
		return false
	}
	at, total := int64(0), int64(0) // the next cell, and what is in those before
	for words := plain[headSize:]; len(words) > 0; {
		n, size := binary.Varint(words)
		words = words[max(size, 0):]
		switch {
		case size <= 0 || size > 8 || n > math.MaxInt64-total || n >= 0 && at >= cells || n < at-cells:
			return false
		case n < 0:
			at -= n // so many cells of 0
			continue
		case n > 0:
			total += n
			d.bars = append(d.bars, cellCount{int32(at), n})
		}
		at++
	}
	return true
}

// inflate unpacks the text; nil if it is not packed as ours are, or larger. It holds
// until the next call.
func (d *decoder) inflate() []byte {
	if most := base64.StdEncoding.DecodedLen(len(d.text)); most > plainMost {
		return nil
	} else if cap(d.packed) < most {
		d.packed = make([]byte, most)
	}
	n, err := base64.StdEncoding.Decode(d.packed[:cap(d.packed)], []byte(d.text))
	packed := d.packed[:n]
	if err != nil || n < 8 || binary.BigEndian.Uint32(packed) != packedCookie || binary.BigEndian.Uint32(packed[4:]) != uint32(n-8) {
		return nil
	}
	d.zipped.Reset(packed[8:])
	if d.unzip == nil {
		d.unzip, err = zlib.NewReader(&d.zipped)
	} else {
		err = d.unzip.(zlib.Resetter).Reset(&d.zipped, nil)
	}
	if err != nil {
		d.unzip = nil
		return nil
	}
	if d.plain == nil {
		d.plain = make([]byte, plainMost+1)
	}
	for n = 0; err == nil && n < len(d.plain); {
		var read int
		read, err = d.unzip.Read(d.plain[n:])
		n += read
	}
	if err != io.EOF { //nolint:errorlint // cut short is io.ErrUnexpectedEOF; nil is larger than any
		return nil
	}
	return d.plain[:n]
}
