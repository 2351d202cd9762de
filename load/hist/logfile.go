package hist

import (
	"errors"
	"os"
	"time"
)

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
func (l *LogFile) Err() error { return l.err }

// Close closes the file, and says what could not be written.
func (l *LogFile) Close() error {
	if l == nil {
		return nil
	}
	return errors.Join(l.err, l.file.Close())
}
