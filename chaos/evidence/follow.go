package evidence

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/wire"
)

// A Follower reads a run that is still going on, again and again, each time only
// what is new, and keeps of it what fits in bounded memory: a stretch, whole,
// with all that was recorded in it and nothing of what was not.
//
// Nothing is thinned out and nothing is spliced. A claim is a pure function of a
// run, and what it counts (calls in a row that failed, calls in progress, the
// pause before a probe) is another thing in a sample of the calls, or where a
// minute was cut out of them: it would refute systems that are sound. A stretch
// is itself a run, one that began later, the time before it being its warm-up,
// and that was killed at its end. What a claim says of it is what it says of that
// shorter run, no more, and no less.
//
//	baseline        episode                              baseline       episode
//	|· · · ·|——— injected ———— healed ———|- - - - - - -|· · · ·|——— injected ——
//	└────────────── a stretch ───────────┘             └────── the next one ———
//
// While nothing is injected, the oldest records make room for new ones. From the
// first injection on the beginning stands; of what is before it only a part is
// kept, as a baseline. When there is no more room the stretch ends, whatever
// the faults do, and the next one begins once none is in force. Where more comes
// in a calm time than is worth reading, it is left unread.
//
// So what is kept, and what is read at a time, are bounded, whatever the rate of
// the load and however long it lasts. The price is at high rates: an episode with
// more records than there is room for is seen up to there only.
//
// A Follower is used by one goroutine.
type Follower struct {
	dir   string
	most  int
	clock func() time.Duration

	timeline tail
	files    map[string]*tail // samples and exchanges, by file
	run      *Run             // what the timeline says, and the ticks from the beginning of the stretch on
	samples  []load.Sample    // of the stretch, on its clock, which is 0 at from
	links    map[string][]Exchange
	reader   sampleReader
	calls    exchangeReader

	stretch int           // number of it, from 1
	from    time.Duration // the first moment that is in the stretch
	past    uint64        // arrivals up to this number were before it: neither they nor their calls are in it
	ended   bool          // there was no more room
	cut     time.Duration // up to where it then goes, on the clock of the run
	looked  time.Duration // when it was read last, on the clock of the run
}

// Follow begins with the run in dir, which may not have begun itself. It keeps up
// to most records, which are samples and exchanges; clock is the time since the
// start of the load, by the clock of the evidence.
func Follow(dir string, most int, clock func() time.Duration) *Follower {
	return &Follower{dir: dir, most: most, clock: clock, timeline: tail{name: TimelineFile}, files: map[string]*tail{},
		run: newRun(), links: map[string][]Exchange{}, stretch: 1}
}

// tickSize is how many records a tick counts as against the bound of a Follower.
const tickSize = 8

// Read reads what is new. The stretch is the follower's: it holds until the next
// call. It is nil if there is none: the run has not begun, or the last stretch has
// ended and a fault is in force.
func (f *Follower) Read() (*Stretch, error) {
	if err := f.readTimeline(); err != nil || f.run.Routes == nil && len(f.run.Links) == 0 {
		return nil, err
	}
	begins := f.over()
	if f.ended || f.torn() {
		if f.inForce() {
			f.ended = true
			return nil, nil //nolint:nilnil // there is none, and that is no error
		}
		begins = true
	}
	if begins {
		if err := f.begin(); err != nil {
			return nil, err
		}
	}
	if err := f.readRecords(); err != nil {
		return nil, err
	}
	return f.asRun(), nil
}

// readTimeline takes in the events since the last time.
func (f *Follower) readTimeline() error {
	return f.timeline.read(f.dir, func(line []byte) error {
		e, err := eventOf(line)
		if err == nil && !(f.ended && e.Kind == KindTick) {
			f.run.add(e)
		}
		if e.Kind == KindStart {
			f.reader.index = indexOf(f.run.Routes)
		}
		return err
	})
}

// inForce reports whether a fault is.
func (f *Follower) inForce() bool {
	return slices.ContainsFunc(f.run.Faults, func(i Injection) bool { return i.Injected >= 0 && i.Healed < 0 })
}

