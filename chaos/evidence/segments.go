package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/load/input"
)

// SegmentsFolder is where a soak has its seconds and histogram logs, in segments that
// are closed one after the other, and merged as they grow old.
const SegmentsFolder = "segments"

// TicksSuffix is the end of the name of a segment of seconds; before it is its number.
const TicksSuffix = "-ticks.jsonl"

// Segments are the files of a soak whose names end in suffix, in the order of their
// segments, from the run directory; none if there are none.
func Segments(dir, suffix string) ([]string, error) {
	root, err := input.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), SegmentsFolder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		number, found := strings.CutSuffix(e.Name(), suffix)
		if found && number != "" && strings.Trim(number, "0123456789") == "" {
			names = append(names, path.Join(SegmentsFolder, e.Name()))
		}
	}
	slices.Sort(names)
	return names, nil
}

// SegmentName is the name of a file of a segment.
func SegmentName(number int, suffix string) string {
	return path.Join(SegmentsFolder, fmt.Sprintf("%06d%s", number, suffix))
}

// readSegments takes in the seconds of a soak.
func (r *Run) readSegments(dir string) error {
	names, err := Segments(dir, TicksSuffix)
	if err != nil {
		return err
	}
	for _, name := range names {
		f, err := input.OpenBelow(dir, name)
		if err != nil {
			return err
		}
		if err := ReadTicks(f, r.add); err != nil {
			return err
		}
	}
	return nil
}

// ReadTicks calls each with every whole line of a segment of seconds, and closes it.
func ReadTicks(f *os.File, each func(Event)) error {
	defer f.Close()
	if err := readTimeline(f, each); err != nil {
		return fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return nil
}
