package series

import (
	"maps"
	"slices"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// MaxTargets bounds the targets that have columns.
const MaxTargets = 10

// Target is what the processes of a target took that the run has started: the least and
// the most of the seconds of each column, −1 where it was not weighed.
type Target struct {
	Name    string `json:"name"`
	RSS     Gauge  `json:"rss_mib"`    // memory that is resident
	Files   Gauge  `json:"open_files"` // descriptors
	Threads Gauge  `json:"threads"`
}

// weigh takes what the targets took in a second. Windows have none.
func (c *columns) weigh(i int, targets map[string]evidence.TargetTick) {
	if c.to > 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		at := slices.IndexFunc(c.series.Targets, func(t Target) bool { return t.Name == name })
		if at < 0 {
			if len(c.series.Targets) == MaxTargets {
				continue
			}
			at = len(c.series.Targets)
			c.series.Targets = append(c.series.Targets, Target{Name: name})
		}
		t, w := &c.series.Targets[at], targets[name]
		t.RSS.add(i, rounded(float64(w.RSS)/(1<<20), 3))
		t.Files.add(i, float64(w.Files))
		t.Threads.add(i, float64(w.Threads))
	}
}

// add takes what was seen in a column; a negative figure is not known.
func (g *Gauge) add(i int, v float64) {
	worst(&g.Most, i, -1, v)
	g.Least = grown(g.Least, i+1, -1)
	if least := &g.Least[i]; v >= 0 && (*least < 0 || v < *least) {
		*least = v
	}
}

// end makes all lists of one length.
func (t *Target) end(n int) {
	for _, g := range []*Gauge{&t.RSS, &t.Files, &t.Threads} {
		g.Least, g.Most = grown(g.Least, n, -1), grown(g.Most, n, -1)
	}
}
