package evidence

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/stormctl/stormctl/load"
)

// Flaw is how a file of a run differs from what the run counted while it wrote it.
type Flaw struct {
	File     string
	What     string        // "missing", "added", "there twice", "torn", "changed", "in disorder"
	Records  uint64        // that it is so of; 0 if that is not known
	From, To time.Duration // the second in which it begins, as the run counted; both 0 if that is not known
}

// String is for people: "evidence/front.csv: 5 records missing, the first between 2s and 3s".
func (f Flaw) String() string {
	text := f.File + ": "
	switch f.Records {
	case 0:
	case 1:
		text += "1 record "
	default:
		text += fmt.Sprintf("%d records ", f.Records)
	}
	text += f.What
	if f.To > 0 {
		text += fmt.Sprintf(", the first between %s and %s", f.From.Round(time.Millisecond), f.To.Round(time.Millisecond))
	}
	return text
}

// ledger is one file of records beside what the seconds counted of it.
type ledger struct {
	file    string
	state   fileState
	there   uint64
	twice   uint64
	first   time.Duration          // when the first of those that are there twice ended
	counted func(t *Tick) uint64   // what ended in a tick
	ends    func() []time.Duration // of all records, in any order; asked only where there is a flaw
}

// counting are the ticks that records are compared with. Of a run that was killed the
// last second may have been counted before its records were written; those before
// it had a second's time.
func (r *Run) counting() []Tick {
	if r.hasEnd {
		return r.Ticks
	}
	return r.Ticks[:max(0, len(r.Ticks)-1)]
}

// countUp compares the records with what the run counted each second while it made
// them. A run that came to its end, stopped or not, has each of them once, and a
// last second that is no earlier than its end.
func (r *Run) countUp(states map[string]fileState) {
	var known uint64
	for _, t := range r.counting() {
		known = t.Lost
	}
	for _, l := range r.ledgers(states) {
		known -= r.compare(l, known)
	}
	disorder := !slices.IsSortedFunc(r.Ticks, func(a, b Tick) int { return int(a.At - b.At) })
	if disorder {
		r.flaw(Flaw{File: TimelineFile, What: "in disorder: its seconds do not follow each other"}, 1)
	}
	if n := len(r.Ticks); r.hasEnd && r.End > 0 && (n == 0 || r.End-r.Ticks[n-1].At > time.Second) {
		r.flaw(Flaw{File: TimelineFile, What: "missing its last seconds"}, 1)
	}
}

func (r *Run) ledgers(states map[string]fileState) []ledger {
	samples := ledger{file: SamplesFile, there: uint64(len(r.Samples)), counted: func(t *Tick) uint64 { return t.Ended + t.Unsent },
		ends: func() []time.Duration {
			return mapped(r.Samples, func(s *load.Sample) time.Duration { return s.Done })
		}}
	samples.twice, samples.first = repeated(r.Samples, func(a, b *load.Sample) bool {
		return *a == *b || a.ID > 0 && a.ID == b.ID && a.Route == b.Route && a.Step == b.Step && a.Intended == b.Intended
	}, func(s *load.Sample) time.Duration { return s.Done })
	all := []ledger{samples}
	for _, name := range slices.Sorted(maps.Keys(r.Links)) {
		list := r.Links[name].Exchanges
		end := func(x *Exchange) time.Duration { return x.End }
		l := ledger{file: ExchangesFile(name), there: uint64(len(list)), counted: func(t *Tick) uint64 { return t.Links[name].Ended },
			ends: func() []time.Duration { return mapped(list, end) }}
		l.twice, l.first = repeated(list, func(a, b *Exchange) bool { return a.Seq > 0 && a.Seq == b.Seq }, end)
		all = append(all, l)
	}
	if len(r.Access) > 0 {
		all = append(all, r.valueLedger())
	}
	for i := range all {
		all[i].state = states[all[i].file]
	}
	return all
}

// compare notes the flaws of a file. Of known records the run itself said that it lost
// them, in some file; it returns how many of them are this one's.
func (r *Run) compare(l ledger, known uint64) (told uint64) {
	var counted uint64
	for _, t := range r.counting() {
		counted += l.counted(&t)
	}
	var flaws []Flaw
	if l.state.torn && !r.Partial { // a torn last line is what a kill leaves; here a record was lost
		flaws = append(flaws, Flaw{What: "torn", Records: 1})
	}
	if l.twice > 0 {
		from, to := r.secondOf(l.first)
		flaws = append(flaws, Flaw{What: "there twice", Records: l.twice, From: from, To: to})
	}
	switch n := l.there - l.twice; {
	case n < counted:
		told = min(known, counted-n)
		if missing := counted - n - told; missing > 0 {
			from, to := r.firstOff(l, +1)
			flaws = append(flaws, Flaw{What: "missing", Records: missing, From: from, To: to})
		}
	case n > counted && r.hasEnd:
		from, to := r.firstOff(l, -1)
		flaws = append(flaws, Flaw{What: "added", Records: n - counted, From: from, To: to})
	}
	if i := l.state.wrong; i >= 0 {
		from, to := r.TickFrom(i), r.Ticks[i].At
		if len(flaws) == 0 {
			flaws = append(flaws, Flaw{What: "changed since it was written"})
		}
		for k := range flaws { // this is exact
			flaws[k].From, flaws[k].To = max(0, from), to
		}
	} else if l.state.beyond && r.hasEnd && len(flaws) == 0 {
		flaws = append(flaws, Flaw{What: "longer than it was written"})
	}
	for _, f := range flaws {
		f.File = l.file
		r.flaw(f, max(1, f.Records))
	}
	return told
}

// flaw adds a flaw, which leaves so many records in doubt.
func (r *Run) flaw(f Flaw, records uint64) {
	r.Flaws = append(r.Flaws, f)
	r.Lost[f.File] += records
}

// secondOf is the tick that a moment is in.
func (r *Run) secondOf(at time.Duration) (from, to time.Duration) {
	i := sort.Search(len(r.Ticks), func(i int) bool { return r.Ticks[i].At >= at })
	if i == len(r.Ticks) {
		return 0, 0
	}
	return max(0, r.TickFrom(i)), r.Ticks[i].At
}

// settled is how much later than a record ended it may have been counted, for naming
// the second of a flaw. No ruling depends on it.
const settled = 200 * time.Millisecond

// firstOff is the first tick up to which clearly fewer records ended than were counted,
// or with a sign of -1 clearly more. Both are 0 if there is none.
func (r *Run) firstOff(l ledger, sign int) (from, to time.Duration) {
	ends := l.ends()
	slices.Sort(ends)
	var counted int
	for i, t := range r.counting() {
		counted += int(l.counted(&t))
		until := t.At + time.Duration(sign)*settled
		n, _ := slices.BinarySearch(ends, until+1)
		if sign*(counted-n) > 0 {
			return max(0, r.TickFrom(i)), t.At
		}
	}
	return 0, 0
}

// repeated is how many records, in order, are those before them again, and when the
// first of them ended.
func repeated[T any](all []T, same func(a, b *T) bool, end func(*T) time.Duration) (n uint64, first time.Duration) {
	for i := 1; i < len(all); i++ {
		if same(&all[i-1], &all[i]) {
			if n == 0 || end(&all[i]) < first {
				first = end(&all[i])
			}
			n++
		}
	}
	return n, first
}

func mapped[T any](all []T, of func(*T) time.Duration) []time.Duration {
	list := make([]time.Duration, len(all))
	for i := range all {
		list[i] = of(&all[i])
	}
	return list
}
