package evidence

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/input"
)

// MaxFileSize bounds the bytes of a file of records that a run writes, because a ruling
// reads all of it.
const MaxFileSize = 1 << 30

// The columns, all times in nanoseconds since the start of the load.
const (
	sampleHeader   = "id,route,intended_ns,sent_ns,done_ns,status,outcome\n"
	exchangeHeader = "seq,id,conn,begin_ns,end_ns,method,path,status,ending,in_flight,faults,key,payload,retry_after_ns," +
		"bytes_up,bytes_down,own_status,code\n"
)

// A csvFile is one file of records. Writes past its limit and after an error are
// counted as lost, never blocked on.
type csvFile struct {
	file *os.File
	buf  []byte
	size int64
	sum  uint32 // of what was written, castagnoli
	max  int64
	lost uint64
	err  error // why no more is written
	full bool  // that it is as large as it may be

	pending uint64 // records in buf, of who counts them there
}

func createCSV(in *os.Root, name, header string, max int64) (*csvFile, error) {
	f, err := createIn(in, name)
	if err != nil {
		return nil, err
	}
	return newCSV(f, header, max)
}

// createIn makes a file in a folder, in whose name there may be folders that the writer
// has made itself; it must not exist.
func createIn(in *os.Root, name string) (*os.File, error) {
	folder, err := input.Folder(in, path.Dir(name))
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	return input.OpenIn(folder, path.Base(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY)
}

func createFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

// newCSV begins one in an empty file.
func newCSV(f *os.File, header string, max int64) (*csvFile, error) {
	s := &csvFile{file: f, max: max, buf: append(make([]byte, 0, len(header)), header...)}
	return s, s.flush(0)
}

// flush writes what is buffered, which holds that many records.
func (f *csvFile) flush(records uint64) error {
	err := f.write(records, f.buf)
	f.buf = f.buf[:0]
	return err
}

// flushPending writes what is buffered, of which pending has the records.
func (f *csvFile) flushPending() {
	if f.pending > 0 {
		_ = f.flush(f.pending) // counted in lost
		f.pending = 0
	}
}

// write writes so many records, which follow each other in parts.
func (f *csvFile) write(records uint64, parts ...[]byte) error {
	size := int64(0)
	for _, p := range parts {
		size += int64(len(p))
	}
	if f.err == nil && f.max > 0 && f.size+size > f.max {
		f.err, f.full = fmt.Errorf("evidence is limited to %d bytes", f.max), true
	}
	for _, p := range parts {
		if f.err == nil && len(p) > 0 {
			var n int
			n, f.err = f.file.Write(p)
			f.size += int64(n)
			f.sum = crc32.Update(f.sum, castagnoli, p[:n])
		}
	}
	if f.err != nil {
		f.lost += records
	}
	return f.err
}

func (f *csvFile) extent() Extent { return Extent{f.size, f.sum} }

// failed is the error of a write; nil if all went well, or the bound was met.
func (f *csvFile) failed() error {
	if f.full {
		return nil
	}
	return f.err
}

func (f *csvFile) close() error {
	err := f.file.Close()
	return errors.Join(f.err, err)
}

// ExchangeWriter writes the exchanges of one link. It is used by one goroutine. A nil one
// writes nothing.
type ExchangeWriter struct{ csv *csvFile }

// ExchangesIn writes exchanges into an empty file, which will not grow past max bytes;
// 0 means no bound.
func ExchangesIn(f *os.File, max int64) (*ExchangeWriter, error) {
	s, err := newCSV(f, exchangeHeader, max)
	if err != nil {
		return nil, err
	}
	return &ExchangeWriter{s}, nil
}

// Write appends the exchanges and hands them to the kernel.
func (w *ExchangeWriter) Write(exchanges []Exchange) {
	if w == nil {
		return
	}
	for i := range exchanges {
		x := &exchanges[i]
		b := w.csv.buf
		b = append(strconv.AppendUint(b, x.Seq, 10), ',')
		b = append(strconv.AppendUint(b, x.ID, 10), ',')
		b = append(strconv.AppendUint(b, x.Conn, 10), ',')
		b = append(strconv.AppendInt(b, int64(x.Begin), 10), ',')
		b = append(strconv.AppendInt(b, int64(x.End), 10), ',')
		b = append(appendPlain(b, x.Method), ',')
		b = append(appendPlain(b, x.Path), ',')
		b = append(strconv.AppendInt(b, int64(x.Status), 10), ',')
		b = append(append(b, x.Ending.String()...), ',')
		b = append(strconv.AppendInt(b, int64(x.InFlight), 10), ',')
		b = append(appendFaults(b, x), ',')
		b = append(strconv.AppendUint(b, x.Key, 10), ',')
		b = append(strconv.AppendUint(b, x.Payload, 10), ',')
		extra := x.Extra()
		b = append(strconv.AppendInt(b, int64(extra.RetryAfter), 10), ',')
		b = append(strconv.AppendUint(b, extra.BytesUp, 10), ',')
		b = append(strconv.AppendUint(b, extra.BytesDown, 10), ',')
		b = append(strconv.AppendInt(b, int64(x.Own), 10), ',')
		w.csv.buf = append(appendPlain(b, codeText(extra.Code)), '\n')
	}
	_ = w.csv.flush(uint64(len(exchanges))) // counted in Lost, said by Close
}

// Extent is what was written so far.
func (w *ExchangeWriter) Extent() Extent {
	if w == nil {
		return Extent{}
	}
	return w.csv.extent()
}

// Lost is how many exchanges could not be kept.
func (w *ExchangeWriter) Lost() uint64 {
	if w == nil {
		return 0
	}
	return w.csv.lost
}

// Err is why a write to the file failed; nil if none did. That the file has reached
// its bound is no such error: Lost counts what was left out.
func (w *ExchangeWriter) Err() error {
	if w == nil {
		return nil
	}
	return w.csv.failed()
}

// Close closes the file and returns why exchanges were lost, if any were.
func (w *ExchangeWriter) Close() error { return w.csv.close() }

// appendPlain writes text that came over the wire so that it stays one field
// of one line: what could end either is percent-encoded, as in a URL.
func appendPlain(b []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c <= ' ' || c >= 0x7f || c == ',' || c == '"':
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

// appendFaults writes which faults hit an exchange: Faults as a number, and of each
// further one its index behind a plus, as in 5+64+700.
func appendFaults(b []byte, x *Exchange) []byte {
	b = strconv.AppendUint(b, x.Faults, 10)
	if further := x.Extra().Further; further != nil {
		for fault := range further.All() {
			b = strconv.AppendInt(append(b, '+'), int64(fault), 10)
		}
	}
	return b
}

// noCode stands for a code that is not known, as it does in runs from before codes.
const noCode = "0"

func codeText(code string) string { return cmp.Or(code, noCode) }

func codeOf(text string) string {
	if text == noCode {
		return ""
	}
	return text
}

// How many columns there are in this version.
var (
	sampleColumns   = strings.Count(sampleHeader, ",") + 1
	exchangeColumns = strings.Count(exchangeHeader, ",") + 1
)

// fieldsOf appends the fields of a line that has so many columns of all. What a
// run of an earlier version lacks are zeros.
func fieldsOf(fields []string, line []byte, columns, all int) ([]string, error) {
	fields = appendFields(fields, string(line))
	if len(fields) != columns {
		return fields, fmt.Errorf("%d fields instead of %d", len(fields), columns)
	}
	for len(fields) < all {
		fields = append(fields, "0")
	}
	return fields, nil
}

// appendFields appends the fields of a line.
func appendFields(fields []string, line string) []string {
	for more := true; more; {
		var field string
		field, line, more = strings.Cut(line, ",")
		fields = append(fields, field)
	}
	return fields
}

// columnsOf is how many columns a file has; not ok if they are not the first of
// those there are now.
func columnsOf(line, header string) (n int, ok bool) {
	line, header = strings.TrimSuffix(line, "\n"), strings.TrimSuffix(header, "\n")
	return strings.Count(line, ",") + 1, line == header || line != "" && strings.HasPrefix(header, line+",")
}

// A reader of fields that keeps the first error, so that a record reads as a
// list of its fields.
type fieldReader struct {
	fields []string
	err    error
}

func (r *fieldReader) next() string {
	f := r.fields[0]
	r.fields = r.fields[1:]
	return f
}

func (r *fieldReader) uint() uint64 {
	v, err := strconv.ParseUint(r.next(), 10, 64)
	if r.err == nil {
		r.err = err
	}
	return v
}

// faults is the inverse of appendFaults.
func (r *fieldReader) faults() (bits uint64, further *FaultSet) {
	text := r.next()
	first, rest, more := strings.Cut(text, "+")
	bits, err := strconv.ParseUint(first, 10, 64)
	for more && err == nil {
		var one string
		one, rest, more = strings.Cut(rest, "+")
		fault, wrong := strconv.Atoi(one)
		if wrong != nil || fault < FaultBits || fault >= MaxFaults {
			err = fmt.Errorf("faults %q: %q is no number of a fault from %d to %d", text, one, FaultBits, MaxFaults-1)
			break
		}
		if further == nil {
			further = new(FaultSet)
		}
		further.Add(fault)
	}
	if r.err == nil {
		r.err = err
	}
	return bits, further
}

func (r *fieldReader) int() int { return int(r.within(64)) }

func (r *fieldReader) time() time.Duration { return time.Duration(r.within(64)) }

// within reads a number that fits into so many bits.
func (r *fieldReader) within(bits int) int64 {
	v, err := strconv.ParseInt(r.next(), 10, bits)
	if r.err == nil {
		r.err = err
	}
	return v
}

// indexOf tells where in a list each name is.
func indexOf(names []string) map[string]int {
	index := map[string]int{}
	for i, name := range names {
		index[name] = i
	}
	return index
}

// sampleOf reads a line of the samples; index is that of its routes.
func sampleOf(f []string, index map[string]int) (load.Sample, error) {
	in := fieldReader{fields: f}
	s := load.Sample{ID: in.uint()}
	name := in.next()
	route, ok := index[name]
	if !ok {
		return s, fmt.Errorf("unknown route %q", name)
	}
	s.Route, s.Intended, s.Sent, s.Done, s.Status = route, in.time(), in.time(), in.time(), in.int()
	outcome, err := load.ParseOutcome(in.next())
	if err != nil {
		return s, err
	}
	s.Outcome = outcome
	return s, in.err
}

// exchangeOf reads a line of a link; intern keeps its texts.
func exchangeOf(f []string, intern func(string) string) (Exchange, error) {
	in := fieldReader{fields: f}
	x := Exchange{Seq: in.uint(), ID: in.uint(), Conn: in.uint(), Begin: in.time(), End: in.time(),
		Method: intern(in.next()), Path: intern(in.next()), Status: in.int()}
	ending, err := ParseEnding(in.next())
	if err != nil {
		return x, err
	}
	var extra Extras
	x.Ending, x.InFlight = ending, int32(in.within(32))
	x.Faults, extra.Further = in.faults()
	x.Key, x.Payload, extra.RetryAfter = in.uint(), in.uint(), in.time()
	extra.BytesUp, extra.BytesDown, x.Own = in.uint(), in.uint(), int16(in.within(16))
	extra.Code = codeOf(intern(in.next()))
	if extra != (Extras{}) {
		x.Extras = &extra
	}
	return x, in.err
}
