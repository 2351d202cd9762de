package evidence

import (
	"bytes"
	"encoding/binary"
	"os"
	"strconv"

	"github.com/stormctl/stormctl/load"
)

// sampleRoom is how many bytes of lines an event loop may be ahead of the
// writer: over half a second at 100,000/s.
const sampleRoom = 1 << 22

// SampleWriter writes samples. The event loops write their lines themselves, each
// into a ring of its own, which costs less than to hand samples over: a line is
// shorter than a sample, and is made while that is at hand. One goroutine
// gives to the kernel what has come.
//
//	loop 0 ─Record─▶ ring ─┐
//	loop 1 ─Record─▶ ring ─┴─Flush─▶ front.csv
type SampleWriter struct {
	file *csvFile // nil of one that is drained
	pens []*pen

	reader sampleReader // for Drain
	joined []byte       // the same: what lies in two parts in a ring
}

// NewSamples is a SampleWriter without a file: what it has is for Drain.
func NewSamples(routes []string, loops int) *SampleWriter {
	w := &SampleWriter{reader: sampleReader{index: indexOf(routes)}}
	for range loops {
		w.pens = append(w.pens, newPen(routes, sampleRoom))
	}
	return w
}

// Drain calls each with every sample that was recorded since the last Drain: its
// line, and the line parsed. Both are valid until each returns. A writer without a
// file (NewSamples) is drained where others are flushed. m is given the samples too,
// unless it is nil. One goroutine may call it.
func (w *SampleWriter) Drain(m *Memory, each func(line []byte, s *load.Sample)) {
	for _, p := range w.pens {
		first, second := p.ring.filled()
		n := bytes.Count(first, newline) + bytes.Count(second, newline)
		if n == 0 {
			continue
		}
		if m != nil {
			m.samples(n, first, second)
		}
		w.joined = append(append(w.joined[:0], first...), second...)
		for rest := w.joined; len(rest) > 0; {
			end := bytes.IndexByte(rest, '\n') + 1
			if end == 0 {
				break
			}
			line := rest[:end]
			rest = rest[end:]
			var s load.Sample
			if err := w.reader.read(&s, line[:end-1], sampleColumns); err != nil { // it was written by us a moment ago
				p.ring.lost.Add(1)
				continue
			}
			each(line, &s)
		}
		p.ring.free(len(first) + len(second))
	}
}

// CreateSamples makes the file for so many event loops; it must not exist and
// will not grow past max bytes; 0 means no bound.
func CreateSamples(path string, routes []string, loops int, max int64) (*SampleWriter, error) {
	f, err := createFile(path)
	if err != nil {
		return nil, err
	}
	return SamplesIn(f, routes, loops, max)
}

// SamplesIn is CreateSamples in an empty file.
func SamplesIn(f *os.File, routes []string, loops int, max int64) (*SampleWriter, error) {
	s, err := newCSV(f, sampleHeader, max)
	if err != nil {
		return nil, err
	}
	w := &SampleWriter{file: s}
	for range loops {
		w.pens = append(w.pens, newPen(routes, sampleRoom))
	}
	return w, nil
}

// Record takes a sample of a loop. It is on the loop's hot path: it never waits,
// takes no lock and allocates nothing. When the writer is behind by a whole
// ring, the sample is counted as lost.
func (w *SampleWriter) Record(loop int, s load.Sample) { w.pens[loop].write(&s) }

// Flush hands to the kernel what was recorded before: that survives a kill -9. It
// returns how many samples those are, and m, if there is one, is told of them. One
// goroutine may call it.
func (w *SampleWriter) Flush(m *Memory) (samples int) {
	for _, p := range w.pens {
		first, second := p.ring.filled()
		n := bytes.Count(first, newline) + bytes.Count(second, newline)
		if n > 0 {
			if m != nil {
				m.samples(n, first, second)
			}
			_ = w.file.write(uint64(n), first, second) // counted in Lost, said by Close
			p.ring.free(len(first) + len(second))
		}
		samples += n
	}
	return samples
}

var newline = []byte{'\n'}

