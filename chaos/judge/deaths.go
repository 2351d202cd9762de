package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// A target that ended and that no fault ended is part of no plan. What a fault
// kills, restarts or stops is not in evidence.Run.Deaths.
//
// Where the system under test ended, nothing that a claim says of the time
// after it has held: what was contradicted stays so, for a system that ends is
// the system's own doing. Where a dependency ended, the time after it is not
// the experiment that was planned: it proves neither way. A claim that rests on
// the time before may hold, and says so.

// ofSystem reports whether a target belongs to the system under test: it calls
// another one over a link, or no link leads to it, so that it is nobody's
// dependency.
func ofSystem(run *evidence.Run, target string) bool {
	dependency := false
	for _, l := range run.Links {
		if l != nil && l.From == target {
			return true
		}
		dependency = dependency || l != nil && l.To == target
	}
	return !dependency
}

// deathText says which target ended, when, and how: "checkout" ended by itself at 6.2 s
// (exit status 3).
func deathText(d evidence.Death) string {
	text := fmt.Sprintf("%q ended by itself at %s", d.Target, short(d.At))
	how, _, _ := strings.Cut(d.Text, "\n")
	how, _, _ = strings.Cut(how, "; ") // what it wrote last
	if how = strings.TrimPrefix(how, d.Target+" ended by itself: "); how != "" {
		text += " (" + how + ")"
	}
	return text
}

// died lists the deaths up to a moment, and those after it. One that was seen
// later by the host's noise happened before.
func died(run *evidence.Run, to time.Duration) (by, after []evidence.Death) {
	noise := run.Noise(to, to)
	for _, d := range run.Deaths {
		if d.At-noise <= to {
			by = append(by, d)
		} else {
			after = append(after, d)
		}
	}
	return by, after
}

// outlived takes into account which targets had ended before a moment up to which the
// claim rests on the run.
func (f *finding) outlived(to time.Duration) {
	by, _ := died(f.run, to)
	for _, d := range by {
		if !ofSystem(f.run, d.Target) {
			f.distrust(deathText(d) + ", which no kill or restart of the plan did: what came after it is not the work of the faults")
			continue
		}
		reason := deathText(d) + ", which no kill or restart of the plan did: nothing after it shows that a claim is kept: " +
			"look at its log for why"
		if !slices.ContainsFunc(f.parts, func(p Part) bool { return p.Reason == reason }) {
			f.open("alive", "%s", reason)
		}
	}
}
