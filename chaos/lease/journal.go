package lease

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

// Header is the first line of a journal: whose it is.
type Header struct {
	Name      string  `json:"name"` // of the experiment
	Dir       string  `json:"dir"`  // run directory
	Process   Process `json:"process"`
	Boot      string  `json:"boot"`      // of the machine; after another all but commands and files has undone itself
	Namespace string  `json:"namespace"` // of pids
	// namespace of the clock that counts from boot: starts of processes are told by it; "" in old journals
	Clock string    `json:"clock"`
	Began time.Time `json:"began"`
}

// here reports whether the journal was written in our view of processes, in
// which alone the pids and starts in it mean what they say.
func (h Header) here() bool {
	boot, namespace, clock := proc.View()
	return h.Boot == boot && h.Namespace == namespace && (h.Clock == "" || h.Clock == clock)
}

// entry is a line of a journal. One of Run, Step, Done and Failed is set.
type entry struct {
	Run *Header `json:"run,omitempty"`

	Step int    `json:"step,omitempty"` // from 1: from here on Undo may be needed
	Hold int    `json:"hold,omitempty"` // steps of one fault have one hold
	Why  string `json:"why,omitempty"`  // the fault
	Undo *Undo  `json:"undo,omitempty"`

	Done   int    `json:"done,omitempty"`   // this step is undone, for good
	Early  int    `json:"early,omitempty"`  // this step was undone while its run was stuck, and is once more when it ends
	Failed int    `json:"failed,omitempty"` // this step could not be undone
	By     string `json:"by,omitempty"`     // run, guardian or heal
	Error  string `json:"error,omitempty"`
}

// step is one undo of a journal that may be needed.
type step struct {
	number, hold int
	why          string
	undo         Undo
}

// journal is an open journal file. Several processes may append to it; which
// of them may undo is told by the locks.
type journal struct {
	path string
	file *os.File

	mu      sync.Mutex // an append, with what must go with it
	undoing *os.File   //nolint:unused // of lock_portable.go: beside the journal: the lock to undo, where it is a file
}

// openJournal opens a journal in a folder that is ours alone, and only one that
// is our file as well.
func openJournal(path string, flags int) (*journal, error) {
	folder, err := openFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	f, err := folder.OpenFile(filepath.Base(path), os.O_RDWR|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|flags, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		if uid, ok := owner(info); !ok || uid != os.Geteuid() || !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is no journal of this user's: remove it", path)
		}
	}
	if err != nil {
		_ = f.Close() // it was only looked at
		return nil, err
	}
	return &journal{path: path, file: f}, nil
}

// maxJournal bounds what is read of a journal, in bytes; a fault takes about
// 1 KiB of it. Steps are refused from half of it on, so that what is undone of
// them still fits.
const maxJournal = 32 << 20

// append writes entries as whole lines, and returns when they are on disk.
func (j *journal) append(entries ...entry) error {
	var lines []byte
	for _, e := range entries {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	size, torn, err := j.ends()
	if err != nil {
		return fmt.Errorf("journal %s: %w", j.path, err)
	}
	if size+int64(len(lines)) > maxJournal/2 && slices.ContainsFunc(entries, func(e entry) bool { return e.Step > 0 }) {
		return fmt.Errorf("journal %s is full: %d bytes, of which all could not be read again", j.path, size)
	}
	if torn {
		lines = append([]byte{'\n'}, lines...)
	}
	_, err = j.file.Write(lines)
	if err = errors.Join(err, j.file.Sync()); err != nil {
		return fmt.Errorf("journal %s: %w", j.path, err)
	}
	return nil
}

// ends returns the file's size, and reports whether it ends in half a line: its
// writer was killed.
func (j *journal) ends() (size int64, torn bool, err error) {
	size, err = j.file.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return size, false, err
	}
	last := make([]byte, 1)
	_, err = j.file.ReadAt(last, size-1)
	return size, last[0] != '\n', err
}

// read returns whose journal it is and which steps are open, in their order.
// Half a line is left out: what it would have told of had not been made yet,
// because a line is whole on disk before that.
func (j *journal) read() (Header, []step, error) {
	info, err := j.file.Stat()
	if err != nil {
		return Header{}, nil, err
	}
	if info.Size() > maxJournal {
		return Header{}, nil, fmt.Errorf("journal %s: it has %d bytes, more than any that a run writes: look at what is in it, and "+
			"remove it", j.path, info.Size())
	}
	text, err := io.ReadAll(io.NewSectionReader(j.file, 0, info.Size()))
	if err != nil {
		return Header{}, nil, fmt.Errorf("journal %s: %w", j.path, err)
	}
	header, open, err := parse(text)
	if err != nil {
		err = fmt.Errorf("journal %s: %w", j.path, err)
	}
	return header, open, err
}

func parse(text []byte) (Header, []step, error) {
	var header Header
	var open []step
	known := false
	for line := range bytes.Lines(text) {
		var e entry
		if !bytes.HasSuffix(line, []byte{'\n'}) || json.Unmarshal(line, &e) != nil {
			continue
		}
		switch {
		case e.Run != nil:
			header, known = *e.Run, true
		case e.Step > 0 && e.Undo != nil:
			open = append(open, step{e.Step, e.Hold, e.Why, *e.Undo})
		case e.Done > 0:
			open = slices.DeleteFunc(open, func(s step) bool { return s.number == e.Done })
		}
	}
	if !known {
		return header, open, errNoHeader
	}
	return header, open, nil
}

// errNoHeader is a journal that was made and not begun: its run was killed
// before it could break anything.
var errNoHeader = errors.New("it does not say whose it is: look at what is in it, and remove it")

// The locks are bytes of the journal: the run holds the first while it is alive, and
// the process that undoes holds the second.
const (
	lockRun int64 = iota
	lockUndo
)

// alive reports whether the run of a journal is. A run that was killed while it
// forked leaves its lock, for a moment, to a child that has not executed its
// program yet, and might still break what the program breaks: that is waited
// for.
func (j *journal) alive(h Header) (bool, error) {
	seen := h.here()
	for end := time.Now().Add(forkWithin); ; time.Sleep(5 * time.Millisecond) {
		locked, err := j.locked()
		if err != nil || !locked {
			return false, err
		}
		if !seen || h.Process.there() {
			return true, nil
		}
		if time.Now().After(end) {
			return false, nil // the holder of the lock is not the run
		}
	}
}

// forkWithin is how long a child may take from its fork to its program.
const forkWithin = 5 * time.Second
