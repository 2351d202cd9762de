package series

import (
	"cmp"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

const (
	windowBefore = 30 * time.Second
	windowAfter  = 60 * time.Second
)

// stretch is where a window is: from whole seconds to whole seconds.
type stretch struct {
	fault    int // where in the list of faults
	from, to time.Duration
}

// around are the windows of one fault.
func around(k int, f *evidence.Injection) []stretch {
	within := func(from, to time.Duration) stretch {
		return stretch{k, max(0, from.Truncate(time.Second)-windowBefore), to.Truncate(time.Second) + windowAfter}
	}
	if f.Healed < f.Injected {
		return []stretch{within(f.Injected, f.Injected)}
	}
	if one := within(f.Injected, f.Healed); one.to-one.from <= WindowColumns*time.Second {
		return []stretch{one}
	}
	return []stretch{within(f.Injected, f.Injected), within(f.Healed, f.Healed)}
}

// windows are the stretches around faults, by their beginnings: of too many those with
// a proof in them, and the earliest. What lies within another is left out.
func windows(faults []evidence.Injection, proofs []time.Duration, end time.Duration) []stretch {
	var all []stretch
	for k := range faults {
		if faults[k].Injected < 0 {
			continue
		}
		for _, w := range around(k, &faults[k]) {
			if w.from < end {
				all = append(all, w)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b stretch) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to)) })
	var apart []stretch
	for _, w := range all {
		if !slices.ContainsFunc(apart, func(o stretch) bool { return o.from <= w.from && w.to <= o.to }) {
			apart = append(apart, w)
		}
	}
	proves := func(w stretch) int {
		if slices.ContainsFunc(proofs, func(at time.Duration) bool { return w.from <= at && at < w.to }) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(apart, func(a, b stretch) int { return cmp.Compare(proves(a), proves(b)) })
	apart = apart[:min(len(apart), MaxWindows)]
	slices.SortStableFunc(apart, func(a, b stretch) int { return cmp.Compare(a.from, b.from) })
	return apart
}
