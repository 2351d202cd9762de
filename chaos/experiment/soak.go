package experiment

import (
	"cmp"
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Soak is for a run that is longer than a chapter, or whose faults repeat: it is judged
// chapter by chapter, while it goes on (docs/soak.md).
type Soak struct {
	// How long a chapter is where no event has every:, with which it is as long as that; absent means 10m, or less at a rate at
	// which that is more than can be judged at once. The border is
	// moved to where no fault is in force. A run that is no longer than a chapter and half of one is not cut.
	Chapter time.Duration `yaml:"chapter"`
	// Of so many chapters that held the evidence is kept, drawn from all of them, beside that of the first, the last, and
	// those that did not hold; absent means 8.
	Keep int `yaml:"keep"`
	// A claim that could not be told in more than this share of the chapters is inconclusive; absent means 5%.
	MaxInconclusive unit.Share `yaml:"max_inconclusive"`
	// Room for the evidence of closed chapters, compressed: past it the sample makes room, then the latest that did not
	// hold; absent means 1GiB.
	Disk unit.Size `yaml:"disk"`
}

// What is meant where a file does not say.
const (
	chapterLength   = 10 * time.Minute
	chaptersKept    = 8
	maxInconclusive = unit.Share(0.05)
	chaptersDisk    = unit.Size(1 << 30)
)

// Settled is the section with what is meant where it does not say.
func (s Soak) Settled() Soak {
	s.Chapter = cmp.Or(s.Chapter, chapterLength)
	s.Keep = cmp.Or(s.Keep, chaptersKept)
	s.MaxInconclusive = cmp.Or(s.MaxInconclusive, maxInconclusive)
	s.Disk = cmp.Or(s.Disk, chaptersDisk)
	return s
}

// Repeats is after how long the faults that repeat come again; 0 if none does.
func (x *Experiment) Repeats() time.Duration {
	for _, e := range x.Chaos {
		if e.Every > 0 {
			return e.Every
		}
	}
	return 0
}

// What is judged at once takes some 250 bytes of memory and 75 of disk a request, and its
// file of records has a bound (evidence.MaxFileSize): a run of more than mostWhole requests is
// cut though it is short, into chapters of about inChapter.
const (
	mostWhole = 10_000_000
	inChapter = 3_000_000
	shortest  = 10 * time.Second
)

// InChapters reports whether a run with a load of such a length is judged chapter by
// chapter, and how long those are.
func (x *Experiment) InChapters(length time.Duration) (chapter time.Duration, is bool) {
	if chapter = x.Repeats(); chapter > 0 {
		return chapter, true
	}
	if x.Load.stateful() { // what one chapter writes the next one reads
		return 0, false
	}
	chapter = x.Soak.Settled().Chapter
	if peak := x.Load.peak(); x.Soak.Chapter == 0 && peak*length.Seconds() > mostWhole {
		fits := time.Duration(inChapter / peak * float64(time.Second)).Truncate(time.Second)
		chapter = min(chapter, max(fits, shortest))
	}
	return chapter, length >= chapter+chapter/2
}

// stateful reports whether what is judged are values that requests write and read, or
// what there is in the end: that is of the whole run, and no chapter can be judged apart.
func (l Load) stateful() bool { return len(l.Access()) > 0 || len(l.Audit) > 0 }

// peak is the highest rate of the load, per second; 0 if a file says when arrivals come.
func (l Load) peak() float64 {
	peak := l.Rate
	for _, s := range l.Stages {
		if s.To != nil {
			peak = max(peak, *s.To)
		}
	}
	if l.Spike != nil {
		peak = max(peak, l.Spike.From, l.Spike.To)
	}
	if l.Sine != nil {
		peak = max(peak, l.Sine.Mean+l.Sine.Amplitude)
	}
	return float64(peak)
}

// soak checks the section.
func (r *rules) soak() {
	r.positive("soak.chapter", r.x.Soak.Chapter > 0)
	r.positive("soak.keep", r.x.Soak.Keep > 0)
	r.positive("soak.max_inconclusive", r.x.Soak.MaxInconclusive > 0)
	if at, every := strict.Path("soak.chapter"), r.x.Repeats(); r.Sound(at) && r.Has(at) && every > 0 && r.x.Soak.Chapter != every {
		r.Wrong(at, fmt.Sprintf("chapter: the faults repeat after %s, and a chapter is as long as that", unit.FormatDuration(every)),
			"leave it out")
	}
	if at := strict.Path("soak.chapter"); r.Sound(at) && r.x.Load.peak()*r.x.Soak.Chapter.Seconds() > mostWhole {
		r.Wrong(at, fmt.Sprintf("chapter: %s have more than %d requests at this rate, which are too many to be judged at once",
			unit.FormatDuration(r.x.Soak.Chapter), mostWhole), "make it shorter, or leave it out for what fits")
	}
	if at := strict.Path("soak.chapter"); r.Sound(at) && r.x.Soak.Chapter < time.Second {
		r.Wrong(at, "chapter: is shorter than a second", "a chapter of seconds has hardly anything to be judged by; 10m is usual")
	}
	if at := strict.Path("soak.disk"); r.Sound(at) && r.x.Soak.Disk < 1<<20 {
		r.Wrong(at, "disk: is less than 1MiB", "it is to hold the evidence of a chapter at least")
	}
}

// repeats checks when an event comes again.
func (r *rules) repeats(i int) {
	e, path := &r.x.Chaos[i], strict.Path("chaos").Item(i)
	at := path.Child("every")
	if !r.Sound(at) || !r.Has(at) {
		r.once(path, e)
		return
	}
	over := e.At + e.Lasts()
	switch every := r.x.Repeats(); {
	case e.Every < time.Second:
		r.Wrong(at, "every: is shorter than a second", "a chapter is as long as that")
	case r.x.Load.stateful():
		r.Wrong(at, "every: does not go with data that requests write and read, or with an audit",
			"a run whose faults repeat is judged chapter by chapter, and what one has written the next one reads: "+
				"list each event by itself")
	case e.Every != every:
		r.Wrong(at, fmt.Sprintf("every: this is %s, and another event has %s", unit.FormatDuration(e.Every), unit.FormatDuration(every)),
			"a soak is cut into chapters where its faults repeat: give all the same, and several events where one is to come more often")
	case e.Kill != nil && e.Kill.ForGood:
		r.Wrong(at, "every: does not go with for_good", "what is dead for good cannot be killed again")
	case r.x.Load.peak()*e.Every.Seconds() > mostWhole:
		r.Wrong(at, fmt.Sprintf("every: in %s there are more than %d requests at this rate, which are too many to be judged at once",
			unit.FormatDuration(e.Every), mostWhole), "a chapter is as long: let the faults come more often, or offer less")
	case over > e.Every:
		r.Wrong(at, fmt.Sprintf("every: the fault is there until %s, and is to come again after %s", unit.FormatDuration(over),
			unit.FormatDuration(e.Every)), "count at: from the beginning of each chapter, and let it be healed within it")
	case r.length > 0 && e.Every >= r.length:
		r.Wrong(at, fmt.Sprintf("every: %s is not within the load", unit.FormatDuration(e.Every)), r.end()+
			"; leave it out for what comes once")
	}
}

// once checks an event that comes once among others that repeat: it must not be in
// force where the soak is cut.
func (r *rules) once(path strict.Path, e *Event) {
	every := r.x.Repeats()
	if every == 0 || !r.Sound(path.Child("at")) {
		return
	}
	if over := e.At + e.Lasts(); e.At/every != over/every || e.Kill != nil && e.Kill.ForGood {
		r.Wrong(path.Child("at"), fmt.Sprintf("at: it is in force at %s, where the soak is cut because others repeat",
			unit.FormatDuration((e.At/every+1)*every)), "let it be healed before, or begin later")
	}
}
