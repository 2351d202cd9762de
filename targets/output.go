package targets

import (
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	tailBytes = 4 << 10
	tailLines = 10
)

// withOutput appends to reason the last lines that were written to the file
// at path since offset from.
func withOutput(reason, path string, from int64) string {
	if path == "" {
		return reason + "; its output was not kept"
	}
	lines, err := tail(path, from)
	switch {
	case err != nil:
		return fmt.Sprintf("%s; its output cannot be read: %v", reason, err)
	case len(lines) == 0:
		return fmt.Sprintf("%s; it wrote nothing to %s", reason, path)
	}
	return fmt.Sprintf("%s; last output (all of it in %s):\n  %s", reason, path, strings.Join(lines, "\n  "))
}

// tail returns at most tailLines whole lines from the end of a file, and none
// that begin before offset from.
func tail(path string, from int64) ([]string, error) {
	f, size, err := openPlain(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if from > size { // it was cut
		from = 0
	}
	begin := max(from, size-tailBytes)
	text, err := io.ReadAll(io.NewSectionReader(f, begin, size-begin))
	if err != nil {
		return nil, err
	}
	kept := strings.TrimRight(string(text), "\n")
	if begin > from { // the cut went through a line: drop its rest
		if _, rest, found := strings.Cut(kept, "\n"); found {
			kept = rest
		}
	}
	if kept == "" {
		return nil, nil
	}
	lines := strings.Split(kept, "\n")
	return lines[max(0, len(lines)-tailLines):], nil
}