// torn reports whether a fault came into force before the stretch and was not
// gone by then: then the stretch is no run.
func (f *Follower) torn() bool {
	return slices.ContainsFunc(f.run.Faults, func(i Injection) bool {
		return i.Injected >= 0 && i.Injected < f.from && (i.Healed < 0 || i.Healed >= f.from)
	})
}

// Long enough after a healing for most systems to be themselves again.
const aftermath = 10 * time.Second

// over reports whether the stretch has had its episode, and would leave little
// room for the next one: of the time in between, half is the aftermath of the one
// and half the baseline of the other.
func (f *Follower) over() bool {
	if f.size() <= f.most/2 || f.inForce() || f.first() < 0 {
		return false
	}
	var healed time.Duration
	for _, i := range f.run.Faults {
		healed = max(healed, i.Healed)
	}
	until := healed + aftermath
	for _, i := range f.run.Faults {
		if at := i.At.Duration(); i.Injected < 0 && at > healed {
			until = min(until, healed+(at-healed)/2)
		}
	}
	return f.clock() > until
}

// first is when the first fault of the stretch came into force; -1 if none did.
func (f *Follower) first() time.Duration {
	first := time.Duration(-1)
	for _, i := range f.run.Faults {
		if i.Injected >= f.from && (first < 0 || i.Injected < first) {
			first = i.Injected
		}
	}
	return first
}

func (f *Follower) size() int {
	n := len(f.samples) + tickSize*len(f.run.Ticks)
	for _, list := range f.links {
		n += len(list)
	}
	return n
}

// begin begins a new stretch with what is not on disk yet: what is had ended by
// now, so that it was before.
func (f *Follower) begin() error {
	for _, t := range f.files {
		if err := t.skip(f.dir); err != nil {
			return err
		}
	}
	f.stretch++
	f.ended = false
	f.samples = f.samples[:0]
	for name, list := range f.links {
		f.links[name] = list[:0]
	}
	f.looked = f.clock()
	f.startAt(f.looked + 1)
	return nil
}

// startAt moves the beginning of the stretch, to behind which no record was left
// out.
func (f *Follower) startAt(from time.Duration) {
	by := from - f.from
	f.from = from
	f.samples = slices.DeleteFunc(f.samples, func(s load.Sample) bool { return s.Intended < by && f.before(s.ID) })
	f.samples = slices.DeleteFunc(f.samples, func(s load.Sample) bool { return f.left(s.ID) })
	for i := range f.samples {
		shift(&f.samples[i], by)
	}
	for name, list := range f.links {
		list = slices.DeleteFunc(list, func(x Exchange) bool { return x.Begin < by || f.left(x.ID) })
		for i := range list {
			list[i].Begin -= by
			list[i].End -= by
		}
		f.links[name] = list
	}
	f.run.Ticks = slices.DeleteFunc(f.run.Ticks, func(t Tick) bool { return t.At <= from })
}

// before takes note that an arrival was before the stretch.
func (f *Follower) before(id uint64) bool {
	if wire.ArrivalOf(id) == id { // a step may be due much later
		f.past = max(f.past, id)
	}
	return true
}

// left reports whether a record is of an arrival from before the stretch: the
// evidence of its calls without it would be of calls without a request.
func (f *Follower) left(id uint64) bool { return id != 0 && wire.ArrivalOf(id) <= f.past }

func shift(s *load.Sample, by time.Duration) {
	s.Intended -= by
	s.Done -= by
	if s.Outcome != load.Unsent || s.Sent != 0 {
		s.Sent -= by
	}
}

// A look reads no more than so many bytes a record while nothing is injected,
// which is twice as much as fits, and takes turns among the files after so many.
const (
	mostPending = 128
	turns       = 1 << 18
)

