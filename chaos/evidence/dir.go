package evidence

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/load/input"
)

// The files of a run directory that hold evidence.
const (
	TimelineFile = "timeline.jsonl"
	SamplesFile  = "evidence/front.csv"
)

// ExchangesFile is where the exchanges of a link are.
func ExchangesFile(link string) string { return linkPrefix + link + linkSuffix }

const (
	linkPrefix = "evidence/link-"
	linkSuffix = ".csv"
)

// Read reads what a run left in dir, whether it ended well, was cut short or
// was killed. Only whole records count. The files are read side by side; what
// comes of it, the error included, does not depend on which is done first.
func Read(dir string) (*Run, error) {
	run := newRun()
	if err := run.readTimeline(dir); err != nil {
		return nil, err
	}
	if run.Soak { // its records are in its chapters
		run.settleEnd()
		return run, nil
	}
	links := slices.Sorted(maps.Keys(run.Links))
	files := make([]string, 1+len(links), 2+len(links))
	if len(run.Access) > 0 {
		files = append(files, ValuesFile)
	}
	states, errs := make([]fileState, len(files)), make([]error, len(files))
	files[0] = SamplesFile
	reads := []func(k int){func(k int) {
		in := sampleReader{index: indexOf(run.Routes)}
		marks := run.marks(func(t *Tick) Extent { return t.Extent })
		run.Samples, states[k], errs[k] = readRecords(dir, files[k], sampleHeader, marks, in.read, samplesInOrder)
	}}
	for i, name := range links {
		files[1+i] = ExchangesFile(name)
		link := run.Links[name]
		reads = append(reads, func(k int) {
			var in exchangeReader
			marks := run.marks(func(t *Tick) Extent { return t.Links[name].Extent })
			link.Exchanges, states[k], errs[k] = readRecords(dir, files[k], exchangeHeader, marks, in.read, exchangesInOrder)
		})
	}
	if len(run.Access) > 0 {
		reads = append(reads, func(k int) {
			run.Values, states[k], errs[k] = readRecords(dir, ValuesFile, valueHeader, run.marks(valuesExtent), readValue, valuesInOrder)
		})
	}
	sideBySide(reads)
	found := map[string]fileState{}
	for k, err := range errs {
		if err != nil {
			return nil, err // of the first file of them
		}
		found[files[k]] = states[k]
	}
	run.rebase()
	run.countUp(found)
	if err := run.readAudits(dir); err != nil {
		return nil, err
	}
	run.settleEnd()
	return run, nil
}

