package evidence

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/stormctl/stormctl/load"
)

// Reading a million records costs what each of them costs, so a line is read
// where it lies, without a string or a list of its fields. What is not as the
// writers write it mostly (wrong, only odd, or hit by a fault that has no bit) is read again by way of its fields
// (sampleOf, exchangeOf): they alone say what a line means and what is wrong
// with it, and what is quick may only agree.

// readBuffer is the longest line that can be read, too.
const readBuffer = 1 << 18

// lines calls each with every whole line of a file of records but the header,
// and how many columns it has: a run of an earlier version may lack the last
// ones. It reports whether a torn last line was left out.
func lines(r io.Reader, header string, each func(line []byte, columns int) error) (torn bool, err error) {
	br := bufio.NewReaderSize(r, readBuffer)
	columns := 0
	for n := 1; ; n++ {
		line, err := br.ReadSlice('\n')
		if err == io.EOF {
			return len(line) > 0, nil
		}
		if err != nil {
			return false, fmt.Errorf("line %d: %w", n, err)
		}
		line = line[:len(line)-1]
		if n == 1 {
			had, ok := columnsOf(string(line), header)
			if !ok {
				return false, fmt.Errorf("line 1: not the columns of this version: %q", bytes.TrimSpace(line))
			}
			columns = had
			continue
		}
		if err := each(line, columns); err != nil {
			return false, fmt.Errorf("line %d: %w", n, err)
		}
	}
}

// countLines is how many lines a file of records has, its header included, and how
// many bytes.
func countLines(dir, name string) (n int, size int64, err error) {
	f, err := openRecords(dir, name)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }() // it was read only
	buf := make([]byte, readBuffer)
	for {
		k, err := f.Read(buf)
		n += bytes.Count(buf[:k], newline)
		size += int64(k)
		if errors.Is(err, io.EOF) {
			return n, size, nil
		}
		if err != nil {
			return 0, 0, err
		}
	}
}

// A file of records takes at most mostGrowth times its size as records in memory, unless
// it has fewer than fewLines: what a run writes takes some twice.
const (
	mostGrowth = 4
	fewLines   = 1 << 20
)

// sampleReader reads lines of the samples.
type sampleReader struct {
	index  map[string]int // of the routes, by name
	fields []string       // scratch
}

// read reads a line that has so many columns into s, which is empty.
func (r *sampleReader) read(s *load.Sample, line []byte, columns int) (err error) {
	if columns == sampleColumns {
		in := fields{line: line}
		s.ID = in.uint()
		route, known := r.index[string(in.text())]
		s.Route, s.Intended, s.Sent, s.Done, s.Status = route, in.time(), in.time(), in.time(), int(in.time())
		outcome, named := outcomeOf(in.text())
		s.Outcome = outcome
		if in.whole() && known && named {
			return nil
		}
	}
	r.fields, err = fieldsOf(r.fields[:0], line, columns, sampleColumns)
	if err == nil {
		*s, err = sampleOf(r.fields, r.index)
	}
	return err
}

func outcomeOf(name []byte) (load.Outcome, bool) {
	for o := range load.Outcome(load.Outcomes) {
		if string(name) == o.String() {
			return o, true
		}
	}
	return 0, false
}

// exchangeReader reads lines of a link.
type exchangeReader struct {
	methods, paths, codes names
	further               map[FaultSet]*FaultSet // one of each
	extras                map[Extras]*Extras     // the same
	fields                []string               // scratch
}

func (r *exchangeReader) read(x *Exchange, line []byte, columns int) (err error) {
	if columns == exchangeColumns {
		in := fields{line: line}
		x.Seq, x.ID, x.Conn, x.Begin, x.End = in.uint(), in.uint(), in.uint(), in.time(), in.time()
		x.Method, x.Path = r.methods.keep(in.text()), r.paths.keep(in.text())
		x.Status = int(in.time())
		ending, named := endingOf(in.text())
		inFlight := in.time()
		x.Ending, x.InFlight, x.Faults, x.Key, x.Payload = ending, int32(inFlight), in.uint(), in.uint(), in.uint()
		extra := Extras{RetryAfter: in.time(), BytesUp: in.uint(), BytesDown: in.uint()}
		own := in.time()
		x.Own, extra.Code = int16(own), codeOf(r.codes.keep(in.text()))
		if in.whole() && named && inFlight == time.Duration(x.InFlight) && own == time.Duration(x.Own) {
			x.Extras = r.shared(extra)
			return nil
		}
	}
	r.fields, err = fieldsOf(r.fields[:0], line, columns, exchangeColumns)
	if err == nil {
		*x, err = exchangeOf(r.fields, func(s string) string { return r.paths.keep([]byte(s)) })
	}
	x.Extras = r.shared(x.Extra())
	return err
}

// shared is the one copy that all exchanges with such extras point to; nil for none.
func (r *exchangeReader) shared(e Extras) *Extras {
	if e == (Extras{}) {
		return nil
	}
	if e.Further != nil {
		e.Further = only(&r.further, *e.Further)
	}
	return only(&r.extras, e)
}

// only is the one copy of a thing, of those that are kept.
func only[T comparable](kept *map[T]*T, thing T) *T {
	if one := (*kept)[thing]; one != nil {
		return one
	}
	if *kept == nil || len(*kept) >= manyNames {
		*kept = map[T]*T{}
	}
	one := new(T)
	*one = thing
	(*kept)[thing] = one
	return one
}

