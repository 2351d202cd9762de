package hist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// encoder makes the text of histograms in a log: HdrHistogram's V2 format,
// compressed, in base64. hdrhistogram does so too, but needs a megabyte and
// some milliseconds for each, every second of a load.
type encoder struct {
	plain, packed bytes.Buffer
	zip           *zlib.Writer
	text          []byte
}

// encoders are those that no log uses: there are as many logs as links, and a
// compressor takes a megabyte.
var encoders = sync.Pool{New: func() any { return new(encoder) }}

// The first words of a histogram and of a compressed one: version 2, with
// words of up to 9 bytes.
const (
	plainCookie  = uint32(hdrhistogram.V2EncodingCookieBase) | 0x10
	packedCookie = uint32(hdrhistogram.V2CompressedEncodingCookieBase) | 0x10
	headSize     = hdrhistogram.ENCODING_HEADER_SIZE
)

// longWord is the first count whose word may be of 9 bytes, of which the last
// is like no other.
const longWord = 1 << 54

// ownShape is digits, lowest and highest value of our histograms, as they stand
// in a head.
var ownShape = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(
	binary.BigEndian.AppendUint32(nil, digits), uint64(resolution)), uint64(Highest))

// encode returns the text of h, valid until the next call.
func (e *encoder) encode(h *Histogram) ([]byte, error) {
	if h.Count() >= longWord {
		return h.counts.EncodeV2()
	}
	e.count(h)
	return e.pack()
}

// pack returns the text of the uncompressed form, valid until the next call.
func (e *encoder) pack() ([]byte, error) {
	if e.zip == nil {
		var err error
		if e.zip, err = zlib.NewWriterLevel(&e.packed, zlib.BestSpeed); err != nil {
			return nil, err
		}
	}
	e.packed.Reset()
	e.packed.Write(make([]byte, 8)) // its head, below
	e.zip.Reset(&e.packed)
	if _, err := e.zip.Write(e.plain.Bytes()); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := e.zip.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	packed := e.packed.Bytes()
	binary.BigEndian.PutUint32(packed, packedCookie)
	binary.BigEndian.PutUint32(packed[4:], uint32(len(packed)-8))
	e.text = base64.StdEncoding.AppendEncode(e.text[:0], packed)
	return e.text, nil
}

// count makes the uncompressed form.
func (e *encoder) count(h *Histogram) {
	e.begin()
	w := words{out: &e.plain}
	next := 0 // the cell after the last that was written
	for b := range h.bars {
		at := cell(b.from)
		w.zeros += int64(at - next)
		w.add(b.count)
		next = at + 1
	}
	e.end(ownShape)
}

// begin leaves room for the head, which end fills in when the length is known.
func (e *encoder) begin() {
	e.plain.Reset()
	e.plain.Write(make([]byte, headSize))
}

func (e *encoder) end(shape []byte) {
	head := e.plain.Bytes()
	binary.BigEndian.PutUint32(head, plainCookie)
	binary.BigEndian.PutUint32(head[4:], uint32(len(head)-headSize))
	copy(head[12:32], shape)
	binary.BigEndian.PutUint64(head[32:], math.Float64bits(1)) // values are counted as they are
}

// words writes counts as V2 has them: up to the last that is not 0, each as a
// zigzag LEB128 word, and a run of zeros as its length below 0.
type words struct {
	out   *bytes.Buffer
	zeros int64
}

func (w *words) add(n int64) {
	if n == 0 {
		w.zeros++
		return
	}
	var word [binary.MaxVarintLen64]byte
	if w.zeros > 0 {
		w.out.Write(binary.AppendVarint(word[:0], -w.zeros))
		w.zeros = 0
	}
	w.out.Write(binary.AppendVarint(word[:0], n))
}