// readRecords takes in the records since the last time. Files take turns, so that
// where there is no room for all of them, there is room for about the same time of
// each.
func (f *Follower) readRecords() error {
	files := []*tail{f.file(SamplesFile, sampleHeader)}
	for _, name := range slices.Sorted(maps.Keys(f.run.Links)) {
		files = append(files, f.file(ExchangesFile(name), exchangeHeader))
	}
	var size int64
	for _, t := range files {
		size += t.pending(f.dir)
	}
	if f.first() < 0 && size > mostPending*int64(f.most) {
		if err := f.begin(); err != nil {
			return err
		}
		f.stretch-- // it had nothing in it
		return nil
	}
	// As of now: what is recorded later may be read too, but not all of it.
	now, parts := f.clock(), size/turns+1
	for part := int64(1); part <= parts && !f.ended; part++ {
		until := f.looked + time.Duration(float64(now-f.looked)*float64(part)/float64(parts))
		if part == parts {
			until = math.MaxInt64
		}
		whole := min(until, now)
		for i, t := range files {
			at, err := f.readUntil(t, i, until)
			if errors.Is(err, errFull) {
				whole = min(whole, at)
			} else if err != nil {
				return err
			}
		}
		if f.ended || f.room() != nil {
			f.end(whole)
		}
	}
	f.looked = now
	return nil
}

// readUntil takes in the records of a file up to one that ended past a moment. It
// returns when the last one ended.
func (f *Follower) readUntil(t *tail, file int, until time.Duration) (last time.Duration, err error) {
	link := ""
	if file > 0 {
		link = strings.TrimSuffix(strings.TrimPrefix(t.name, linkPrefix), linkSuffix)
	}
	err = t.read(f.dir, func(line []byte) error {
		var end time.Duration
		if link == "" {
			end, err = f.takeSample(line, t.columns)
		} else {
			end, err = f.takeExchange(link, line, t.columns)
		}
		if last = max(last, end); err == nil && last > until {
			return errUntil
		}
		return err
	})
	if errors.Is(err, errUntil) {
		err = nil
	}
	return last, err
}

func (f *Follower) takeSample(line []byte, columns int) (end time.Duration, err error) {
	var s load.Sample
	if err := f.reader.read(&s, line, columns); err != nil {
		return 0, err
	}
	end = s.Done
	if s.Intended < f.from {
		f.before(s.ID)
		return end, nil
	}
	if f.left(s.ID) {
		return end, nil
	}
	shift(&s, f.from)
	f.samples = append(f.samples, s)
	return end, f.room()
}

func (f *Follower) takeExchange(link string, line []byte, columns int) (end time.Duration, err error) {
	var x Exchange
	if err := f.calls.read(&x, line, columns); err != nil {
		return 0, err
	}
	end = x.End
	if x.Begin < f.from || f.left(x.ID) {
		return end, nil
	}
	x.Begin -= f.from
	x.End -= f.from
	f.links[link] = append(f.links[link], x)
	return end, f.room()
}

func (f *Follower) file(name, header string) *tail {
	if f.files[name] == nil {
		f.files[name] = &tail{name: name, header: header}
	}
	return f.files[name]
}

var (
	errFull  = errors.New("there is room for no more records")
	errUntil = errors.New("the other files are to be read first")
)

// room sees to it that one more record fits. If that cannot be, the stretch has
// ended, and the error is errFull.
func (f *Follower) room() error {
	if f.size() <= f.most {
		return nil
	}
	first := f.first()
	keep := f.most / 2
	if first >= 0 {
		keep = f.most / 5
	}
	if f.ended || !f.dropOldest(keep, first) {
		f.ended = true
		return errFull
	}
	return nil
}

// dropOldest leaves out what ended first, but for the last keep records, or with
// an injection, for the last keep that ended before it. It reports whether that
// made room for many more, so that it need not be done again for each.
func (f *Follower) dropOldest(keep int, injected time.Duration) bool {
	ends := make([]time.Duration, 0, f.size())
	add := func(end time.Duration) {
		if injected < 0 || end+f.from < injected {
			ends = append(ends, end)
		}
	}
	for i := range f.samples {
		add(f.samples[i].Done)
	}
	for _, list := range f.links {
		for i := range list {
			add(list[i].End)
		}
	}
	if len(ends) <= keep+f.most/10 {
		return false
	}
	slices.Sort(ends)
	f.startAt(f.from + ends[len(ends)-keep-1] + 1)
	return f.size() < f.most
}

// end ends the stretch at a moment up to which it is whole.
func (f *Follower) end(at time.Duration) {
	f.cut = at
	own := at - f.from
	f.samples = slices.DeleteFunc(f.samples, func(s load.Sample) bool { return s.Done > own })
	for name, list := range f.links {
		f.links[name] = slices.DeleteFunc(list, func(x Exchange) bool { return x.End > own })
	}
}
