package chapters

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/load/wire"
)

// Folder is where a run directory has its chapters, each in a folder named by Dir.
const Folder = "chapters"

// Dir is the directory of a chapter of the run in dir.
func Dir(dir string, number int) string { return filepath.Join(dir, Folder, nameOf(number)) }

// nameOf is the name of a chapter in the folder of all.
func nameOf(number int) string { return fmt.Sprintf("%06d", number) }

// Open opens the directory of a chapter of a run, through no link.
func Open(run *os.Root, number int) (*os.Root, error) {
	return input.Folder(run, path.Join(Folder, nameOf(number)))
}

// Remove removes the evidence of a chapter of a run, through no link.
func Remove(run *os.Root, number int) error {
	folder, err := input.Folder(run, Folder)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.RemoveAll(nameOf(number))
}

// Config is what a Writer needs to know of the soak.
type Config struct {
	Root   *os.Root        // the run directory; it may be closed once the Writer is made
	Header evidence.Header // of the run
	Plan   Plan
	Most   int64         // bytes of each file of records of a chapter
	Settle time.Duration // how long after the end of a chapter its requests may still be under way

	Schedule arrivals.Schedule // what the load sends, the warm-up included
	Warmup   time.Duration

	Faults  func(from, to time.Duration) []evidence.Injection // of the experiment that come in a stretch, with their times in it
	Offered func(from, to time.Duration) uint64               // arrivals that were due in a stretch
	Down    func(target string) bool                          // reports whether a target that has ended does not run again; nil: none does
	Lost    func() uint64                                     // records that the soak could not keep so far; nil: none

	First int           // number of the first chapter
	From  time.Duration // where it begins

	// Closed is told of each chapter that is whole, in their order. It must not block.
	Closed func(Closed)
}

// Closed is a chapter that is whole.
type Closed struct {
	Number   int
	Dir      string
	From, To time.Duration
	Started  time.Time // of its clock
	Faults   int       // that were planned to come in it
	Err      error     // what of it could not be written
}

// Writer gives what a soak records to the chapters that it belongs to. One goroutine
// records, flushes and ticks; events may come from others.
type Writer struct {
	config Config
	folder *os.Root // of all chapters
	due    *counter

	mu       sync.Mutex
	open     []*chapter // by From: those whose requests are under way, and the present one
	inForce  map[int]*chapter
	unhealed map[int]string // faults that could not be healed, and are in force for all that is known
	dead     []evidence.Event
	late     uint64 // calls behind links for requests of chapters that were closed, which are in none, since it was told
	err      error

	last             evidence.Tick // of the soak
	lastFrom, lastAt time.Duration
}

// chapter is one that is open.
type chapter struct {
	*evidence.ChapterWriter
	number   int
	from, to time.Duration // to is where it is to end, and once it is cut where it does
	cut      bool
	first    uint64 // arrival of it
	last     uint64 // the same, once it is cut
	lost     uint64 // records that the soak had lost before it
	missed   uint64 // calls that were late while it was the present one
	faults   []evidence.Injection
	seen     map[int]bool // faults that have come in it
	more     bool         // there is one after it, by the plan
}

// Borders are fixed so long before they come, and moved by so much at least where one
// had to wait.
const (
	announce = time.Second
	ahead    = 200 * time.Millisecond
)

// New makes the first chapter.
func New(c Config) (*Writer, error) {
	folder, err := input.MakeFolder(c.Root, Folder)
	if err != nil {
		return nil, err
	}
	w := &Writer{config: c, folder: folder, due: newCounter(c.Schedule), inForce: map[int]*chapter{}, unhealed: map[int]string{}}
	if err := w.begin(c.First, c.From); err != nil {
		w.due.stop()
		return nil, errors.Join(err, folder.Close())
	}
	return w, nil
}

