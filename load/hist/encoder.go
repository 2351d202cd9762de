package hist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

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

// The first words of a histogram and of a compressed one: version 2, with
// words of up to 9 bytes.
const (
	plainCookie  = uint32(hdrhistogram.V2EncodingCookieBase) | 0x10
	packedCookie = uint32(hdrhistogram.V2CompressedEncodingCookieBase) | 0x10
	headSize     = hdrhistogram.ENCODING_HEADER_SIZE
)

// encode returns the text of h, valid until the next call.
func (e *encoder) encode(h *Histogram) ([]byte, error) {
	if h.Count() >= 1<<54 { // its words may be of 9 bytes, of which the last is like no other
		return h.counts.EncodeV2()
	}
	if e.zip == nil {
		var err error
		if e.zip, err = zlib.NewWriterLevel(&e.packed, zlib.BestSpeed); err != nil {
			return nil, err
		}
	}
	e.count(h)
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

// count makes the uncompressed form: the counts up to the last that is not 0,
// each as a zigzag LEB128 word, and a run of zeros as its length below 0.
func (e *encoder) count(h *Histogram) {
	e.plain.Reset()
	e.plain.Write(make([]byte, headSize)) // below, when the length is known
	zeros := int64(0)
	var word [binary.MaxVarintLen64]byte
	for _, n := range h.counts.Export().Counts {
		if n == 0 {
			zeros++
			continue
		}
		if zeros > 0 {
			e.plain.Write(binary.AppendVarint(word[:0], -zeros))
			zeros = 0
		}
		e.plain.Write(binary.AppendVarint(word[:0], n))
	}
	head := e.plain.Bytes()
	binary.BigEndian.PutUint32(head, plainCookie)
	binary.BigEndian.PutUint32(head[4:], uint32(len(head)-headSize))
	binary.BigEndian.PutUint32(head[12:], digits)
	binary.BigEndian.PutUint64(head[16:], uint64(resolution))
	binary.BigEndian.PutUint64(head[24:], uint64(Highest))
	binary.BigEndian.PutUint64(head[32:], math.Float64bits(1)) // values are counted as they are
}
