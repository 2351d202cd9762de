package evidence

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/stormctl/stormctl/load/input"
)

// Seconds is a duration that is written as a number of seconds, exact to the
// nanosecond for runs of up to a hundred days.
type Seconds time.Duration

func (s Seconds) Duration() time.Duration { return time.Duration(s) }

func (s Seconds) String() string { return time.Duration(s).String() }

func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', -1, 64), nil
}

func (s *Seconds) UnmarshalJSON(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return fmt.Errorf("seconds: %w", err)
	}
	*s = Seconds(math.Round(v * 1e9))
	return nil
}

// Event is one line of timeline.jsonl. Kind tells which of the other fields
// are set.
type Event struct {
	At     Seconds `json:"at_s"` // since the start of the load; negative before it
	Kind   string  `json:"event"`
	Text   string  `json:"text,omitempty"`   // for people
	Fault  int     `json:"fault,omitempty"`  // inject, heal: 1 + Injection.Index, so that 0 means none
	Error  string  `json:"error,omitempty"`  // inject, heal: why it did not work
	Target string  `json:"target,omitempty"` // death: which
	Agent  string  `json:"agent,omitempty"`  // agent, lost: which

	Hit      uint64 `json:"hit,omitempty"`      // heal: Injection.Hit
	Overflow uint64 `json:"overflow,omitempty"` // heal: Injection.Overflow

	Start  *Header `json:"start,omitempty"`
	Tick   *Tick   `json:"tick,omitempty"`
	Warmup *Warmup `json:"warmup,omitempty"`
	Gap    *Gap    `json:"gap,omitempty"`
	Audit  *Audit  `json:"audit,omitempty"`

	CPU map[string]Seconds `json:"cpu_s,omitempty"` // cpu: what the processes of targets used while there was load

	By        string     `json:"by,omitempty"`        // fault, heal: who did it by hand; "" is what the plan or the clock does
	Injection *Injection `json:"injection,omitempty"` // fault: what is about to be injected by hand
	Choice    int        `json:"choice,omitempty"`    // fault: 1 + its place in the palette
	Alert     *Alert     `json:"alert,omitempty"`     // alert: what was said

	// Before is how far the timeline was written when this line was, of a tick and of the
	// end; nil in older runs.
	Before *Extent `json:"before,omitempty"`
}

// Kinds of Event.
const (
	KindStart  = "start"  // the first line: Start is set
	KindPhase  = "phase"  // Text names the phase that begins
	KindFault  = "fault"  // Injection joins the faults of the header, as number Fault: somebody injects it by hand
	KindInject = "inject" // Fault is in force, from soon after At at the latest
	KindHeal   = "heal"   // Fault is gone, from soon before At at the latest
	KindTick   = "tick"   // Tick is set
	KindWarmup = "warmup" // Warmup is set; the last one counts
	KindCPU    = "cpu"    // CPU is set
	KindAgent  = "agent"  // Tick is what Agent, which sends a part of the load, knew of its harness and host
	KindLost   = "lost"   // Agent sends no more, and Text says why
	KindAudit  = "audit"  // Audit is set: what was there when it was asked, at At
	KindDeath  = "death"  // Target ended by itself; Text says how
	KindAlert  = "alert"  // Alert was heard
	KindNote   = "note"   // Text is worth knowing besides
	KindGap    = "gap"    // the harness was not there: Gap is set
	KindBlank  = "blank"  // nothing can be told of this chapter; Text says why
	KindGate   = "gate"   // nothing is injected, because the steady state was not confirmed; Text says why
	KindStop   = "stop"   // the run is cut short; Text says why
	KindEnd    = "end"    // the last line; At is when the last arrival was due
)

// Header is the first line of the timeline: what was going to happen.
type Header struct {
	Name    string      `json:"name"`
	About   string      `json:"about,omitempty"`
	Seed    uint64      `json:"seed"`
	Started time.Time   `json:"started"`
	Host    string      `json:"host,omitempty"`    // the machine, for people; "" in older runs
	Load    Seconds     `json:"load_s"`            // how long arrivals come, a warm-up aside
	Skips   bool        `json:"skips,omitempty"`   // see Run
	Batch   Seconds     `json:"batch_s,omitempty"` // by as much arrivals are sent late on purpose
	Routes  []string    `json:"routes"`            // each with the steps that follow it
	Links   []Link      `json:"links"`
	Faults  []Injection `json:"faults"`

	Access   []Access `json:"access,omitempty"`   // see Run
	Keys     uint64   `json:"keys,omitempty"`     // see Run
	Sessions int      `json:"sessions,omitempty"` // see Run

	File       string `json:"file,omitempty"`        // the experiment file, as reports are to name it
	ClaimLines []int  `json:"claim_lines,omitempty"` // of each claim in it, from 1; 0 is not known

	Soak    bool     `json:"soak,omitempty"`    // it is judged chapter by chapter
	Chapter *Chapter `json:"chapter,omitempty"` // which one of a soak this is; absent of a run
}