// Extent is what was written so far. The goroutine that flushes may call it.
func (w *SampleWriter) Extent() Extent {
	if w.file == nil {
		return Extent{}
	}
	return w.file.extent()
}

// Lost is how many samples could not be kept.
func (w *SampleWriter) Lost() uint64 {
	n := uint64(0)
	if w.file != nil {
		n = w.file.lost
	}
	for _, p := range w.pens {
		n += p.ring.lost.Load()
	}
	return n
}

// Err is why a write to the file failed; nil if none did. That the file has reached
// its bound is no such error: Lost counts what was left out.
func (w *SampleWriter) Err() error {
	if w.file == nil {
		return nil
	}
	return w.file.failed()
}

// Close writes what is left and closes the file. It returns why samples were
// lost, if any were on the way to the file. Nothing may be recorded any more.
func (w *SampleWriter) Close() error {
	if w.file == nil {
		return nil
	}
	w.Flush(nil)
	return w.file.close()
}

// pen writes the lines of one loop. What has not changed since the line before,
// which is most of it, is copied from there.
type pen struct {
	ring   *ring
	routes [][]byte // their names, between commas

	id, intended, sent, done column
	ending                   []byte // the end of the line before, from the comma after done
	status                   int    // that is in it
	outcome                  load.Outcome
}

func newPen(routes []string, room int) *pen {
	// Five numbers, their commas and the outcome, and what a column needs beyond.
	const others = 5*20 + 48
	p, longest := &pen{}, 0
	for _, name := range routes {
		p.routes = append(p.routes, []byte(","+name+","))
		longest = max(longest, len(name))
	}
	p.ring = newRing(room, longest+others)
	return p
}

func (p *pen) write(s *load.Sample) {
	b := p.ring.line()
	if b == nil {
		return
	}
	b = p.id.append(b, s.ID)
	b = append(b, p.routes[s.Route]...)
	b = append(p.intended.appendTime(b, int64(s.Intended)), ',')
	b = append(p.sent.appendTime(b, int64(s.Sent)), ',')
	b = p.done.appendTime(b, int64(s.Done))
	if s.Status != p.status || s.Outcome != p.outcome || p.ending == nil {
		p.status, p.outcome = s.Status, s.Outcome
		p.ending = append(append(append(strconv.AppendInt(append(p.ending[:0], ','), int64(s.Status), 10), ','), s.Outcome.String()...),
			'\n')
	}
	p.ring.put(append(b, p.ending...))
}

// column writes numbers that follow each other closely: their leading digits
// are those of the one before.
type column struct {
	high   uint64   // the number before, without its last lowDigits digits
	text   [16]byte // of high, 14 digits at most
	digits int      // that are in text
}

const (
	lowDigits = 6
	lowPart   = 1e6
)

// append needs room in b for 22 bytes.
func (c *column) append(b []byte, v uint64) []byte {
	high := v / lowPart
	if high == 0 {
		return strconv.AppendUint(b, v, 10) // without zeros in front
	}
	if high != c.high {
		c.high, c.digits = high, len(strconv.AppendUint(c.text[:0], high, 10))
	}
	at := len(b)
	end := at + c.digits + lowDigits
	b = b[:at+len(c.text)+lowDigits]
	*(*[16]byte)(b[at:]) = c.text // all of it: no call, and the rest is overwritten
	low, text := uint32(v-high*lowPart), b[end-lowDigits:end]
	binary.LittleEndian.PutUint16(text, pairs[low/10000])
	binary.LittleEndian.PutUint16(text[2:], pairs[low/100%100])
	binary.LittleEndian.PutUint16(text[4:], pairs[low%100])
	return b[:end]
}

func (c *column) appendTime(b []byte, v int64) []byte {
	if v < 0 {
		return strconv.AppendInt(b, v, 10)
	}
	return c.append(b, uint64(v))
}

// pairs are the digits of 00 to 99, the first one in the low byte.
var pairs = func() (p [100]uint16) {
	for i := range p {
		p[i] = uint16('0'+i/10) | uint16('0'+i%10)<<8
	}
	return p
}()
