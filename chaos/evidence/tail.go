package evidence

import (
	"bufio"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/stormctl/stormctl/load/input"
)

// tail reads a file that grows, whole line by whole line.
type tail struct {
	name, header string // header is "" if it has none
	columns      int    // that it has; 0 before the header was read
	offset       int64  // of what was not read yet
	resync       bool   // offset may be within a line, which was skipped
}

// read calls each with every line that is new, until that returns an error. A
// file that is not there has none yet.
func (t *tail) read(dir string, each func(line []byte) error) error {
	f, err := input.OpenBelow(dir, t.name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(t.offset, io.SeekStart); err != nil {
		return err
	}
	br := bufio.NewReaderSize(f, 1<<16)
	for {
		line, err := br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) { // a header with many faults may be long
			var rest []byte
			line = slices.Clone(line)
			rest, err = input.Line(br, mostEvent)
			line = append(line, rest...)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		t.offset += int64(len(line))
		line = line[:len(line)-1]
		switch {
		case t.header != "" && t.columns == 0:
			t.columns, _ = columnsOf(string(line), t.header)
		case t.resync:
			t.resync = false
		default:
			if err := each(line); err != nil {
				return err
			}
		}
	}
}

// pending is how many bytes were not.
func (t *tail) pending(dir string) int64 {
	info, err := input.StatBelow(dir, t.name)
	if err != nil {
		return 0 // reading will say so
	}
	return max(0, info.Size()-t.offset)
}

// skip leaves out what is there.
func (t *tail) skip(dir string) error {
	info, err := input.StatBelow(dir, t.name)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() <= t.offset {
		return nil
	}
	if err != nil {
		return err
	}
	if t.columns > 0 {
		t.offset, t.resync = info.Size()-1, true // the last byte ends a line, or that line is left out with it
	}
	return nil
}
