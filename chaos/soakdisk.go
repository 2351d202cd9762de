//go:build unix

package chaos

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/series"
	"github.com/stormctl/stormctl/chaos/timeline"
	"github.com/stormctl/stormctl/targets"
)

// What a soak writes at most, in bytes. A histogram of many values takes more than one of
// few, and the most that was seen of a second is a quarter of this.
const (
	boundOfTick  = 1 << 10 // of a second, and again for each route and link
	boundOfLine  = 3 << 10 // of a histogram log
	boundOfFault = 1 << 10 // of an injection and its heal
	boundOfClaim = 3 << 10 // of what a claim came to in a chapter
	boundOfRest  = 8 << 20 // experiment, certificates, notes
)

// bound is how many bytes the run directory of a soak has at most while it goes on and
// at its end, what its reports take apart.
func (s *soak) bound(x *experiment.Experiment, h *evidence.Header, faults timeline.Timeline, most int64) int64 {
	n := int64(s.plan.Count())
	files := int64(1 + len(h.Links))
	evidenceBound := min(int64(x.Soak.Settled().Disk), n*files*most) + min(n, openChapters+1)*files*most
	routes := int64(len(h.Routes))
	lines := 1 + 2*routes + int64(len(h.Links))
	logs := secondsKept(s.plan.End) * (boundOfTick*(1+routes+int64(len(h.Links))) + boundOfLine*lines)
	var injections int64
	for _, e := range faults {
		injections++
		if e.Every > 0 {
			injections += int64((s.plan.End - e.At) / e.Every)
		}
	}
	events := injections*boundOfFault + n*int64(len(x.Claims)+1)*boundOfClaim
	outputs := int64(len(x.Targets)) * targets.MaxOutput
	return evidenceBound + logs + events + outputs + series.MaxBytes + boundOfRest
}

// openChapters is how many chapters there are at most that are not compressed: the
// present one, one whose requests are under way, and those that wait to be judged. The
// latest that was judged is kept whatever its size.
const openChapters = 2 + mostWaiting

// secondsKept is how many lines a log of a soak of such a length has at most: see
// rollup.DefaultRetention.
func secondsKept(length time.Duration) int64 {
	fine := min(length, 2*time.Hour)
	middle := min(length-fine, 24*time.Hour)
	coarse := length - fine - middle
	return int64(fine/time.Second+middle/(10*time.Second)+coarse/time.Minute) + 3
}

// sizeText is a number of bytes for people: "312 MiB".
func sizeText(n int64) string {
	if n >= 10<<30 {
		return fmt.Sprintf("%d GiB", (n+(1<<30)-1)>>30)
	}
	return fmt.Sprintf("%d MiB", (n+(1<<20)-1)>>20)
}