// sideBySide calls each with its index, as many at a time as there are processors.
func sideBySide(each []func(k int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(runtime.GOMAXPROCS(0), len(each)) {
		wg.Go(func() {
			for k := int(next.Add(1)) - 1; k < len(each); k = int(next.Add(1)) - 1 {
				each[k](k)
			}
		})
	}
	wg.Wait()
}

// lostByRun is where in Run.Lost the records are that the run itself could not write.
const lostByRun = "records"

func newRun() *Run { return &Run{Links: map[string]*Link{}, Lost: map[string]uint64{}, Partial: true} }

func (r *Run) order() { arrange(r.Samples, samplesInOrder) }

func (l *Link) order() { arrange(l.Exchanges, exchangesInOrder) }

func (r *Run) readTimeline(dir string) error {
	path := filepath.Join(dir, TimelineFile)
	f, err := input.OpenBelow(dir, TimelineFile)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is not a run directory: it has no %s", dir, TimelineFile)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	started, sound := false, true
	var last time.Duration // when the last second ended
	err = checkTimeline(f, func(e Event, asWritten bool) {
		begins := e.Kind == KindStart && e.Start != nil
		if sound && (!asWritten || !started && !begins) {
			sound = false
			r.flaw(Flaw{File: TimelineFile, What: "changed since it was written", From: last, To: max(0, e.At.Duration()-r.from)}, 1)
		}
		started = started || begins
		r.add(e)
		if e.Kind == KindTick {
			last = max(last, e.At.Duration()-r.from)
		}
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if r.Soak {
		if err := r.readSegments(dir); err != nil {
			return err
		}
	}
	if !started {
		return fmt.Errorf("%s has no start event: the run was killed before it began", path)
	}
	for _, f := range r.Faults {
		if _, known := f.formerly(); f.Effects == nil && !known {
			return fmt.Errorf("read %s: fault %s is of kind %q, and what that does is neither recorded nor known", path, f.Name, f.Kind)
		}
	}
	return nil
}

// add takes in what an event tells.
func (r *Run) add(e Event) {
	e.At -= Seconds(r.from)
	switch {
	case e.Kind == KindStart && e.Start != nil:
		r.begin(e.Start)
	case e.Kind == KindFault && e.Injection != nil && e.Fault == len(r.Faults)+1 && e.Injection.Index == len(r.Faults):
		fault := *e.Injection // the event is the writer's
		fault.Injected, fault.Healed = -1, -1
		r.Faults = append(r.Faults, fault)
	case e.Kind == KindAlert && e.Alert != nil:
		alert := *e.Alert
		alert.At = e.At.Duration()
		r.Alerts = append(r.Alerts, alert)
	case e.Kind == KindInject && r.fault(e.Fault) >= 0:
		r.inject(&r.Faults[r.fault(e.Fault)], e)
	case e.Kind == KindHeal && r.fault(e.Fault) >= 0:
		r.heal(&r.Faults[r.fault(e.Fault)], e)
	case e.Kind == KindTick && e.Tick != nil:
		tick := *e.Tick
		tick.At = e.At.Duration()
		r.Ticks = append(r.Ticks, tick)
		r.fold()
		if tick.Lost > 0 {
			r.Lost[lostByRun] = tick.Lost
		}
		for name, t := range tick.Links {
			if l := r.Links[name]; l != nil && t.Unread > 0 {
				l.Unread, l.FirstUnread = t.Unread, t.FirstUnread
			}
		}
	case e.Kind == KindAgent && e.Tick != nil:
		r.agentTick(e.At.Duration(), *e.Tick)
	case e.Kind == KindLost:
		r.Gone = append(r.Gone, LostAgent{e.At.Duration(), e.Agent, e.Text})
		r.Notes = append(r.Notes, Note{e.At.Duration(), "agent " + e.Agent + " was lost: " + e.Text})
	case e.Kind == KindCPU:
		r.CPU = map[string]time.Duration{}
		for target, used := range e.CPU {
			r.CPU[target] = used.Duration()
		}
	case e.Kind == KindWarmup:
		r.Warmup = e.Warmup
	case e.Kind == KindDeath:
		r.Deaths = append(r.Deaths, Death{e.At.Duration(), e.Target, e.Text})
		r.Notes = append(r.Notes, Note{e.At.Duration(), e.Text})
	case e.Kind == KindAudit && e.Audit != nil:
		r.addAudit(e)
	case e.Kind == KindNote:
		r.Notes = append(r.Notes, Note{e.At.Duration(), e.Text})
	case e.Kind == KindGap && e.Gap != nil:
		r.Gaps = append(r.Gaps, *e.Gap)
	case e.Kind == KindBlank:
		r.Blank = cmp.Or(r.Blank, e.Text)
	case e.Kind == KindGate:
		r.NotSteady = e.Text
	case e.Kind == KindStop:
		r.Stopped = e.Text
	case e.Kind == KindEnd:
		r.End, r.hasEnd = e.At.Duration(), true
		r.Partial = r.Stopped != ""
	}
}

// inject takes in that a fault came. In a soak it may come again, and what was before
// is in Rounds.
func (r *Run) inject(fault *Injection, e Event) {
	if e.Error == "" {
		fault.Injected = e.At.Duration()
	}
	fault.Error, fault.Why = e.Error, strings.TrimPrefix(e.Error, "inject "+e.Text+": ")
	if r.Soak {
		if fault.Healed = -1; e.Error == "" {
			fault.Times++
		}
		one := *fault
		one.Hit, one.Overflow = 0, 0
		r.round(one)
	}
}

// heal takes in that a fault went. In a soak its hits are those of all rounds.
func (r *Run) heal(fault *Injection, e Event) {
	if e.Error == "" {
		fault.Healed = e.At.Duration()
	}
	fault.Error = e.Error
	if !r.Soak {
		fault.Hit, fault.Overflow = 0, 0
	} else {
		r.ends(fault.Index, e.At.Duration(), e.Hit, e.Error)
	}
	fault.Hit += e.Hit
	fault.Overflow += e.Overflow
}

func (r *Run) begin(h *Header) {
	r.Name, r.About, r.Seed, r.Started, r.Load = h.Name, h.About, h.Seed, h.Started, h.Load.Duration()
	r.File, r.ClaimLines = h.File, h.ClaimLines
	r.Host = h.Host
	r.Access, r.Keys, r.Sessions = h.Access, h.Keys, h.Sessions
	r.Routes, r.Faults, r.Skips, r.Batch = h.Routes, slices.Clone(h.Faults), h.Skips, h.Batch.Duration()
	for i := range r.Faults {
		r.Faults[i].Injected, r.Faults[i].Healed = -1, -1
	}
	for i := range h.Links {
		l := &h.Links[i] // the header is the writer's
		r.Links[l.Name] = &Link{Name: l.Name, From: l.From, To: l.To}
	}
	if r.Soak = h.Soak; h.Chapter != nil {
		r.beginChapter(h.Chapter)
	}
}

// Killed is why a run stopped that says nothing of its end.
const Killed = "the run was killed"

// settleEnd finds how far the evidence of a killed run reaches: to its last
// record of any kind.
func (r *Run) settleEnd() {
	if r.End > 0 {
		return
	}
	var last time.Duration
	for i := range r.Samples {
		last = max(last, r.Samples[i].Intended)
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
	r.Stopped = cmp.Or(r.Stopped, Killed)
}
