package hist

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
)

// LogReader reads a histogram log line by line. Its memory does not grow
// with the log: it holds one line. It is not safe for concurrent use.
type LogReader struct {
	Start time.Time // to the millisecond; zero as long as no line has said it
	Torn  bool      // the last line was cut short, and was left out; known after the last line

	lines   *bufio.Reader
	line    []byte
	number  int
	clamped map[string]int64 // by tag, of lines to come
	decoder decoder
}

// NewLogReader reads from r, which holds what ReadLog takes.
func NewLogReader(r io.Reader) *LogReader {
	return &LogReader{lines: bufio.NewReaderSize(r, 1<<16), clamped: map[string]int64{}}
}

// LogLine is one line of a log: the times of what its tag names in [From, To) since
// the log's start, to the millisecond. It is valid until the next one is asked for.
type LogLine struct {
	From, To time.Duration
	Tag      string // "" of a line without one

	log *LogReader

	clamped int64
}

// Lines goes through the lines of the log in their order, from where the last
// call ended. A last line that is cut short is left out; an error is about any other
// that cannot be read, has its number, and is the last thing yielded.
func (l *LogReader) Lines() iter.Seq2[*LogLine, error] {
	return func(yield func(*LogLine, error) bool) {
		for {
			last, err := l.next()
			if err != nil {
				yield(nil, fmt.Errorf("read histogram log: %w", err))
				return
			}
			i, err := l.parse(strings.TrimRight(string(l.line), "\r\n"))
			if err == nil && last && i != nil {
				err = i.decode() // now, because what cannot be decoded is left out here
			}
			if err != nil && !last {
				yield(nil, l.wrong(err))
				return
			}
			l.Torn = err != nil
			if i != nil && err == nil && !yield(i, nil) || last {
				return
			}
		}
	}
}

// mostLine is more bytes than a histogram of the finest resolution takes.
const mostLine = 16 << 20

// next reads a line, and reports whether it is the last, without an end of its own.
func (l *LogReader) next() (last bool, err error) {
	l.line = l.line[:0]
	l.number++
	for {
		part, err := l.lines.ReadSlice('\n')
		l.line = append(l.line, part...)
		switch {
		case len(l.line) > mostLine:
			return false, fmt.Errorf("line %d is longer than any histogram: %d bytes and more", l.number, len(l.line))
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return true, nil
		}
		return false, err
	}
}

func (l *LogReader) wrong(err error) error {
	return fmt.Errorf("read histogram log: line %d: %w", l.number, err)
}

// parse takes a line; nil if it has none.
func (l *LogReader) parse(line string) (*LogLine, error) {
	switch {
	case strings.HasPrefix(line, startComment):
		text, _, whole := strings.Cut(line[len(startComment):], " ")
		start, err := parseSeconds(text)
		if err != nil || !whole {
			return nil, fmt.Errorf("start time %q", text)
		}
		l.Start = time.Unix(0, int64(start))
		return nil, nil
	case strings.HasPrefix(line, clampedComment):
		rest, whole := strings.CutSuffix(line[len(clampedComment):], "]")
		count, tag, _ := strings.Cut(rest, ",")
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil || !whole {
			return nil, fmt.Errorf("clamped count %q", rest)
		}
		l.clamped[tag] += n
		return nil, nil
	case line == "" || line[0] == '#' || line[0] == '"':
		return nil, nil // a comment, or the legend
	}
	tag := ""
	if rest, tagged := strings.CutPrefix(line, "Tag="); tagged {
		tag, line, _ = strings.Cut(rest, ",")
	}
	fields := strings.Split(line, ",")
	if len(fields) != 4 {
		return nil, fmt.Errorf("%d fields, not 4 (start, length, max, histogram)", len(fields))
	}
	var interval [2]time.Duration // start, length
	for i := range interval {
		var err error
		if interval[i], err = parseSeconds(fields[i]); err != nil {
			return nil, err
		}
	}
	clamped := l.clamped[tag]
	delete(l.clamped, tag)
	l.decoder.reset(fields[3])
	return &LogLine{From: interval[0], To: interval[0] + interval[1], Tag: tagUnescaper.Replace(tag), log: l, clamped: clamped}, nil
}

// AddTo adds its histogram to others. Only the first call decodes it, and so an
// interval that nobody adds costs little.
func (i *LogLine) AddTo(others ...*Histogram) error {
	if err := i.decode(); err != nil {
		return i.log.wrong(err)
	}
	for _, h := range others {
		i.log.decoder.addTo(h)
		h.clamped += i.clamped
	}
	return nil
}

func (i *LogLine) decode() error {
	if err := i.log.decoder.decode(); err != nil {
		return fmt.Errorf("histogram: %w", err)
	}
	return nil
}
