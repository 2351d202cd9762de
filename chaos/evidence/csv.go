package evidence

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/load"
)

// The columns, all times in nanoseconds since the start of the load.
const (
	frontHeader  = "id,route,intended_ns,sent_ns,done_ns,status,outcome\n"
	behindHeader = "seq,id,conn,begin_ns,end_ns,method,path,status,ending,in_flight,faults,key,payload,retry_after_ns,bytes_up,bytes_down\n"
)

// A sheet is one file of records. Writes past its limit and after an error are
// counted as lost, never blocked on.
type sheet struct {
	file *os.File
	buf  []byte
	size int64
	max  int64
	lost uint64
	err  error // why no more is written
	full bool  // that it is as large as it may be
}

func createSheet(path, header string, max int64) (*sheet, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	s := &sheet{file: f, max: max, buf: append(make([]byte, 0, 1<<16), header...)}
	return s, s.flush(0)
}

// flush writes what is buffered, which holds that many records.
func (s *sheet) flush(records uint64) error {
	if len(s.buf) == 0 {
		return nil
	}
	if s.err == nil && s.max > 0 && s.size+int64(len(s.buf)) > s.max {
		s.err, s.full = fmt.Errorf("evidence is limited to %d bytes", s.max), true
	}
	if s.err == nil {
		var n int
		n, s.err = s.file.Write(s.buf)
		s.size += int64(n)
	}
	if s.err != nil {
		s.lost += records
	}
	s.buf = s.buf[:0]
	return s.err
}

// failed is the error of a write; nil if all went well, or the bound was met.
func (s *sheet) failed() error {
	if s.full {
		return nil
	}
	return s.err
}

func (s *sheet) close() error {
	err := s.file.Close()
	return errors.Join(s.err, err)
}

// FrontWriter writes samples. It is used by one goroutine.
type FrontWriter struct {
	sheet  *sheet
	routes []string
}

// CreateFront makes the file, which must not exist and will not grow past max
// bytes; 0 means no bound.
func CreateFront(path string, routes []string, max int64) (*FrontWriter, error) {
	s, err := createSheet(path, frontHeader, max)
	if err != nil {
		return nil, err
	}
	return &FrontWriter{s, routes}, nil
}

// Write appends the samples and hands them to the kernel: what was written
// survives a kill -9.
func (w *FrontWriter) Write(samples []load.Sample) {
	for _, s := range samples {
		b := w.sheet.buf
		b = append(strconv.AppendUint(b, s.ID, 10), ',')
		b = append(append(b, w.routes[s.Route]...), ',')
		b = append(strconv.AppendInt(b, int64(s.Intended), 10), ',')
		b = append(strconv.AppendInt(b, int64(s.Sent), 10), ',')
		b = append(strconv.AppendInt(b, int64(s.Done), 10), ',')
		b = append(strconv.AppendInt(b, int64(s.Status), 10), ',')
		w.sheet.buf = append(append(b, s.Outcome.String()...), '\n')
	}
	_ = w.sheet.flush(uint64(len(samples))) // counted in Lost, said by Close
}

// Lost is how many samples could not be kept.
func (w *FrontWriter) Lost() uint64 { return w.sheet.lost }

// Err is why the file could not be written, which its bound is no case of; nil
// if it could.
func (w *FrontWriter) Err() error { return w.sheet.failed() }

// Close closes the file and returns why samples were lost, if any were.
func (w *FrontWriter) Close() error { return w.sheet.close() }

// BehindWriter writes the exchanges of one link. It is used by one goroutine.
type BehindWriter struct{ sheet *sheet }

// CreateBehind makes the file, which must not exist and will not grow past max
// bytes; 0 means no bound.
func CreateBehind(path string, max int64) (*BehindWriter, error) {
	s, err := createSheet(path, behindHeader, max)
	if err != nil {
		return nil, err
	}
	return &BehindWriter{s}, nil
}

// Write appends the exchanges and hands them to the kernel.
func (w *BehindWriter) Write(exchanges []Exchange) {
	for i := range exchanges {
		x := &exchanges[i]
		b := w.sheet.buf
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
		b = append(strconv.AppendUint(b, x.Faults, 10), ',')
		b = append(strconv.AppendUint(b, x.Key, 10), ',')
		b = append(strconv.AppendUint(b, x.Payload, 10), ',')
		b = append(strconv.AppendInt(b, int64(x.RetryAfter), 10), ',')
		b = append(strconv.AppendUint(b, x.BytesUp, 10), ',')
		w.sheet.buf = append(strconv.AppendUint(b, x.BytesDown, 10), '\n')
	}
	_ = w.sheet.flush(uint64(len(exchanges))) // counted in Lost, said by Close
}

