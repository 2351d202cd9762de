package judge

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// levelStep is the step of a level, where there are not too many.
const levelStep = 100 * time.Millisecond

// levelOf is how many exchanges were in flight on a link, from the start of the load until
// the last arrival was due, as recorded. A limit of 0 was not claimed.
func levelOf(run *evidence.Run, link *evidence.Link, limit int) Exhibit {
	end := max(0, run.End)
	step := round(levelStep, func(step time.Duration) bool { return end/step < MaxPoints })
	most := make([]int, int(end/step)+1)
	p := profileOver(run, link, asSeen)
	before := p.at(0) // in flight up to the moment that is looked at
	at := 0           // the step that this is in
	most[0] = before
	top, when := before, time.Duration(0)
	for moment, n := range p.steps(0) {
		i := int(moment / step)
		for ; at < min(i, len(most)-1); at++ {
			if next := at + 1; next < i || moment > time.Duration(i)*step {
				most[next] = max(most[next], before)
			}
		}
		if i >= len(most) {
			break
		}
		most[i] = max(most[i], n)
		if before = n; n > top {
			top, when = n, moment
		}
	}
	title := fmt.Sprintf("up to %d in flight on %q at one time, first at %s", top, link.Name, short(when))
	if limit > 0 {
		title += fmt.Sprintf("; at most %d are claimed", limit)
	}
	return Exhibit{Kind: KindLevel, Title: title, Part: "limit",
		Level: &Level{Link: link.Name, Step: evidence.Seconds(step), Most: most, Limit: limit}}
}
