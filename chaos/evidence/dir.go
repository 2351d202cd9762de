package evidence

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The files of a run directory that hold evidence.
const (
	TimelineFile = "timeline.jsonl"
	FrontFile    = "evidence/front.csv"
)

// BehindFile is where the exchanges of a link are.
func BehindFile(link string) string { return "evidence/link-" + link + ".csv" }

// Read reads what a run left in dir, whether it ended well, was cut short or
// was killed. Only whole records count.
func Read(dir string) (*Run, error) {
	run := newRun()
	if err := run.readTimeline(dir); err != nil {
		return nil, err
	}
	err := readFile(dir, FrontFile, func(f *os.File) (torn bool, err error) {
		run.Front, torn, err = readFront(f, run.Routes)
		return torn, err
	}, run.Lost, run.Partial)
	if err != nil {
		return nil, err
	}
	run.order()
	for name, link := range run.Links {
		err := readFile(dir, BehindFile(name), func(f *os.File) (torn bool, err error) {
			link.Exchanges, torn, err = readBehind(f)
			return torn, err
		}, run.Lost, run.Partial)
		if err != nil {
			return nil, err
		}
		link.order()
	}
	run.settleEnd()
	return run, nil
}

func newRun() *Run { return &Run{Links: map[string]*Link{}, Lost: map[string]uint64{}, Partial: true} }

func (r *Run) order() {
	slices.SortStableFunc(r.Front, func(a, b sample) int {
		return cmp.Or(cmp.Compare(a.Intended, b.Intended), cmp.Compare(a.ID, b.ID))
	})
}

func (l *Link) order() {
	slices.SortStableFunc(l.Exchanges, func(a, b Exchange) int {
		return cmp.Or(cmp.Compare(a.Begin, b.Begin), cmp.Compare(a.Seq, b.Seq))
	})
}

// readFile lets read parse one file. A file that is not there holds nothing:
// the run was killed before it was made. A torn last line is what a kill
// leaves, and says no more than that the run was cut; in a run that ended well
// a record was lost.
func readFile(dir, name string, read func(*os.File) (torn bool, err error), lost map[string]uint64, killed bool) error {
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	torn, err := read(f)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Name(), err)
	}
	if torn && !killed {
		lost[name]++
	}
	return nil
}

func (r *Run) readTimeline(dir string) error {
	path := filepath.Join(dir, TimelineFile)
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is not a run directory: it has no %s", dir, TimelineFile)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	started := false
	err = readTimeline(f, func(e Event) {
		started = started || e.Kind == KindStart && e.Start != nil
		r.add(e)
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if !started {
		return fmt.Errorf("%s has no start event: the run was killed before it began", path)
	}
	return nil
}

// add takes in what an event tells.
func (r *Run) add(e Event) {
	switch {
	case e.Kind == KindStart && e.Start != nil:
		r.begin(e.Start)
	case e.Kind == KindInject && r.has(e.Fault):
		fault := &r.Faults[e.Fault-1]
		if e.Error == "" {
			fault.Injected = e.At.Duration()
		}
		fault.Error, fault.Why = e.Error, strings.TrimPrefix(e.Error, "inject "+e.Text+": ")
	case e.Kind == KindHeal && r.has(e.Fault):
		fault := &r.Faults[e.Fault-1]
		if e.Error == "" {
			fault.Healed = e.At.Duration()
		}
		fault.Error, fault.Hit, fault.Overflow = e.Error, e.Hit, e.Overflow
	case e.Kind == KindTick && e.Tick != nil:
		tick := *e.Tick
		tick.At = e.At.Duration()
		r.Ticks = append(r.Ticks, tick)
		if tick.Lost > 0 {
			r.Lost["records"] = tick.Lost
		}
	case e.Kind == KindWarmup:
		r.Warmup = e.Warmup
	case e.Kind == KindDeath:
		r.Deaths = append(r.Deaths, Death{e.At.Duration(), e.Target, e.Text})
		r.Notes = append(r.Notes, Note{e.At.Duration(), e.Text})
	case e.Kind == KindNote:
		r.Notes = append(r.Notes, Note{e.At.Duration(), e.Text})
	case e.Kind == KindGate:
		r.NotSteady = e.Text
	case e.Kind == KindStop:
		r.Stopped = e.Text
	case e.Kind == KindEnd:
		r.End = e.At.Duration()
		r.Partial = r.Stopped != ""
	}
}

func (r *Run) has(fault int) bool { return fault >= 1 && fault <= len(r.Faults) }

func (r *Run) begin(h *Header) {
	r.Name, r.About, r.Seed, r.Started, r.Load = h.Name, h.About, h.Seed, h.Started, h.Load.Duration()
	r.Routes, r.Faults, r.Skips, r.Batch = h.Routes, slices.Clone(h.Faults), h.Skips, h.Batch.Duration()
	for i := range r.Faults {
		r.Faults[i].Injected, r.Faults[i].Healed = -1, -1
	}
	for _, l := range h.Links {
		r.Links[l.Name] = &l
	}
}

// settleEnd finds how far the evidence of a killed run reaches: to its last
// record of any kind.
func (r *Run) settleEnd() {
	if r.End > 0 {
		return
	}
	var last time.Duration
	for i := range r.Front {
		last = max(last, r.Front[i].Intended)
	}
	for _, l := range r.Links {
		if n := len(l.Exchanges); n > 0 {
			last = max(last, l.Exchanges[n-1].Begin)
		}
	}
	for _, t := range r.Ticks {
		last = max(last, t.At)
	}
	for _, f := range r.Faults {
		last = max(last, f.Injected, f.Healed)
	}
	r.End = min(last, r.Load)
	if r.Stopped == "" {
		r.Stopped = "the run was killed"
	}
}
