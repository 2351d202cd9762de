package chapters

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Sequence finds out which chapters of a soak are missing: they are numbered from 1, and
// follow each other up to its end, but for the gaps in which the harness was not running.
type Sequence struct {
	last     int // number of the latest
	to       time.Duration
	from, by int // the first and the last of the first that are missing; 0 if none are
}

// Add takes in a chapter, in their order.
func (s *Sequence) Add(e *Entry) {
	if e.Number != s.last+1 && s.from == 0 {
		s.from, s.by = s.last+1, e.Number-1
	}
	s.last, s.to = e.Number, max(s.to, e.To.Duration())
}

// aside is by how much the last chapter may end before the soak, as seconds are counted.
const aside = time.Second

// Missing says which chapters are not there, of a soak that ended at end with gaps, by
// when they began; "" if none is. An end of 0 is not known.
func (s *Sequence) Missing(end time.Duration, gaps []evidence.Gap) string {
	to := s.to
	for _, g := range gaps {
		if g.From.Duration() <= to+aside {
			to = max(to, g.To.Duration())
		}
	}
	switch {
	case s.from > 0 && s.from >= s.by:
		return fmt.Sprintf("chapter %d is missing", s.from)
	case s.from > 0:
		return fmt.Sprintf("chapters %d to %d are missing", s.from, s.by)
	case end > to+aside:
		return fmt.Sprintf("the chapters from %s on are missing", short(to))
	}
	return ""
}
