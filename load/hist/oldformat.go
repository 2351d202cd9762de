package hist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The first words of a histogram, and of a compressed one, in the formats of
// HdrHistogram before 2.1.7 (V0 and V1; AbstractHistogram.java of the Java
// implementation has them). Bits 4 to 7 say of how many bytes a count is.
const (
	v0Plain, v0Packed = 0x1c849308, 0x1c849309
	v1Plain, v1Packed = 0x1c849301, 0x1c849302
	wordBits          = 0xf0

	v0HeadSize = 32 // cookie, digits, lowest, highest, total
)

// oldMost bounds what an old histogram is unpacked to, in bytes: one of 5
// digits over all of 64 bits has less.
const oldMost = 64 << 20

// decode reads the text of a histogram of any format.
func decode(text string) (*hdrhistogram.Histogram, error) {
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(packed) < 8 {
		return hdrhistogram.Decode([]byte(text)) // says what is wrong
	}
	switch binary.BigEndian.Uint32(packed) &^ wordBits {
	case v0Packed:
		return decodeOld(packed, v0Plain, v0HeadSize)
	case v1Packed:
		return decodeOld(packed, v1Plain, headSize)
	}
	return hdrhistogram.Decode([]byte(text))
}

// decodeOld reads a packed histogram whose head is of so many bytes and begins
// with plain. It is written anew in V2, so that one decoder alone decides what a
// sound histogram is.
func decodeOld(packed []byte, plain uint32, headSize int) (*hdrhistogram.Histogram, error) {
	length := binary.BigEndian.Uint32(packed[4:])
	if uint64(length) > uint64(len(packed)-8) {
		return nil, fmt.Errorf("%d bytes are compressed, not %d", len(packed)-8, length)
	}
	unzip, err := zlib.NewReader(bytes.NewReader(packed[8 : 8+length]))
	if err != nil {
		return nil, err
	}
	old, err := io.ReadAll(io.LimitReader(unzip, oldMost+1))
	switch {
	case err != nil:
		return nil, err
	case len(old) > oldMost:
		return nil, errors.New("it is larger than any histogram")
	case len(old) < headSize || binary.BigEndian.Uint32(old)&^wordBits != plain:
		return nil, errors.New("what is compressed is no histogram")
	}
	word := int(binary.BigEndian.Uint32(old)&wordBits) >> 4
	counts := old[headSize:]
	shape := old[4:24] // digits, lowest, highest
	if plain == v1Plain {
		shape = old[12:32]
		if size := binary.BigEndian.Uint32(old[4:]); uint64(size) <= uint64(len(counts)) {
			counts = counts[:size]
		} else {
			return nil, fmt.Errorf("its counts are of %d bytes, not %d", len(counts), size)
		}
	}
	return decodeCounts(counts, word, shape)
}

// decodeCounts makes a histogram of counts that are words of so many bytes.
// shape is its digits, its lowest and its highest value as they stand in a head.
func decodeCounts(counts []byte, word int, shape []byte) (*hdrhistogram.Histogram, error) {
	if word != 1 && word != 2 && word != 4 && word != 8 || len(counts)%word != 0 {
		return nil, fmt.Errorf("%d bytes are no counts of %d bytes each", len(counts), word)
	}
	var e encoder
	w := words{out: &e.plain}
	e.begin()
	for ; len(counts) > 0; counts = counts[word:] {
		n := uint64(0)
		for _, b := range counts[:word] {
			n = n<<8 | uint64(b)
		}
		if n >= longWord {
			return nil, fmt.Errorf("a count of %d", n)
		}
		w.add(int64(n))
	}
	e.end(shape)
	text, err := e.pack()
	if err != nil {
		return nil, err
	}
	return hdrhistogram.Decode(text)
}
