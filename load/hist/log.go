package hist

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Tagged is a histogram and what it is of.
type Tagged struct {
	Tag       string
	Histogram *Histogram
}

// LogWriter writes histograms in the HdrHistogram log format (lines of
// version 1.3, histograms in compressed V2), which HistogramLogProcessor,
// HistogramLogAnalyzer and their like read. It is not safe for concurrent use.
type LogWriter struct {
	out   io.Writer
	lines bytes.Buffer
}

// NewLogWriter writes the head of a log to out: about says in a line what made
// it, start is the time that all intervals count from.
func NewLogWriter(out io.Writer, start time.Time, about string) (*LogWriter, error) {
	l := &LogWriter{out: out}
	epoch := float64(start.UnixMilli()) / 1000
	fmt.Fprintf(&l.lines, "#[%s]\n", tagEscaper.Replace(about))
	fmt.Fprintf(&l.lines, "#[Histogram log format version %s]\n", hdrhistogram.HISTOGRAM_LOG_FORMAT_VERSION)
	fmt.Fprintf(&l.lines, "#[StartTime: %.3f (seconds since epoch), %s]\n", epoch, start.UTC().Format(time.RFC3339Nano))
	// Without it readers have to guess what the intervals count from.
	fmt.Fprintf(&l.lines, "#[BaseTime: %.3f (seconds since epoch)]\n", epoch)
	fmt.Fprintf(&l.lines, "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n")
	return l, l.flush()
}

// Write writes a line for each histogram, all of one interval [from, to) since
// the start, and hands them to the underlying writer in one call. An empty tag
// makes a line without one.
func (l *LogWriter) Write(from, to time.Duration, histograms ...Tagged) error {
	if from < 0 || to < from {
		return fmt.Errorf("write histogram log: interval from %v to %v", from, to)
	}
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	for _, t := range histograms {
		payload, err := e.encode(t.Histogram)
		if err != nil {
			return fmt.Errorf("write histogram log: encode %s: %w", t.Tag, err)
		}
		if n := t.Histogram.clamped; n > 0 { // a comment to other readers
			fmt.Fprintf(&l.lines, "%s%d,%s]\n", clampedComment, n, tagEscaper.Replace(t.Tag))
		}
		if t.Tag != "" {
			fmt.Fprintf(&l.lines, "Tag=%s,", tagEscaper.Replace(t.Tag))
		}
		fmt.Fprintf(&l.lines, "%.3f,%.3f,%.3f,%s\n", from.Seconds(), (to - from).Seconds(),
			float64(t.Histogram.Quantile(1))/hdrhistogram.MsToNsRatio, payload)
	}
	return l.flush()
}

// flush hands over whole lines only: a log cut short by a kill has at most one
// torn line, its last.
func (l *LogWriter) flush() error {
	_, err := l.out.Write(l.lines.Bytes())
	l.lines.Reset()
	if err != nil {
		return fmt.Errorf("write histogram log: %w", err)
	}
	return nil
}

// LogFile is a histogram log on disk. Its first error is kept, and nothing is
// written after it: behind a torn line no other may come. A nil one writes
// nothing. It is not safe for concurrent use.
type LogFile struct {
	file *os.File
	log  *LogWriter
	err  error
}

// NewLogFile writes the head of a log, as NewLogWriter does, to a new file,
// which it closes.
func NewLogFile(file *os.File, start time.Time, about string) *LogFile {
	l := &LogFile{file: file}
	l.log, l.err = NewLogWriter(file, start, about)
	return l
}

// Write writes as LogWriter.Write does.
func (l *LogFile) Write(from, to time.Duration, histograms ...Tagged) {
	if l != nil && l.err == nil {
		l.err = l.log.Write(from, to, histograms...)
	}
}

// Err is why something could not be written; nil if all was.
func (l *LogFile) Err() error {
	if l == nil {
		return nil
	}
	return l.err
}

// Close closes the file, and says what could not be written.
func (l *LogFile) Close() error {
	if l == nil {
		return nil
	}
	return errors.Join(l.err, l.file.Close())
}

// A tag ends at a comma, a space or a line's end. A route may have any name.
var (
	tagEscaper   = strings.NewReplacer("%", "%25", ",", "%2C", " ", "%20", "\r", "%0D", "\n", "%0A")
	tagUnescaper = strings.NewReplacer("%25", "%", "%2C", ",", "%20", " ", "%0D", "\r", "%0A", "\n")
)

const (
	startComment   = "#[StartTime: "
	clampedComment = "#[Clamped: "
)

// Log is what a histogram log holds.
type Log struct {
	Start      time.Time             // to the millisecond; zero if the log does not say
	Histograms map[string]*Histogram // over all intervals, by tag; "" for lines without one
	End        time.Duration         // end of the last interval, as its line counts
	Torn       bool                  // the last line was cut short, and is left out
}

// ReadLog reads a histogram log, its own or another program's, of any version:
// its histograms are V0, V1 or V2, compressed. A last line that
// is cut short is left out; any other line that cannot be read is an error with
// its number.
func ReadLog(r io.Reader) (*Log, error) {
	log := &Log{Histograms: map[string]*Histogram{}}
	lines := NewLogReader(r)
	for i, err := range lines.Lines() {
		if err != nil {
			return nil, err
		}
		if log.Histograms[i.Tag] == nil {
			log.Histograms[i.Tag] = New()
		}
		if err := i.AddTo(log.Histograms[i.Tag]); err != nil {
			return nil, err
		}
		log.End = max(log.End, i.To)
	}
	log.Start, log.Torn = lines.Start, lines.Torn
	return log, nil
}

// parseSeconds reads a number of seconds to the millisecond.
func parseSeconds(text string) (time.Duration, error) {
	const most = float64(math.MaxInt64 / int64(time.Second))
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(math.Abs(seconds) < most) {
		return 0, fmt.Errorf("%q is not a time in seconds", text)
	}
	return time.Duration(math.Round(seconds*1000)) * time.Millisecond, nil
}
