package chapters

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Row finds out which chapters of a soak are missing: they are numbered from 1, and follow
// each other up to its end, but for the gaps in which the harness was not running.
type Row struct {
	last     int // number of the latest
	to       time.Duration
	from, by int // the first and the last of the first that are missing; 0 if none are
}

// Add takes in a chapter, in their order.
func (r *Row) Add(e *Entry) {
	if e.Number != r.last+1 && r.from == 0 {
		r.from, r.by = r.last+1, e.Number-1
	}
	r.last, r.to = e.Number, max(r.to, e.To.Duration())
}

// aside is by how much the last chapter may end before the soak, as seconds are counted.
const aside = time.Second

// Missing says which chapters are not there, of a soak that ended at end with gaps, by
// when they began; "" if none is. An end of 0 is not known.
func (r *Row) Missing(end time.Duration, gaps []evidence.Gap) string {
	to := r.to
	for _, g := range gaps {
		if g.From.Duration() <= to+aside {
			to = max(to, g.To.Duration())
		}
	}
	switch {
	case r.from > 0 && r.from >= r.by:
		return fmt.Sprintf("chapter %d is missing", r.from)
	case r.from > 0:
		return fmt.Sprintf("chapters %d to %d are missing", r.from, r.by)
	case end > to+aside:
		return fmt.Sprintf("the chapters from %s on are missing", short(to))
	}
	return ""
}
