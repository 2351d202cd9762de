package judge

import (
	"fmt"
	"strings"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// A fault that did not do its part leaves nothing to rule on: the system was
// not put to the test, so that nothing has held, whatever a claim looks at. What
// the evidence contradicts it contradicts all the same.

// Missing says of each fault that did not do its part what it was: it was
// planned and never injected, or it was in force on a link and touched none of
// the calls that came. It is nil if all did theirs, and for a run in which
// nothing was injected because the system was not steady.
//
// A run that was cut short lacks only what was tried: what it did not come to
// is beyond its horizon.
func Missing(run *evidence.Run) []string {
	if run.NotSteady != "" {
		return nil
	}
	var missing []string
	add := func(format string, args ...any) { missing = append(missing, fmt.Sprintf("fault "+format, args...)) }
	for _, f := range run.Faults {
		switch {
		case f.Injected < 0 && f.Error != "":
			add("%q was not injected: %s", f.Name, f.Why)
		case f.Injected < 0 && !run.Partial:
			add("%q was not injected: the load had ended before its turn came", f.Name)
		case !unmarked(run, f):
		case unused(run, f):
			add("%q hit nothing: no call went over %q in the whole run"+noCalls, f.Name, f.On)
		default:
			if n := passedBy(run, f); n > 0 {
				add("%q hit none of the %s that came over %q while it was in force", f.Name, were(n, "call", "calls"), f.On)
			}
		}
	}
	return missing
}

// Spared says of each fault of a link that hit nothing because no call came
// while it was in force. Whether it did its part cannot be told: an open
// breaker spares a link its calls, and so does a load that leads elsewhere.
func Spared(run *evidence.Run) []string {
	var spared []string
	for _, f := range run.Faults {
		if unmarked(run, f) && !unused(run, f) && passedBy(run, f) == 0 {
			spared = append(spared, fmt.Sprintf("fault %q hit nothing: no call came over %q while it was in force, "+
				"so that what held says nothing about it", f.Name, f.On))
		}
	}
	return spared
}

// unmarked reports whether a fault came and went on a link whose records are
// whole, and left its mark nowhere. What happens to a target, or is done by a
// command, never leaves one.
func unmarked(run *evidence.Run, f evidence.Injection) bool {
	link := run.Links[f.On]
	switch {
	case link == nil || !f.Does().Marks || f.Injected < 0 || f.Hit > 0 || len(run.Lost) > 0:
		return false
	case f.Healed < 0 || run.Partial && f.Healed > horizon(run):
		return false // what it has hold of is recorded when that ends
	}
	type key struct{ link string } // of what all faults of the link share
	return evidence.Memoized(run, key{link.Name}, recordsOf(link.Exchanges), link.Hits)[f.Index] == 0
}

// passedBy counts the calls that came while a fault was in force on their link.
// Those at its edges may have come before or after; but however noisy the host is,
// those in its middle half did not, or a fault that is shorter than twice the noise
// could miss everything and be taken for one that was spared.
func passedBy(run *evidence.Run, f evidence.Injection) int {
	edge := min(run.Noise(f.Injected, f.Healed), (f.Healed-f.Injected)/4)
	return len(run.Links[f.On].Window(f.Injected+edge, f.Healed-edge))
}

// unused reports whether nothing ever went over the link of a fault. A call
// may have come where connections were refused, which leaves no record, or on
// a connection from the warm-up.
func unused(run *evidence.Run, f evidence.Injection) bool {
	return len(run.Links[f.On].Exchanges) == 0 && !f.Does().Refuses && run.Warmup == nil
}

// missingShown is how many faults a reason names.
const missingShown = 3

// Lacking is the verdict in a run in which faults were missing: nothing has
// held in it. What is refuted stays so.
func (v Verdict) Lacking(missing []string) Verdict {
	if len(missing) == 0 || v.Ruling == Refuted {
		return v
	}
	why := strings.Join(missing[:min(len(missing), missingShown)], "; ")
	if more := len(missing) - missingShown; more > 0 {
		why += fmt.Sprintf("; and %d more", more)
	}
	between := "; "
	if v.Ruling == Held {
		between = ". Seen besides: "
	}
	v.Ruling, v.Void, v.Reason, v.Parts, v.Despite = Inconclusive, why, why+between+v.Reason, undecided(v.Parts), ""
	return v
}