// Lost is how many exchanges could not be kept.
func (w *BehindWriter) Lost() uint64 { return w.sheet.lost }

// Err is why the file could not be written, which its bound is no case of; nil
// if it could.
func (w *BehindWriter) Err() error { return w.sheet.failed() }

// Close closes the file and returns why exchanges were lost, if any were.
func (w *BehindWriter) Close() error { return w.sheet.close() }

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

// records calls each with the fields of every whole line but the header. A run
// of an earlier version may lack the last columns: their fields are zeros. It
// tells whether a torn last line was left out.
func records(r io.Reader, header string, each func(f []string) error) (torn bool, err error) {
	br := bufio.NewReaderSize(r, 1<<18)
	columns := strings.Count(header, ",") + 1
	lacks := 0
	fields := make([]string, 0, columns)
	for n := 1; ; n++ {
		line, err := br.ReadSlice('\n')
		if err == io.EOF {
			return len(line) > 0, nil
		}
		if err != nil {
			return false, fmt.Errorf("line %d: %w", n, err)
		}
		if n == 1 {
			had, ok := columnsOf(string(line), header)
			if !ok {
				return false, fmt.Errorf("line 1: not the columns of this version: %q", bytes.TrimSpace(line))
			}
			columns, lacks = had, columns-had
			continue
		}
		fields = fields[:0]
		rest := string(line[:len(line)-1])
		for more := true; more; {
			var field string
			field, rest, more = strings.Cut(rest, ",")
			fields = append(fields, field)
		}
		if len(fields) != columns {
			return false, fmt.Errorf("line %d: %d fields instead of %d", n, len(fields), columns)
		}
		for range lacks {
			fields = append(fields, "0")
		}
		if err := each(fields); err != nil {
			return false, fmt.Errorf("line %d: %w", n, err)
		}
	}
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

func (r *fieldReader) int() int { return int(r.time()) }

func (r *fieldReader) time() time.Duration {
	v, err := strconv.ParseInt(r.next(), 10, 64)
	if r.err == nil {
		r.err = err
	}
	return time.Duration(v)
}

func readFront(r io.Reader, routes []string) (samples []load.Sample, torn bool, err error) {
	index := map[string]int{}
	for i, name := range routes {
		index[name] = i
	}
	torn, err = records(r, frontHeader, func(f []string) error {
		in := fieldReader{fields: f}
		s := load.Sample{ID: in.uint()}
		name := in.next()
		route, ok := index[name]
		if !ok {
			return fmt.Errorf("unknown route %q", name)
		}
		s.Route, s.Intended, s.Sent, s.Done, s.Status = route, in.time(), in.time(), in.time(), in.int()
		outcome, err := load.ParseOutcome(in.next())
		if err != nil {
			return err
		}
		s.Outcome = outcome
		samples = append(samples, s)
		return in.err
	})
	return samples, torn, err
}

func readBehind(r io.Reader) (exchanges []Exchange, torn bool, err error) {
	names := map[string]string{} // methods and paths repeat: keep one copy each
	intern := func(s string) string {
		if kept, ok := names[s]; ok {
			return kept
		}
		s = strings.Clone(s)
		names[s] = s
		return s
	}
	torn, err = records(r, behindHeader, func(f []string) error {
		in := fieldReader{fields: f}
		x := Exchange{Seq: in.uint(), ID: in.uint(), Conn: in.uint(), Begin: in.time(), End: in.time(),
			Method: intern(in.next()), Path: intern(in.next()), Status: in.int()}
		ending, err := ParseEnding(in.next())
		if err != nil {
			return err
		}
		x.Ending, x.InFlight, x.Faults, x.Key, x.Payload, x.RetryAfter = ending, in.int(), in.uint(), in.uint(), in.uint(), in.time()
		x.BytesUp, x.BytesDown = in.uint(), in.uint()
		exchanges = append(exchanges, x)
		return in.err
	})
	return exchanges, torn, err
}
