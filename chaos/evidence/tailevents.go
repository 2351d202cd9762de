package evidence

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/stormctl/stormctl/load/input"
)

// EventTail reads the timeline of a run that may still go on, each time what is new. It
// is used by one goroutine.
type EventTail struct {
	dir  string
	tail tail
	file fs.FileInfo // that was read last; nil before
	last Seconds     // the latest time of an event of it
	past Seconds     // events up to then were read from a file before this one
	anew bool        // there was one
}

// TailEvents is at the beginning of the timeline of the run in dir, which may not have
// one yet.
func TailEvents(dir string) *EventTail {
	return &EventTail{dir: dir, tail: tail{name: TimelineFile}}
}

// Read calls each with every whole event that it has not been called with. A timeline
// that was written anew meanwhile goes on behind the latest time that was read. The
// error is an fs.ErrNotExist where the directory is gone; one without a timeline has no
// events yet.
func (e *EventTail) Read(each func(Event)) error {
	info, err := input.StatBelow(e.dir, TimelineFile)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(e.dir)
		return err
	}
	if err != nil {
		return err
	}
	if e.file != nil && (!os.SameFile(e.file, info) || info.Size() < e.tail.offset) {
		e.tail, e.past, e.anew = tail{name: TimelineFile}, e.last, true
	}
	e.file = info
	return e.tail.read(e.dir, func(line []byte) error {
		event, err := eventOf(line)
		if err != nil {
			return err
		}
		if !e.anew || event.At > e.past {
			each(event)
		}
		e.last = max(e.last, event.At)
		return nil
	})
}

// Since is how long nothing was recorded, by the time of the file; 0 before there is one.
func (e *EventTail) Since() time.Duration {
	if e.file == nil {
		return 0
	}
	return max(0, time.Since(e.file.ModTime()))
}
