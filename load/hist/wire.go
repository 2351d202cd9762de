package hist

import (
	"encoding/binary"
	"errors"
	"math"
)

// Append appends h to b in a form that Read adds to another histogram count for count,
// what was clamped and lost included: some 3 bytes for each cell that differs.
func (h *Histogram) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(h.clamped))
	b = binary.AppendUvarint(b, uint64(h.lost))
	filled := 0
	for range h.bars {
		filled++
	}
	b = binary.AppendUvarint(b, uint64(filled))
	next := 0 // the cell after the last that was written
	for bar := range h.bars {
		at := cell(bar.from)
		b = binary.AppendUvarint(b, uint64(at-next))
		b = binary.AppendUvarint(b, uint64(bar.count))
		next = at + 1
	}
	return b
}

var errWire = errors.New("it is no histogram")

// Read adds what Append wrote at the beginning of b, and returns what follows it. What it
// cannot have written is an error, and a part of it may have been added then.
func (h *Histogram) Read(b []byte) (rest []byte, err error) {
	number := func(most uint64) (n uint64) {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > most {
			err = errWire
			return 0
		}
		b = b[size:]
		return n
	}
	clamped, lost, filled := number(math.MaxInt32), number(math.MaxInt32), number(cells)
	for at := uint64(0); filled > 0 && err == nil; filled-- {
		at += number(cells)
		count := number(math.MaxInt32)
		if err == nil && (at >= cells || count == 0) {
			err = errWire
		}
		if err == nil {
			h.add(least(int(at)), int64(count))
		}
		at++
	}
	if err != nil {
		return nil, err
	}
	h.clamped += int64(clamped)
	h.lost += int64(lost)
	return b, nil
}