// begin opens a chapter.
func (w *Writer) begin(number int, from time.Duration) error {
	ch := &chapter{number: number, from: from, seen: map[int]bool{}}
	if ch.to, ch.more = w.config.Plan.Next(from); !ch.more {
		ch.to = w.config.Plan.End
	}
	ch.first = w.due.before(from+w.config.Warmup) + 1
	ch.faults = w.config.Faults(from, ch.to)
	if w.config.Lost != nil {
		ch.lost = w.config.Lost()
	}
	h := w.config.Header
	h.Soak, h.Load, h.Faults = false, evidence.Seconds(ch.to-from), ch.faults
	h.Chapter = &evidence.Chapter{Number: number, From: evidence.Seconds(from), To: evidence.Seconds(ch.to)}
	var err error
	if ch.ChapterWriter, err = evidence.CreateChapter(w.folder, nameOf(number), h, w.config.Most); err != nil {
		return fmt.Errorf("chapter %d: %w", number, err)
	}
	for i, d := range w.dead {
		if w.config.Down != nil && !w.config.Down(d.Target) {
			w.dead[i].Target = ""
			continue
		}
		d.At = evidence.Seconds(from)
		ch.Add(d)
	}
	w.dead = slices.DeleteFunc(w.dead, func(d evidence.Event) bool { return d.Target == "" })
	for _, why := range w.unhealed {
		ch.blank(from, why)
	}
	w.open = append(w.open, ch)
	return nil
}

// blank says that nothing can be told of a chapter.
func (ch *chapter) blank(at time.Duration, why string) {
	ch.Add(evidence.Event{At: evidence.Seconds(at), Kind: evidence.KindBlank, Text: why})
}

// of is the chapter that a request belongs to, or without one a moment; nil if that was
// closed.
func (w *Writer) of(id uint64, at time.Duration) *chapter {
	arrival := wire.ArrivalOf(id)
	for _, ch := range slices.Backward(w.open) {
		if id > 0 && arrival >= ch.first || id == 0 && at >= ch.from {
			return ch
		}
	}
	return nil
}

// Sample records a request by its line.
func (w *Writer) Sample(line []byte, s *load.Sample) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ch := w.of(s.ID, s.Intended); ch != nil { // else it was counted as missing
		ch.Sample(line, s)
	}
}

// Exchanges records those of a link.
func (w *Writer) Exchanges(link string, exchanges []evidence.Exchange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := exchanges; len(rest) > 0; {
		ch, n := w.of(rest[0].ID, rest[0].Begin), 1
		for n < len(rest) && w.of(rest[n].ID, rest[n].Begin) == ch {
			n++
		}
		if ch != nil {
			ch.Exchanges(link, rest[:n])
		} else {
			for _, x := range rest[:n] {
				if x.ID > 0 { // else it is a connection, which may last for as long as it likes
					w.late++
				}
			}
		}
		rest = rest[n:]
	}
}

// Line records a line of a further file of evidence, about the request of an id, or
// with 0 about a moment.
func (w *Writer) Line(file, header string, id uint64, at time.Duration, line []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ch := w.of(id, at); ch != nil {
		if err := ch.Line(file, header, line); err != nil {
			w.err = errors.Join(w.err, err)
		}
	}
}

// Flush hands to the kernel what was recorded, and cuts where the time for it has come:
// now is on the clock of the soak.
func (w *Writer) Flush(now time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ch := range w.open {
		ch.Flush()
	}
	ch := w.open[len(w.open)-1]
	if !ch.more || now < ch.to-announce || len(w.inForce) > 0 {
		return
	}
	border := max(ch.to, (now+ahead).Truncate(ahead/2)+ahead/2)
	if err := w.begin(ch.number+1, border); err != nil {
		w.err = errors.Join(w.err, err)
		ch.more = false
		return
	}
	ch.to, ch.cut, ch.last = border, true, w.open[len(w.open)-1].first-1
}

