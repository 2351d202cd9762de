package judge

import (
	"fmt"
	"slices"
	"strings"
)

// finding gathers what the parts of one claim came to and makes the verdict.
// A refuted part refutes the claim; a part in doubt keeps it from having held.
type finding struct {
	claim, kind string
	numbers     Numbers
	facts       []string // what stood, in reading order
	doubts      []string
	refutations []string
	ids         []uint64
	void        string
}

func find(c Claim, kind string) *finding { return &finding{claim: c.String(), kind: kind} }

// note adds a fact to the reason.
func (f *finding) note(format string, args ...any) {
	f.facts = append(f.facts, fmt.Sprintf(format, args...))
}

// doubt keeps the claim from having held: something was missing.
func (f *finding) doubt(format string, args ...any) {
	f.doubts = append(f.doubts, fmt.Sprintf(format, args...))
}

// refute says what contradicts the claim, with the ids of the requests that
// prove it.
func (f *finding) refute(ids []uint64, format string, args ...any) {
	f.refutations = append(f.refutations, fmt.Sprintf(format, args...))
	f.ids = append(f.ids, ids...)
}

// part files what one part of the claim came to under its ruling.
func (f *finding) part(r Ruling, ids []uint64, format string, args ...any) {
	switch r {
	case Held:
		f.note(format, args...)
	case Refuted:
		f.refute(ids, format, args...)
	default:
		f.doubt(format, args...)
	}
}

// distrust makes the claim inconclusive whatever else was found: the harness
// cannot tell. The first reason counts; "" is none.
func (f *finding) distrust(reason string) {
	if f.void == "" {
		f.void = reason
	}
}

// verdict rules. The deciding reasons come first, then the other facts.
func (f *finding) verdict() Verdict {
	v := Verdict{Claim: f.claim, Kind: f.kind, Numbers: f.numbers}
	switch {
	case f.void != "":
		v.Ruling = Inconclusive
		v.Reason = f.void
		if len(f.refutations) > 0 {
			v.Reason += ". What was seen may not be the system's: " + strings.Join(f.refutations, "; ")
		}
		return v
	case len(f.refutations) > 0:
		v.Ruling = Refuted
		v.Reason = strings.Join(f.refutations, "; ")
		v.IDs = firstIDs(f.ids)
	case len(f.doubts) > 0:
		v.Ruling = Inconclusive
		v.Reason = strings.Join(f.doubts, "; ")
	default:
		v.Ruling = Held
		v.Reason = strings.Join(f.facts, "; ")
		return v
	}
	if len(f.facts) > 0 {
		v.Reason += ". Seen besides: " + strings.Join(f.facts, "; ")
	}
	return v
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
