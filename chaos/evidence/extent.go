package evidence

import (
	"hash/crc32"
	"io"
)

// castagnoli is the polynomial that processors have an instruction for.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Extent is how far a file of records was written, header included, and the CRC-32C
// of all of it up to there. The zero Extent is that of a run from before there were
// any.
type Extent struct {
	Bytes int64  `json:"bytes,omitempty"`
	Sum   uint32 `json:"crc32c,omitempty"`
}

// mark is the extent of a file at the end of a tick.
type mark struct {
	Extent
	tick int // index in Run.Ticks
}

// fileState is what was found out about a file besides its records.
type fileState struct {
	torn   bool // its last line is not whole, and was left out
	wrong  int  // the tick at the end of which it was another file; -1 if there is none
	beyond bool // it goes on behind its last mark
}

// checkedReader compares a file, while it is read, with its marks. From the first one
// that differs on, which is all that a sum of everything before can tell, there is
// nothing more to compare.
type checkedReader struct {
	from  io.Reader
	marks []mark // those ahead
	at    int64
	sum   uint32
	wrong int
}

func newCheckedReader(from io.Reader, marks []mark) *checkedReader {
	return &checkedReader{from: from, marks: marks, wrong: -1}
}

func (c *checkedReader) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.take(p[:n])
	return n, err
}

func (c *checkedReader) take(p []byte) {
	for len(c.marks) > 0 && c.at+int64(len(p)) >= c.marks[0].Bytes {
		m := c.marks[0]
		c.marks = c.marks[1:]
		if m.Bytes < c.at { // the seconds are in disorder
			c.differs(m)
			return
		}
		part := p[:m.Bytes-c.at]
		p = p[len(part):]
		c.add(part)
		if c.sum != m.Sum {
			c.differs(m)
			return
		}
	}
	if c.wrong < 0 {
		c.add(p)
	}
}

func (c *checkedReader) add(p []byte) {
	c.sum = crc32.Update(c.sum, castagnoli, p)
	c.at += int64(len(p))
}

func (c *checkedReader) differs(m mark) { c.wrong, c.marks = m.tick, nil }

// state is what was found once the file was read to its end; last is its last mark.
func (c *checkedReader) state(torn bool, last mark) fileState {
	if len(c.marks) > 0 {
		c.differs(c.marks[0]) // it is shorter
	}
	return fileState{torn: torn, wrong: c.wrong, beyond: last.Bytes > 0 && c.wrong < 0 && c.at > last.Bytes}
}

// marks lists the extents of a file. Of a run that was killed the last second is left
// out: what it says may have reached the disk before what it is about.
func (r *Run) marks(extent func(t *Tick) Extent) []mark {
	ticks := r.counting()
	var marks []mark
	for i := range ticks {
		if e := extent(&ticks[i]); e.Bytes > 0 {
			marks = append(marks, mark{e, i})
		}
	}
	return marks
}
