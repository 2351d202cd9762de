package evidence

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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

	CPU map[string]Seconds `json:"cpu_s,omitempty"` // cpu: what the processes of targets used while there was load
}

// Kinds of Event.
const (
	KindStart  = "start"  // the first line: Start is set
	KindPhase  = "phase"  // Text names the phase that begins
	KindInject = "inject" // Fault is in force, from soon after At at the latest
	KindHeal   = "heal"   // Fault is gone, from soon before At at the latest
	KindTick   = "tick"   // Tick is set
	KindWarmup = "warmup" // Warmup is set; the last one counts
	KindCPU    = "cpu"    // CPU is set
	KindAgent  = "agent"  // Tick is what Agent, which sends a part of the load, knew of its harness and host
	KindLost   = "lost"   // Agent sends no more, and Text says why
	KindDeath  = "death"  // Target ended by itself; Text says how
	KindNote   = "note"   // Text is worth knowing besides
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

	File       string `json:"file,omitempty"`        // the experiment file, as reports are to name it
	ClaimLines []int  `json:"claim_lines,omitempty"` // of each claim in it, from 1; 0 is not known
}

// TimelineWriter writes timeline.jsonl, each event at once: it survives a
// kill -9. It may be used by many goroutines.
type TimelineWriter struct {
	mu   sync.Mutex
	file *os.File
	size int64 // of all that was written whole
	err  error
}

// CreateTimeline makes the file, which must not exist.
func CreateTimeline(path string) (*TimelineWriter, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &TimelineWriter{file: f}, nil
}

// Add appends an event, whole or not at all. An error is kept and returned by
// Close, so that a full disk does not stop a heal.
func (t *TimelineWriter) Add(e Event) {
	line, err := json.Marshal(e)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		_, err = t.file.WriteAt(append(line, '\n'), t.size)
	}
	if err != nil {
		err = errors.Join(err, t.file.Truncate(t.size)) // half a line would hide all that follow it
		if t.err == nil {
			t.err = fmt.Errorf("write %s event: %w", e.Kind, err)
		}
		return
	}
	t.size += int64(len(line)) + 1
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
	br := bufio.NewReaderSize(r, 1<<16)
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
		each(e)
	}
}

func eventOf(line []byte) (e Event, err error) {
	err = json.Unmarshal(bytes.TrimSpace(line), &e)
	return e, err
}
