package rollup

import (
	"errors"
	"os"
	"path"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/input"
)

// Retention is how long a segment is, and how much is merged at which age. Tests have
// smaller ones; whatever they are, a segment is whole steps.
type Retention struct {
	Segment time.Duration
	Fine    int // so many closed segments, from the latest on, have every second
	Middle  int // and so many, those included, no more than Step merged
	Step    time.Duration
	Coarse  time.Duration // what is merged before that
}

// DefaultRetention is that of soaks: 1 s for the last hour, 10 s for the last day, 1 min
// before.
var DefaultRetention = Retention{Segment: time.Hour, Fine: 1, Middle: 24, Step: 10 * time.Second, Coarse: time.Minute}

// step is what is merged in a closed segment of such an age, in segments; 0 is nothing.
func (r Retention) step(age int) time.Duration {
	switch {
	case age <= r.Fine:
		return 0
	case age <= r.Middle:
		return r.Step
	}
	return r.Coarse
}

// Config is what a Writer needs to know.
type Config struct {
	Root      *os.Root // the run directory; it may be closed once the Writer is made
	Started   time.Time
	Logs      []string // what their names end in, like -front.hlog
	Retention Retention
}

// Writer writes the seconds of a soak. One goroutine uses it; rolling up is done in the
// background.
type Writer struct {
	config  Config
	folder  *os.Root // of the segments
	number  int      // of the segment that is open; -1 before the first
	ticks   *evidence.TimelineWriter
	logs    map[string]*hist.LogFile
	err     error
	rolling sync.WaitGroup

	mu     sync.Mutex
	steps  map[int]time.Duration // what is merged in closed segments, as far as it was done here
	failed error                 // of the last roll-up
}

// New makes the folder. What is there already of an earlier part of the soak stays, and
// is rolled up as it grows older.
func New(c Config) (*Writer, error) {
	folder, err := input.MakeFolder(c.Root, evidence.SegmentsFolder)
	if err != nil {
		return nil, err
	}
	tidy(folder)
	return &Writer{config: c, folder: folder, number: -1, logs: map[string]*hist.LogFile{}, steps: map[int]time.Duration{}}, nil
}

// Second writes down a second, with what its logs have in it by the ends of their
// names.
func (w *Writer) Second(from, at time.Duration, t *evidence.Tick, logs map[string][]hist.Tagged) {
	if w.err != nil {
		return
	}
	if n := int(middle(at) / w.config.Retention.Segment); n != w.number {
		if w.err = errors.Join(w.closeFiles(), w.open(n)); w.err != nil {
			return
		}
	}
	w.ticks.Add(evidence.Event{At: evidence.Seconds(at), Kind: evidence.KindTick, Tick: t})
	for suffix, tagged := range logs {
		if len(tagged) > 0 {
			w.logs[suffix].Write(from, at, tagged...)
		}
	}
}

// open opens a segment, and rolls up those that have grown old enough by that.
func (w *Writer) open(n int) (err error) {
	w.number = n
	if w.ticks, err = evidence.AppendTimeline(w.folder, nameOf(n, evidence.TicksSuffix)); err != nil {
		return err
	}
	for _, suffix := range w.config.Logs {
		f, _, err := evidence.OpenWhole(w.folder, nameOf(n, suffix))
		if err != nil {
			return err
		}
		w.logs[suffix] = hist.NewLogFile(f, w.config.Started, "stormctl")
	}
	w.rolling.Go(func() { w.roll(n) })
	return nil
}

// nameOf is the name of a file of a segment in their folder.
func nameOf(number int, suffix string) string { return path.Base(evidence.SegmentName(number, suffix)) }

// roll rolls up what is to be while segment n is open.
func (w *Writer) roll(n int) {
	w.mu.Lock() // one at a time
	defer w.mu.Unlock()
	var errs []error
	for number := range n {
		step := w.config.Retention.step(n - number)
		if step == 0 || w.steps[number] == step {
			continue
		}
		err := rollTicks(w.folder, nameOf(number, evidence.TicksSuffix), step)
		for _, suffix := range w.config.Logs {
			err = errors.Join(err, rollLog(w.folder, nameOf(number, suffix), w.config.Started, step))
		}
		if err == nil {
			w.steps[number] = step
		}
		errs = append(errs, err)
	}
	w.failed = errors.Join(errs...)
}

// Err is why a second could not be written.
func (w *Writer) Err() error {
	errs := []error{w.err}
	if w.ticks != nil {
		errs = append(errs, w.ticks.Err())
	}
	for _, l := range w.logs {
		errs = append(errs, l.Err())
	}
	return errors.Join(errs...)
}

// Close waits for what is rolled up, and closes the files. It returns also what could
// not be rolled up: that is larger than it was to be, and lacks nothing.
func (w *Writer) Close() error {
	w.rolling.Wait()
	return errors.Join(w.err, w.failed, w.closeFiles(), w.folder.Close())
}

func (w *Writer) closeFiles() error {
	var errs []error
	if w.ticks != nil {
		errs = append(errs, w.ticks.Close())
	}
	for _, l := range w.logs {
		errs = append(errs, l.Close())
	}
	w.ticks, w.logs = nil, map[string]*hist.LogFile{}
	return errors.Join(errs...)
}