func endingOf(name []byte) (Ending, bool) {
	for e, text := range endingNames {
		if string(name) == text {
			return Ending(e), true
		}
	}
	return 0, false
}

// names keeps one copy of what repeats, which methods and most paths do.
type names struct {
	last string
	kept map[string]string
}

// manyNames is from when on names begins anew: paths with a number in them do
// not repeat, and are remembered in vain.
const manyNames = 1 << 14

func (n *names) keep(name []byte) string {
	if string(name) == n.last {
		return n.last
	}
	kept, ok := n.kept[string(name)]
	if !ok {
		if n.kept == nil || len(n.kept) >= manyNames {
			n.kept = map[string]string{}
		}
		kept = string(name)
		n.kept[kept] = kept
	}
	n.last = kept
	return kept
}

// fields reads the fields of a line one after the other. It knows numbers only as
// they are written, without a plus or a space, and takes note of anything else.
type fields struct {
	line []byte
	at   int  // where the next field begins; past the end of the line if there is none
	odd  bool // something was not read
}

// whole reports whether all was read, and nothing is left.
func (f *fields) whole() bool { return !f.odd && f.at == len(f.line)+1 }

// text is the next field; it is part of the line.
func (f *fields) text() []byte {
	if f.at > len(f.line) {
		f.odd = true
		return nil
	}
	text := f.line[f.at:]
	if i := bytes.IndexByte(text, ','); i >= 0 {
		text = text[:i]
	}
	f.at += len(text) + 1
	return text
}

func (f *fields) uint() uint64 {
	v, i := uint64(0), f.at
	for ; i < len(f.line) && f.line[i] != ','; i++ {
		d := uint64(f.line[i] - '0')
		if d > 9 {
			f.odd = true
		}
		if i-f.at >= 19 { // 19 digits always fit
			high, low := bits.Mul64(v, 10)
			sum, carry := bits.Add64(low, d, 0)
			f.odd = f.odd || high+carry > 0
			v = sum
			continue
		}
		v = 10*v + d
	}
	f.odd = f.odd || i <= f.at
	f.at = i + 1
	return v
}

func (f *fields) time() time.Duration {
	negative := f.at < len(f.line) && f.line[f.at] == '-'
	if negative {
		f.at++
	}
	v := f.uint()
	f.odd = f.odd || v > math.MaxInt64
	if negative {
		return -time.Duration(v)
	}
	return time.Duration(v)
}

// arrange brings records into order. They come nearly in order, as what takes
// longer is written later, and are large: so their places are sorted, stably, and
// each record moves once.
func arrange[T any](records []T, before func(a, b *T) int) {
	if sorted(records, before) {
		return
	}
	places := make([]int32, len(records))
	for i := range places {
		places[i] = int32(i)
	}
	slices.SortStableFunc(places, func(a, b int32) int { return before(&records[a], &records[b]) })
	for i := range places { // the cycle of moves that i is part of
		from := places[i]
		if from < 0 || int(from) == i {
			continue
		}
		first, to := records[i], i
		for int(from) != i {
			records[to] = records[from]
			places[to], to, from = -1, int(from), places[from]
		}
		records[to], places[to] = first, -1
	}
}

func sorted[T any](records []T, before func(a, b *T) int) bool {
	for i := 1; i < len(records); i++ {
		if before(&records[i-1], &records[i]) > 0 {
			return false
		}
	}
	return true
}

func samplesInOrder(a, b *load.Sample) int {
	return cmp.Or(cmp.Compare(a.Intended, b.Intended), cmp.Compare(a.ID, b.ID))
}

func exchangesInOrder(a, b *Exchange) int {
	return cmp.Or(cmp.Compare(a.Begin, b.Begin), cmp.Compare(a.Seq, b.Seq))
}

// readRecords reads all records of a file into memory that is just as large, and
// arranges them. A file that is not there holds nothing: the run was killed
// before it was made.
func readRecords[T any](dir, name, header string, marks []mark, read func(x *T, line []byte, columns int) error,
	before func(a, b *T) int) (records []T, state fileState, err error) {
	state.wrong = -1
	n, size, err := countLines(dir, name)
	if errors.Is(err, os.ErrNotExist) {
		if len(marks) > 0 {
			state.wrong = marks[0].tick
		}
		return nil, state, nil
	}
	if err != nil {
		return nil, state, err
	}
	if n > fewLines && int64(n)*int64(reflect.TypeFor[T]().Size()) > mostGrowth*size { // a file of others' that is to take all memory
		return nil, state, fmt.Errorf("read %s: %d lines in %d bytes are no records", filepath.Join(dir, name), n, size)
	}
	f, err := openRecords(dir, name)
	if err != nil {
		return nil, state, err
	}
	defer func() { _ = f.Close() }() // it was read only
	if n > 1 {                       // the header is no record
		records = make([]T, 0, n-1)
	}
	checked := newCheckedReader(f, marks)
	torn, err := lines(checked, header, func(line []byte, columns int) error {
		var none T
		records = append(records, none)
		return read(&records[len(records)-1], line, columns)
	})
	if err != nil {
		return nil, state, fmt.Errorf("read %s: %w", f.name, err)
	}
	if len(records) > math.MaxInt32 {
		return nil, state, fmt.Errorf("read %s: %d records are too many", f.name, len(records))
	}
	arrange(records, before)
	var last mark
	if len(marks) > 0 {
		last = marks[len(marks)-1]
	}
	return records, checked.state(torn, last), nil
}
