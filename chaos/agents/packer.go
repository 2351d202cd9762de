package agents

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"

	"github.com/stormctl/stormctl/load"
)

// mostSamples of a block: no more bytes than a message may have, whatever they are.
const mostSamples = 8192

// mostSample is more bytes than appendSample writes.
const mostSample = 10 * binary.MaxVarintLen64

// A packer makes blocks: so many samples, their bytes, and these compressed.
type packer struct {
	samples int
	plain   []byte
	packed  bytes.Buffer
	zip     *flate.Writer // nil before the first
}

// add adds a sample; there is room for mostSamples.
func (p *packer) add(s *load.Sample) {
	p.plain = appendSample(p.plain, s)
	p.samples++
}

// block appends what was added to b, and is empty then.
func (p *packer) block(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(p.samples))
	b = binary.AppendUvarint(b, uint64(len(p.plain)))
	p.packed.Reset()
	if p.zip == nil {
		p.zip, _ = flate.NewWriter(&p.packed, flate.BestSpeed) // it is a level that there is
	} else {
		p.zip.Reset(&p.packed)
	}
	_, err := p.zip.Write(p.plain)
	if err = errors.Join(err, p.zip.Close()); err != nil {
		panic("agents: " + err.Error()) // a buffer takes all
	}
	p.samples, p.plain = 0, p.plain[:0]
	return append(b, p.packed.Bytes()...)
}

// blockHead reads how many samples a block says that it has, in how many bytes.
func blockHead(b []byte) (samples, size int, packed []byte, err error) {
	n, first := binary.Uvarint(b)
	if first <= 0 || n == 0 || n > mostSamples {
		return 0, 0, nil, errFrame
	}
	length, second := binary.Uvarint(b[first:])
	if second <= 0 || length > n*mostSample {
		return 0, 0, nil, errFrame
	}
	return int(n), int(length), b[first+second:], nil
}

// An unpacker reads blocks.
type unpacker struct {
	plain  []byte
	packed bytes.Reader
	unzip  io.ReadCloser // a flate.Resetter; nil before the first
	list   []load.Sample
}

// samples reads those of a block, of a plan whose routes have so many steps each. They
// are valid until the next call.
func (u *unpacker) samples(block []byte, steps []int) ([]load.Sample, error) {
	n, size, packed, err := blockHead(block)
	if err != nil {
		return nil, err
	}
	u.packed.Reset(packed)
	if u.unzip == nil {
		u.unzip = flate.NewReader(&u.packed)
	} else if err := u.unzip.(flate.Resetter).Reset(&u.packed, nil); err != nil {
		return nil, errFrame
	}
	if cap(u.plain) < size+1 {
		u.plain = make([]byte, size+1)
	}
	read, err := io.ReadFull(u.unzip, u.plain[:size+1]) // one more, to see that there is none
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) || read != size || u.packed.Len() > 0 {
		return nil, errFrame
	}
	u.list, err = readSamples(u.list[:0], u.plain[:size], steps)
	if err == nil && len(u.list) != n {
		err = errFrame
	}
	if err != nil {
		return nil, err
	}
	return u.list, nil
}
