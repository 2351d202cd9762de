package targets

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	mostOutput = 256 << 20 // bytes of the file of a target's output

	// Of a target of a soak, which says more than anybody reads: how it began, and what it said last.
	soakFirst = 1 << 20
	soakLast  = 8 << 20

	boundEvery = 250 * time.Millisecond // how often its size is looked at
)

// bound keeps the file of a target's output from filling the disk. The command
// writes to the file by itself, so that nothing of what it wrote is on its way
// when it ends; past the most, all but the first half and the last lines is cut
// out, and the file says so where it was. The file may have more than the most
// for as long as nobody looks.
type bound struct {
	file  *os.File // open for reading and appending, as the command has it
	most  int64
	first int64 // bytes that are kept of its beginning; 0 is half of the most
	last  int64 // and of its end; 0 is the last lines
	cut   int64 // bytes, so far
	note  int   // bytes of what it says so in
}

// newBound is that of a file; nil for what is none, which needs no bound.
func newBound(file *os.File) *bound {
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	if os.Getenv(outputEnv) != "" {
		return &bound{file: file, most: MaxOutput, first: soakFirst, last: soakLast}
	}
	return &bound{file: file, most: mostOutput}
}

// MaxOutput is how many bytes the output of a target of a soak has at most, but for
// what it says in a quarter of a second.
const MaxOutput = soakFirst + 2*soakLast

// outputEnv is set in the environment of the supervisor of a target of a soak.
const outputEnv = "STORMCTL_SUPERVISE_SOAK"

// look cuts where there is too much.
func (b *bound) look() error {
	if b == nil {
		return nil
	}
	info, err := b.file.Stat()
	if err != nil || info.Size() <= b.most {
		return err
	}
	first, keep := b.first, b.last
	if first == 0 {
		first, keep = b.most/2, min(tailBytes, b.most/4)
	}
	last := make([]byte, keep)
	n, err := b.file.ReadAt(last, info.Size()-int64(len(last)))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := b.file.Truncate(first); err != nil {
		return err
	}
	b.cut += info.Size() - first - int64(n) - int64(b.note)
	note := fmt.Sprintf("\n[stormctl: some %d bytes were cut out here, because the output came to more than %d]\n", b.cut, b.most)
	b.note = len(note)
	_, err = b.file.WriteString(note + string(last[:n]))
	return err
}