// Tick ends a second of the soak. A chapter whose requests have had the time to end is
// closed.
func (w *Writer) Tick(from, at time.Duration, t evidence.Tick) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastFrom, w.lastAt, w.last = from, at, t
	w.due.before(at + w.config.Warmup - 2*announce) // bit by bit, so that no border takes long
	for len(w.open) > 1 && w.open[0].cut && at >= w.open[0].to+w.config.Settle {
		ch := w.open[0]
		w.tick(ch, from, at, t, ch.last-ch.first+1-min(ch.Arrivals(), ch.last-ch.first+1))
		w.close(ch, ch.to)
		w.open = w.open[1:]
	}
	w.tellLate(at)
	for _, ch := range w.open {
		if ch.Ticked() > ch.from || at-ch.from >= time.Second/2 { // a first one of hardly any length says nothing of rates
			w.tick(ch, from, at, t, 0)
		}
	}
}

// tick ends a second of a chapter, after which so many requests are missing.
func (w *Writer) tick(ch *chapter, from, at time.Duration, t evidence.Tick, missing uint64) {
	if missing > 0 {
		ch.Add(evidence.Event{At: evidence.Seconds(at), Kind: evidence.KindNote,
			Text: fmt.Sprintf("%d requests that were due in the chapter had not ended %s after it", missing, w.config.Settle)})
	}
	t.Offered = 0
	if to := min(at, ch.to); to > max(from, ch.from) {
		t.Offered = w.config.Offered(max(from, ch.from), to)
	}
	t.Lost -= min(t.Lost, ch.lost)
	t.Lost += missing + ch.missed
	ch.Tick(at, t)
}

// tellLate says of the present chapter that there were more late calls. Its own are not
// among them; but whoever makes them is seen to go on for longer than any chapter shows, so
// that what links claim is not held in it.
func (w *Writer) tellLate(at time.Duration) {
	ch := w.open[len(w.open)-1]
	if w.late > 0 && ch.missed == 0 {
		ch.Add(evidence.Event{At: evidence.Seconds(at), Kind: evidence.KindNote,
			Text: fmt.Sprintf("%d calls ended for requests of a chapter that was closed before", w.late)})
	}
	ch.missed, w.late = ch.missed+w.late, 0
}

// close closes a chapter and tells of it.
func (w *Writer) close(ch *chapter, end time.Duration) {
	err := errors.Join(ch.Err(), ch.Close(end))
	w.err = errors.Join(w.err, err)
	if w.config.Closed != nil {
		w.config.Closed(Closed{Number: ch.number, Dir: ch.Dir, From: ch.from, To: end,
			Started: w.config.Header.Started.Add(ch.from), Faults: len(ch.faults), Err: err})
	}
}

// Err is the first thing that could not be written.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	errs := []error{w.err}
	for _, ch := range w.open {
		errs = append(errs, ch.Err())
	}
	return errors.Join(errs...)
}

// Present is the directory of the chapter that the present is in.
func (w *Writer) Present() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open[len(w.open)-1].Dir
}

// Close closes what is open of a soak whose last arrival was due at end.
func (w *Writer) Close(end time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ch := range w.open {
		if ch.from >= end && ch.number > w.config.First { // it was to come
			w.err = errors.Join(w.err, ch.Close(ch.from), w.folder.RemoveAll(nameOf(ch.number)))
			continue
		}
		if ch.Ticked() == ch.from && w.lastAt > ch.from { // what it has was not counted yet
			w.tick(ch, w.lastFrom, w.lastAt, w.last, 0)
		}
		w.close(ch, min(ch.to, end))
	}
	w.open = nil
	w.due.stop()
	w.err = errors.Join(w.err, w.folder.Close())
	return w.err
}

// counter counts the arrivals of a schedule that are due before a time, which only
// grows.
type counter struct {
	cursor arrivals.Cursor
	stop   func()
	next   time.Duration
	more   bool
	n      uint64
}

func newCounter(s arrivals.Schedule) *counter {
	c := &counter{}
	c.cursor, c.stop = arrivals.Stripe(s, 0, 1)
	c.next, c.more = c.cursor.Next()
	return c
}

func (c *counter) before(t time.Duration) uint64 {
	for c.more && c.next < t {
		c.n++
		c.next, c.more = c.cursor.Next()
	}
	return c.n
}
