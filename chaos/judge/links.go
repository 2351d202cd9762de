package judge

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Links names one link, or several that lead to replicas of one dependency:
// an attempt on one of them may be followed by an attempt on another. It is
// written as one name or as a list.
type Links []string

func (l Links) String() string { return strings.Join(l, " and ") }

// in is what the links saw, taken as one; nil if the run has none of them. Claims
// about the same links share it.
func (l Links) in(run *evidence.Run) *evidence.Link {
	if len(l) == 1 {
		return run.Links[l[0]]
	}
	type key struct{ links string }
	type of struct{ records, before any }
	var all of
	for _, name := range l {
		if one := run.Links[name]; one != nil {
			all = of{recordsOf(one.Exchanges), all}
		}
	}
	return evidence.Memoized(run, key{l.String()}, all, func() *evidence.Link { return l.merged(run) })
}

func (l Links) merged(run *evidence.Run) *evidence.Link {
	var all *evidence.Link
	n := 0
	for _, name := range l {
		if one := run.Links[name]; one != nil {
			n += len(one.Exchanges)
		}
	}
	for i, name := range l {
		one := run.Links[name]
		if one == nil {
			continue
		}
		if all == nil {
			all = &evidence.Link{Name: l.String(), From: one.From, To: one.To, Exchanges: make([]evidence.Exchange, 0, n)}
		}
		for _, x := range one.Exchanges {
			x.Conn = x.Conn*uint64(len(l)) + uint64(i) // connections of different links are different ones
			all.Exchanges = append(all.Exchanges, x)
		}
	}
	if all != nil {
		slices.SortStableFunc(all.Exchanges, func(a, b evidence.Exchange) int { return cmp.Compare(a.Begin, b.Begin) })
	}
	return all
}

// onPath reports whether a fault concerns calls over any of the links.
func (l Links) onPath(run *evidence.Run, f evidence.Injection) bool {
	return slices.ContainsFunc(l, func(name string) bool { return run.Links[name] != nil && onPath(run.Links[name], f) })
}
