package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// finding gathers the parts of one claim and makes the verdict of them.
type finding struct {
	run         *evidence.Run
	claim, kind string
	numbers     Numbers
	parts       []Part
	void        string
	leans       leaning
	rested      []stretch // what the claim rests on; nil until rests was called
	exhibits    []Exhibit
	example     example
}

// stretch is a part of a run, both ends included.
type stretch struct{ from, to time.Duration }

// find begins a finding.
func find(run *evidence.Run, c Claim, kind string) *finding {
	return &finding{run: run, claim: c.String(), kind: kind}
}

// rests says on which stretch of the run the claim rests, and on what the
// harness may have spoilt there. Nothing has held, and nothing is refuted, of
// which the harness itself cannot tell; and nothing has held of a system that
// had ended by itself. A claim that compares stretches calls it once for each;
// one that never does rests on the whole run.
func (f *finding) rests(from, to time.Duration, leans leaning) {
	f.rested = append(f.rested, stretch{from, to})
	f.leans |= leans
	f.distrust(blind(f.run, from, to, leans))
	f.outlived(to)
}

// over says of which links' exchanges the claim asks. Where connections could not
// be read, calls may have gone by without a record.
func (f *finding) over(links ...string) {
	for _, name := range links {
		if l := f.run.Links[name]; l != nil && l.Unread > 0 {
			f.distrust(fmt.Sprintf("%s on %q could not be read (first a %s), so that calls may have gone over it unseen",
				were(int(l.Unread), "connection", "connections"), name, l.FirstUnread))
		}
	}
}

// distrust makes the claim inconclusive whatever else was found: the harness
// cannot tell. The first reason counts; "" is none.
func (f *finding) distrust(reason string) {
	f.void = cmp.Or(f.void, reason)
}

// verdict rules.
func (f *finding) verdict() Verdict {
	f.distrust(incomplete(f.run)) // also of a claim that came to rest on nothing: that may be why
	if len(f.rested) == 0 && rulingOf(f.parts) == Held {
		f.rests(0, f.run.End, onDue|onTimes|onLoad)
	}
	if why, stands := despite(f.run, f.rested, f.leans); !stands && rulingOf(f.parts) == Held {
		f.distrust(why)
	}
	v := Verdict{Claim: f.claim, Kind: f.kind, Numbers: f.numbers, Parts: f.parts}
	v.Ruling = rulingOf(f.parts)
	v.Reason = reasonOf(f.parts, v.Ruling)
	if gone := goneText(f.run); gone != "" && (f.void != "" || v.Ruling != Refuted) {
		besides := f.void
		if besides == "" && v.Ruling == Inconclusive {
			besides = v.Reason
		}
		f.void = gone // whatever else there is: most of it comes of that
		if besides != "" {
			f.void += ". Besides, " + besides
		}
	}
	if f.void != "" {
		var seen []string
		for _, p := range f.parts {
			if p.Ruling == Refuted {
				seen = append(seen, p.Reason)
			}
		}
		v.Ruling, v.Void, v.Reason, v.Parts = Inconclusive, f.void, f.void, undecided(f.parts)
		v.Exhibits = f.closer(v.Ruling)
		if len(seen) > 0 {
			v.Reason += ". What was seen may not be the system's: " + strings.Join(seen, "; ")
		}
		return v
	}
	if v.Ruling == Refuted {
		var ids []uint64
		for _, p := range f.parts {
			if p.Ruling == Refuted && !p.Note {
				ids = append(ids, p.IDs...)
			}
		}
		v.IDs = firstIDs(ids)
	}
	if v.Ruling == Held {
		v.Despite, _ = despite(f.run, f.rested, f.leans)
	}
	v.Exhibits = f.closer(v.Ruling)
	return v
}

// undecided are the parts of a claim of which the harness cannot tell.
func undecided(parts []Part) []Part {
	parts = slices.Clone(parts)
	for i := range parts {
		if !parts[i].Note {
			parts[i].Ruling = Inconclusive
		}
	}
	return parts
}

// firstIDs returns the lowest MaxIDs different ids, 0 left out.
func firstIDs(ids []uint64) []uint64 {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	ids = slices.DeleteFunc(ids, func(id uint64) bool { return id == 0 })
	return ids[:min(len(ids), MaxIDs)]
}

// often prints how many times: never, once, 3 times.
func often(n int) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
