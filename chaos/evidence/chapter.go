package evidence

import (
	"time"
)

// Chapter is a closed stretch of a soak. Its records are in a folder of their own,
// which is read as a run whose clock begins with it: all that is in the files counts
// from the beginning of the soak, and Read takes From off.
//
// A request belongs to the chapter in which it was due, with its steps and with every
// call that it caused, whenever those ended.
type Chapter struct {
	Number int     `json:"number"` // from 1
	From   Seconds `json:"from_s"` // on the clock of the soak
	To     Seconds `json:"to_s"`   // as it was planned; its end says when it was
}

// Gap is a stretch of a soak in which the harness was not there: it was killed and
// resumed, or the machine was suspended. Times are on the clock of the soak.
type Gap struct {
	From Seconds `json:"from_s"`
	To   Seconds `json:"to_s"`
	Why  string  `json:"why"`
}

// mostRounds bounds the injections of a soak that are kept one by one: the latest.
const mostRounds = 1000

// rebase puts the records on the clock of the chapter.
func (r *Run) rebase() {
	by := r.from
	if by == 0 {
		return
	}
	for i := range r.Samples {
		shift(&r.Samples[i], by)
	}
	for _, l := range r.Links {
		for i := range l.Exchanges {
			l.Exchanges[i].Begin -= by
			l.Exchanges[i].End -= by
		}
	}
}

// beginChapter takes in what the header says of a chapter.
func (r *Run) beginChapter(c *Chapter) {
	r.Chapter, r.from = c, c.From.Duration()
	r.Started = r.Started.Add(r.from)
	for i := range r.Faults {
		r.Faults[i].At -= c.From
	}
	if c.Number > 1 && r.Warmup == nil {
		r.Warmup = &Warmup{Length: c.From} // so that nobody takes it for all that ever came
	}
}

// fault is where the fault of an event is, which is counted from 1: in a chapter are
// those of the experiment that come in it. It is -1 if there is none.
func (r *Run) fault(number int) int {
	at := number - 1
	if at >= 0 && at < len(r.Faults) && (r.Chapter == nil || r.Faults[at].Index == at) {
		return at
	}
	for i := range r.Faults {
		if r.Faults[i].Index == at {
			return i
		}
	}
	return -1
}

// round takes in that a fault of a soak came, and may come again.
func (r *Run) round(i Injection) {
	if len(r.Rounds) == mostRounds {
		r.Rounds = append(r.Rounds[:0], r.Rounds[mostRounds/10:]...)
	}
	r.Rounds = append(r.Rounds, i)
}

// ends takes in that the latest round of a fault is over.
func (r *Run) ends(index int, at time.Duration, hit uint64, why string) {
	for i := len(r.Rounds) - 1; i >= 0; i-- {
		if f := &r.Rounds[i]; f.Index == index {
			if why == "" {
				f.Healed = at
			}
			f.Hit, f.Error = hit, why
			return
		}
	}
}
