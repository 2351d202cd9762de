package reference

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// journal is a file of lines that outlives its process: what was written before a kill -9 is read
// at the next start. It is not synced: what a power cut leaves of it is the file system's choice.
type journal struct {
	mu   sync.Mutex
	file *os.File
}

// openJournal opens a journal in a folder, which it makes, and returns the lines that are in it. A last
// line that has no end was not written to the end, and is left out.
func openJournal(dir, name string) (*journal, []string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(file)
	whole := bytes.LastIndexByte(text, '\n') + 1
	if err == nil && whole < len(text) {
		err = file.Truncate(int64(whole))
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read journal %s: %w", file.Name(), err), file.Close())
	}
	var lines []string
	for line := range bytes.Lines(text[:whole]) {
		lines = append(lines, string(line[:len(line)-1]))
	}
	return &journal{file: file}, lines, nil
}

// write adds a line. A nil journal writes nothing.
func (j *journal) write(line string) error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err := io.WriteString(j.file, line+"\n")
	return err
}

func (j *journal) close() {
	if j != nil {
		_ = j.file.Close() // every line was written when it was given
	}
}