// TimelineWriter writes timeline.jsonl, each event at once: it survives a
// kill -9. It may be used by many goroutines.
type TimelineWriter struct {
	mu    sync.Mutex
	file  *os.File
	size  int64  // of all that was written whole
	sum   uint32 // of it, castagnoli
	lines int    // as many
	err   error
}

// TimelineIn writes a timeline into an empty file.
func TimelineIn(f *os.File) *TimelineWriter { return &TimelineWriter{file: f} }

// AppendTimeline opens a file of a folder to go on with, or makes it.
func AppendTimeline(in *os.Root, name string) (*TimelineWriter, error) {
	f, size, err := OpenWhole(in, name)
	if err != nil {
		return nil, err
	}
	t := &TimelineWriter{file: f, size: size}
	for part, at := make([]byte, 1<<16), int64(0); at < size; {
		n, err := f.ReadAt(part, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, errors.Join(err, f.Close())
		}
		t.lines, at = t.lines+bytes.Count(part[:n], newline), at+int64(n)
		t.sum = crc32.Update(t.sum, castagnoli, part[:n])
	}
	return t, nil
}

// OpenWhole opens a file of lines to go on with, or makes it, and returns its size. Half
// a line at its end, the mark of a kill -9, is cut off.
func OpenWhole(in *os.Root, name string) (f *os.File, size int64, err error) {
	if f, err = input.OpenIn(in, name, os.O_CREATE|os.O_RDWR); err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // it was only looked at
		}
	}()
	if size, err = f.Seek(0, io.SeekEnd); err != nil {
		return nil, 0, err
	}
	part := make([]byte, 1<<16)
	for end := size; end > 0; {
		from := max(0, end-int64(len(part)))
		n, err := f.ReadAt(part[:end-from], from)
		if err != nil {
			return nil, 0, err
		}
		if at := bytes.LastIndexByte(part[:n], '\n'); at >= 0 {
			end = from + int64(at) + 1
		} else if end = from; end > 0 {
			continue
		}
		if end < size {
			err = f.Truncate(end)
		}
		if err == nil {
			_, err = f.Seek(end, io.SeekStart)
		}
		return f, end, err
	}
	return f, size, nil
}

// Add appends an event, whole or not at all, and returns its line, from 1; 0 if it
// was not written. An error is kept and returned by Close, so that a full disk does
// not stop a heal.
func (t *TimelineWriter) Add(e Event) (line int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Kind == KindTick || e.Kind == KindEnd {
		e.Before = &Extent{t.size, t.sum}
	}
	text, err := json.Marshal(e)
	if err == nil {
		text = append(text, '\n')
		_, err = t.file.WriteAt(text, t.size)
	}
	if err != nil {
		err = errors.Join(err, t.file.Truncate(t.size)) // half a line would hide all that follow it
		if t.err == nil {
			t.err = fmt.Errorf("write %s event: %w", e.Kind, err)
		}
		return 0
	}
	t.size += int64(len(text))
	t.sum = crc32.Update(t.sum, castagnoli, text)
	t.lines++
	return t.lines
}

// Err is the first error of any Add.
func (t *TimelineWriter) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// Close closes the file and returns the first error of any Add.
func (t *TimelineWriter) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.file.Close(); t.err == nil {
		t.err = err
	}
	return t.err
}

// mostEvent is more bytes than any event has: an experiment has 1 MiB.
const mostEvent = 16 << 20

// readTimeline calls each with every whole line of a timeline. A torn last
// line is left out.
func readTimeline(r io.Reader, each func(Event)) error {
	return checkTimeline(r, func(e Event, _ bool) { each(e) })
}

// checkTimeline is readTimeline; sound is whether what stands before the line is what
// was written there, as far as the line says it.
func checkTimeline(r io.Reader, each func(e Event, sound bool)) error {
	br := bufio.NewReaderSize(r, 1<<16)
	var before Extent
	for n := 1; ; n++ {
		line, err := input.Line(br, mostEvent)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		e, err := eventOf(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		asWritten := e.Before == nil && !summedUp(&e) || e.Before != nil && *e.Before == before
		each(e, asWritten)
		before = Extent{before.Bytes + int64(len(line)), crc32.Update(before.Sum, castagnoli, line)}
	}
}

// summedUp reports whether an event is of a version that sums up its files, and so has
// said how far the timeline was written, too.
func summedUp(e *Event) bool { return e.Tick != nil && e.Tick.Extent != (Extent{}) }

func eventOf(line []byte) (e Event, err error) {
	err = json.Unmarshal(bytes.TrimSpace(line), &e)
	return e, err
}
