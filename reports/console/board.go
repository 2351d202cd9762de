package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/reports"
)

const (
	keptLines = 1000 // of the timeline's, for browsers that come back
	keptMarks = 200  // of detected and mitigated
)

// The phases of a game day.
const (
	before = "before" // people come in; targets run, and no load
	during = "during"
	after  = "after"
)

// line is one line of the timeline as people read it.
type line struct {
	ID   int    // of the timeline; 0 is one that could not be written
	At   string // on the clock of the run
	Tone string // what it looks like: inject, heal, note, mark, alert, bad, phase
	Text string
}

// fault is one fault as it was injected.
type fault struct {
	Index    int
	Name     string
	Kind     string
	On       string
	For      time.Duration // how long it is to last; 0 is as long as it takes
	Declared time.Duration // when it was about to be injected
	Injected time.Duration // −1 before
	Healed   time.Duration // −1 before
	Healing  bool          // it was asked for
	Error    string
	By       string
}

// mark is that somebody saw something of a fault.
type mark struct {
	At    time.Duration
	What  string // detected, mitigated
	Fault string
	By    string
}

// armed is a fault that is about to be injected.
type armed struct {
	Choice int
	For    time.Duration
	By     string
	Key    string // of the cookie's owner, where two people are asked for
	Since  time.Time
}

// A board is what is known of the run, for whoever wants to see it. Its methods may
// be called by many goroutines; those that the run calls take its lock for a few
// assignments.
type board struct {
	mu       sync.Mutex
	version  int // grows with every change
	phase    string
	doing    string // the run's own phase: starting, steady state, chaos, judging
	now      time.Duration
	told     time.Time // when now was so
	total    time.Duration
	columns  columns
	faults   []fault
	lines    []line
	marks    []mark
	armed    []armed
	checked  map[int]string // who ticked an item off
	foretold map[string]map[int]judge.Ruling
	verdicts []judge.Verdict
	final    bool // the verdicts are
	ending   string
	sleepers map[chan struct{}]bool // streams that wait for a change
}

func newBoard(total time.Duration) *board {
	return &board{phase: before, doing: "starting", total: total, checked: map[int]string{},
		foretold: map[string]map[int]judge.Ruling{}, sleepers: map[chan struct{}]bool{}}
}

// change changes the board and wakes who reads it.
func (b *board) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	b.version++
	for wake := range b.sleepers {
		select {
		case wake <- struct{}{}:
		default: // it is awake, and will see this too
		}
	}
}

// subscribe returns what is written to when something has changed.
func (b *board) subscribe() (wake chan struct{}, leave func()) {
	wake = make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sleepers[wake] = true
	return wake, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.sleepers, wake)
	}
}

// event takes in an event of the timeline.
func (b *board) event(id int, e evidence.Event) {
	at := e.At.Duration()
	b.change(func() {
		if e.Kind != evidence.KindStart {
			b.now, b.told = max(b.now, at), time.Now()
		}
		switch e.Kind {
		case evidence.KindTick:
			b.columns.add(at, e.Tick)
		case evidence.KindFault:
			b.faults = append(b.faults, fault{Index: e.Fault - 1, Name: e.Text, Kind: e.Injection.Kind, On: e.Injection.On,
				For: e.Injection.For.Duration(), Declared: at, Injected: -1, Healed: -1, By: e.By})
		case evidence.KindInject, evidence.KindHeal:
			b.faulted(e, at)
		case evidence.KindPhase:
			b.doing = e.Text
		case evidence.KindEnd:
			b.ending = "the load has ended; the claims are being judged"
		}
		if tone, text := b.says(e); text != "" {
			b.lines = append(b.lines, line{ID: id, At: clock(at), Tone: tone, Text: reports.Clean(text)})
			if extra := len(b.lines) - keptLines; extra > 0 {
				b.lines = slices.Delete(b.lines, 0, extra)
			}
		}
	})
}

// faulted takes note that a fault came or went.
func (b *board) faulted(e evidence.Event, at time.Duration) {
	f := b.fault(e.Fault - 1)
	switch {
	case f == nil:
	case e.Error != "":
		f.Error = e.Error
	case e.Kind == evidence.KindInject:
		f.Injected = at
	default:
		f.Healed = at
	}
}

func (b *board) fault(index int) *fault {
	for i := range b.faults {
		if b.faults[i].Index == index {
			return &b.faults[i]
		}
	}
	return nil
}

// says is an event as a sentence; "" of what is shown otherwise.
func (b *board) says(e evidence.Event) (tone, text string) {
	name, by := e.Text, ""
	if f := b.fault(e.Fault - 1); f != nil {
		name = f.Name
		if e.Kind == evidence.KindInject {
			by = " by " + f.By
			if f.For > 0 {
				by = " for " + unit.FormatDuration(f.For) + by
			}
		}
	}
	if e.By != "" {
		by = " by " + e.By
	}
	switch e.Kind {
	case evidence.KindInject, evidence.KindHeal:
		if e.Error != "" {
			return "bad", e.Error
		}
		if e.Kind == evidence.KindInject {
			return "inject", "injected " + name + by
		}
		by = cmp.Or(by, ": its time is over")
		return "heal", "healed " + name + by
	case evidence.KindPhase:
		if e.Text == "chaos" {
			return "phase", "faults may come"
		}
		return "phase", "phase: " + e.Text
	case evidence.KindAlert:
		what := "resolved"
		if e.Alert.Firing {
			what = "firing"
		}
		return "alert", "alert " + e.Alert.Name + " is " + what
	case evidence.KindDeath, evidence.KindGate:
		return "bad", firstLine(e.Text)
	case evidence.KindStop:
		return "bad", "stopped: " + e.Text
	case evidence.KindNote:
		if e.By != "" {
			return "mark", e.Text
		}
		return "note", firstLine(e.Text)
	case evidence.KindEnd:
		return "phase", "the load has ended"
	}
	return "", ""
}

func firstLine(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return text
}

// clock is a time as it stands on a clock, in minutes and seconds.
func clock(t time.Duration) string {
	sign := ""
	if t < 0 {
		sign, t = "−", -t
	}
	s := int(t.Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%s%d:%02d:%02d", sign, s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%s%02d:%02d", sign, s/60, s%60)
}

// since are the lines behind one, oldest first; false if some of them are kept no more.
func (b *board) since(id int) (lines []line, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ok = len(b.lines) < keptLines || b.lines[0].ID <= id
	for _, l := range b.lines {
		if l.ID > id {
			lines = append(lines, l)
		}
	}
	return lines, ok
}

// inForce are the faults that are about to be in force, or are.
func (b *board) inForce() (all []fault) {
	for _, f := range b.faults {
		if f.Healed < 0 && f.Error == "" {
			all = append(all, f)
		}
	}
	return all
}
