package compare

import (
	"fmt"
	"slices"
	"strings"
)

// fewestWell is how many runs of a side must be left where unwell ones are left out.
const fewestWell = 3

// unwell are the runs of either side that are left out, because the machine was taken
// from the harness: each with why.
type unwell struct{ base, now []string }

// withoutUnwell leaves out of rounds the runs whose harness was unwell, as long as
// enough are left. Of two equal systems what is left is alike on both sides, so that
// none is called worse for it. A run in which requests were not sent, of which records
// are missing or which was cut short is none of them: that may be the system's own doing.
func (s Sides) withoutUnwell() (kept Sides, out unwell) {
	if s.Way() != Rounds {
		return s, unwell{}
	}
	kept = s
	kept.Base, out.base = wellOf(s.Base)
	kept.Now, out.now = wellOf(s.Now)
	if min(len(kept.Base), len(kept.Now)) < fewestWell {
		return s, unwell{}
	}
	return kept, out
}

func wellOf(runs []Run) (well []Run, out []string) {
	for _, r := range runs {
		if len(r.Unwell) > 0 && len(r.Damaged) == 0 && r.Partial == "" {
			out = append(out, fmt.Sprintf("%s (%s)", base(r.Dir), strings.Join(beginnings(r.Unwell), "; ")))
			continue
		}
		well = append(well, r)
	}
	return well, out
}

// uneven reports whether more are left out of the new side than of the old, by more
// than chance does often: a system that takes the machine from the harness makes its
// own runs unwell, and without them it would look no worse.
func (u unwell) uneven() bool { return len(u.now) > len(u.base)+1 }

func (u unwell) notes() (all []string) {
	if len(u.base)+len(u.now) > 0 {
		all = append(all, fmt.Sprintf("left out, because the harness was unwell: %s", strings.Join(slices.Concat(u.base, u.now), ", ")))
	}
	return all
}
