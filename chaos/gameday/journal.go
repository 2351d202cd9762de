package gameday

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/input"
)

// JournalFile is where in the run directory the journal is.
const JournalFile = "journal.jsonl"

// Entry is one line of a journal: something that somebody did, or tried.
type Entry struct {
	N       int               `json:"n"`               // of the line, from 1
	Wall    time.Time         `json:"wall"`            // by the clock on the wall
	At      *evidence.Seconds `json:"at_s,omitempty"`  // on the clock of the run; absent where there was no load
	Who     string            `json:"who"`             // the name that was given with the token
	Role    string            `json:"role"`            // of the token; "console" is the console itself
	From    string            `json:"from,omitempty"`  // address
	Do      string            `json:"do"`              // one of the words below
	On      string            `json:"on,omitempty"`    // what it was done to, by name: a fault, a claim, an item
	For     evidence.Seconds  `json:"for_s,omitempty"` // of a fault, how long it was to last
	Text    string            `json:"text,omitempty"`  // of a note; of a prediction the ruling
	Outcome string            `json:"outcome"`         // Done, or why it was not
	Before  string            `json:"before"`          // SHA-256, in hexadecimal, of the line before; of the first "" is hashed

	Lesser bool `json:"-"` // by who may inject nothing: it has no place in what ReservedEntries keeps free
}

// Done is the outcome of what was done.
const Done = "done"

// What an entry says was done.
const (
	Enter     = "enter"
	Leave     = "leave"
	Check     = "check"
	Uncheck   = "uncheck"
	Predict   = "predict"
	Begin     = "begin"
	GoOn      = "go on" // although the steady state was not confirmed
	Arm       = "arm"
	Disarm    = "disarm"
	Inject    = "inject"
	Heal      = "heal"
	HealAll   = "heal all"
	Halt      = "halt"
	End       = "end"
	Noted     = "note"
	Detected  = "detected"
	Mitigated = "mitigated"
	Alerted   = "alert"
	Closed    = "closed" // the last line of a journal that was not cut short
)

// ErrOver says that a journal is closed: what comes then is no part of the game day.
var ErrOver = errors.New("the game day is over")

// MostEntries bounds a journal: who goes on writing is told so. The last of them, so many
// as ReservedEntries says, are for what matters, as whoever may only look could fill it.
const (
	MostEntries     = 20_000
	ReservedEntries = 5_000
)

// A Journal writes entries, each at once: what is in it survives a kill -9. It may be
// used by many goroutines. Before Open it keeps them in memory.
type Journal struct {
	mu     sync.Mutex
	file   *os.File // nil before Open
	text   []byte   // written before Open
	before [sha256.Size]byte
	n      int
	size   int64
	closed bool
	err    error
}

// NewJournal is an empty one.
func NewJournal() *Journal { return &Journal{before: sha256.Sum256(nil)} }

// Open gives the journal its file in a run directory, in which there must be none.
func (j *Journal) Open(dir *os.Root) error {
	f, err := input.OpenIn(dir, JournalFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.file = f
	j.write(j.text)
	j.text = nil
	return j.err
}

// Add appends an entry, whole or not at all; N, Wall and Before are set here. It
// fails where the journal is full, is closed, or cannot be written: what is not
// written down is not to be done.
func (j *Journal) Add(e Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.err != nil:
		return j.err
	case j.closed:
		return ErrOver
	case j.full(e.Lesser) && e.Do != Closed:
		return fmt.Errorf("the journal is full: it has %d lines", j.n)
	}
	e.N, e.Wall, e.Before = j.n+1, time.Now(), hex.EncodeToString(j.before[:])
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	j.write(append(line, '\n'))
	if j.err != nil {
		return j.err
	}
	j.n++
	j.before = sha256.Sum256(line)
	return nil
}

// Full reports whether there is no place for another entry; see Entry.Lesser.
func (j *Journal) Full(lesser bool) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.full(lesser)
}

func (j *Journal) full(lesser bool) bool {
	return j.n >= MostEntries || lesser && j.n >= MostEntries-ReservedEntries
}

// write appends to the file, or to what is kept for it. mu is held.
func (j *Journal) write(text []byte) {
	if j.file == nil {
		j.text = append(j.text, text...)
		return
	}
	if _, err := j.file.WriteAt(text, j.size); err != nil {
		j.err = fmt.Errorf("write the journal: %w", errors.Join(err, j.file.Truncate(j.size)))
		return
	}
	j.size += int64(len(text))
}

// Close writes the last line, and closes the file. It may be called again.
func (j *Journal) Close() error {
	_ = j.Add(Entry{Role: "console", Do: Closed, Outcome: Done}) // fails if it is closed, or told below
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	if j.file == nil {
		return j.err
	}
	return errors.Join(j.err, j.file.Close())
}

// mostLine is more bytes than any entry has.
const mostLine = 64 << 10

// Ending is how a journal ends.
type Ending uint8

// How a journal ends.
const (
	Whole    Ending = iota // with the line that Close writes
	CutShort               // after another line: by a kill, or by somebody
	Torn                   // in the middle of a line, as a kill in the middle of a write leaves it
)

func (e Ending) String() string {
	switch e {
	case CutShort:
		return "it lacks its last line, so that it was cut short"
	case Torn:
		return "after them it is torn in the middle of a line, as a kill leaves it"
	}
	return "it is whole"
}

// ReadJournal reads the journal of a run directory, and compares each line with the
// hash that the next one has of it. The error names the first line that is not what
// was written; the entries before it are returned all the same. Half a line at the end
// is no entry, and no error.
func ReadJournal(dir string) (entries []Entry, ending Ending, err error) {
	f, err := input.OpenBelow(dir, JournalFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, CutShort, fmt.Errorf("%s has no %s: it is not the directory of a game day", dir, JournalFile)
	}
	if err != nil {
		return nil, CutShort, err
	}
	defer f.Close()
	wrong := func(n int, format string, args ...any) error {
		return fmt.Errorf("%s: line %d: %s", filepath.Join(dir, JournalFile), n, fmt.Sprintf(format, args...))
	}
	r := bufio.NewReader(f)
	before := sha256.Sum256(nil)
	for n := 1; ; n++ {
		line, err := input.Line(r, mostLine)
		if errors.Is(err, io.EOF) {
			return entries, endingOf(entries, line), nil
		}
		if err == nil && n > MostEntries+1 { // with the last one
			err = fmt.Errorf("no journal has more than %d lines", MostEntries+1)
		}
		if err != nil {
			return entries, CutShort, wrong(n, "%v", err)
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return entries, CutShort, wrong(n, "it is no entry: %v", err)
		}
		if e.Before != hex.EncodeToString(before[:]) {
			if n == 1 {
				return entries, CutShort, wrong(n, "it does not begin the journal: what came before it is gone, or it was changed")
			}
			return entries, CutShort, wrong(n-1, "it is not what was written: line %d has another hash of it", n)
		}
		if e.N != n {
			return entries, CutShort, wrong(n, "it is number %d", e.N)
		}
		entries, before = append(entries, e), sha256.Sum256(line)
	}
}

// endingOf is how a journal ends whose lines are entries, with rest after them.
func endingOf(entries []Entry, rest []byte) Ending {
	switch {
	case len(rest) > 0:
		return Torn
	case len(entries) > 0 && entries[len(entries)-1].Do == Closed:
		return Whole
	}
	return CutShort
}
