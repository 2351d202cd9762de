package chapters

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load/input"
)

// File is where a run directory has what its chapters came to: a line each, in the
// order in which they were judged.
const File = "chapters.jsonl"

// Entry is what a chapter came to.
type Entry struct {
	Number   int              `json:"chapter"` // from 1
	From     evidence.Seconds `json:"from_s"`  // on the clock of the soak
	To       evidence.Seconds `json:"to_s"`
	Started  time.Time        `json:"started"`         // of its own clock, which the reasons count by
	Ruling   judge.Ruling     `json:"ruling"`          // the worst of the verdicts
	Faults   int              `json:"faults"`          // that were planned to come in it
	Blank    string           `json:"blank,omitempty"` // why nothing can be told of it
	Requests uint64           `json:"requests"`
	Success  float64          `json:"success_pct"`
	Verdicts []Verdict        `json:"verdicts"` // of each claim, in the order of the experiment

	// Least is the least that each target took in it, of its last life if it was started
	// again; of what is not weighed there is none.
	Least map[string]evidence.TargetTick `json:"least,omitempty"`
}

// LeastOf is the Least of a chapter with these seconds.
func LeastOf(ticks []evidence.Tick) (all map[string]evidence.TargetTick) {
	for _, t := range ticks {
		for name, w := range t.Targets {
			if l, known := all[name]; known && l.Pid == w.Pid {
				w.RSS, w.Files, w.Threads = min(w.RSS, l.RSS), min(w.Files, l.Files), min(w.Threads, l.Threads)
			}
			if all == nil {
				all = map[string]evidence.TargetTick{}
			}
			all[name] = w
		}
	}
	return all
}

// Verdict is what a claim came to in a chapter.
type Verdict struct {
	Ruling judge.Ruling `json:"ruling"`
	Name   string       `json:"name"`
	Reason string       `json:"reason"`
	IDs    []uint64     `json:"ids,omitempty"` // that prove it
}

// mostReason bounds the bytes of a reason in an entry; all of it is in the chapter.
const mostReason = 1 << 10

// Brief is what entries keep of verdicts.
func Brief(verdicts []judge.Verdict) []Verdict {
	var all []Verdict
	for _, v := range verdicts {
		reason := v.Reason
		if len(reason) > mostReason {
			reason = reason[:mostReason] + " ..."
		}
		all = append(all, Verdict{Ruling: v.Ruling, Name: v.Name, Reason: reason, IDs: v.IDs})
	}
	return all
}

// Log appends entries to the file of a run directory.
type Log struct{ file *os.File }

// OpenLog opens it, or makes it.
func OpenLog(run *os.Root) (*Log, error) {
	f, err := input.OpenIn(run, File, os.O_CREATE|os.O_APPEND|os.O_WRONLY)
	if err != nil {
		return nil, err
	}
	return &Log{f}, nil
}

// Add appends an entry, in one write.
func (l *Log) Add(e Entry) error {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	return err
}

func (l *Log) Close() error { return l.file.Close() }

// mostEntry is more bytes than any entry has.
const mostEntry = 4 << 20

// Entries reads what the chapters of a run directory came to, by their numbers; of one
// that was judged twice the last counts. Half a line at the end is left out: that
// chapter was being judged. There is none of a run that has no chapters.
func Entries(dir string) ([]Entry, error) {
	f, err := input.OpenBelow(dir, File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	at, all := map[int]int{}, []Entry{}
	lines := bufio.NewReaderSize(f, 1<<16)
	for n := 1; ; n++ {
		line, err := input.Line(lines, mostEntry)
		if errors.Is(err, io.EOF) {
			break
		}
		var e Entry
		if err == nil {
			err = json.Unmarshal(line, &e)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: line %d: %w", f.Name(), n, err)
		}
		if i, twice := at[e.Number]; twice {
			all[i] = e
			continue
		}
		at[e.Number] = len(all)
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int { return a.Number - b.Number })
	return all, nil
}

// Kept lists the chapters of a run directory whose evidence was not removed, by number.
func Kept(dir string) ([]int, error) {
	root, err := input.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	found, err := fs.ReadDir(root.FS(), Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var numbers []int
	for _, e := range found {
		n, atoiErr := strconv.Atoi(e.Name())
		if !e.IsDir() { // no link is a chapter
			continue
		}
		if _, statErr := root.Lstat(path.Join(Folder, e.Name(), evidence.TimelineFile)); statErr == nil && atoiErr == nil && n > 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, err
}

// Is reports whether the run in a directory is cut into chapters.
func Is(dir string) bool {
	info, err := input.StatBelow(dir, Folder)
	return err == nil && info.IsDir()
}
