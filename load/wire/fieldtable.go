package wire

import (
	"slices"
	"strings"
)

// Form is how the fields of a request's header block are written (RFC 7541 section 6).
type Form uint8

const (
	Unindexed Form = iota // each in full, whatever the peer has in its table
	Inserted              // the same, and those that are shared are put into the table: once on a connection
	Indexed               // those by their places in it: on the same connection, behind the one above

	forms = 3
)

// Shares reports whether the peer's table is of use: some field can be in it. A request
// that shares none is Unindexed at any time, and puts nothing there.
func (t *StreamTemplate) Shares() bool { return t.shares }

// ShareFields finds what the requests of a connection have in common, so that Inserted
// tells it once and Indexed names it: a field that is the same in all, and the name of
// one that has a value of its own in each, as an id has. What differs between two
// templates, or may be another length each time, stays a literal. The entries are as
// many as the smallest table holds that a peer has unless it says so.
//
// Fields move for it: those that are shared come first, in one order everywhere, for an
// entry's place is that from the end of the table.
func ShareFields(templates []*StreamTemplate) {
	if len(templates) == 0 {
		return
	}
	var shared []field
	room := headerTable
	for _, f := range templates[0].fields {
		if cost := f.entryCost(); cost > 0 && cost <= room && inAll(templates, f) {
			f.text = f.constant()
			room -= cost
			shared = append(shared, f)
		}
	}
	for i := range shared {
		shared[i].insert(len(staticTable) + len(shared) - i)
	}
	for _, t := range templates {
		t.share(shared)
	}
}

// entryCost is what an entry of the field takes in a table (RFC 7541 section 4.1); 0 if
// it can have none.
func (f *field) entryCost() int {
	if f.value == nil || vary(f.value) {
		return 0
	}
	return len(f.name) + most(f.value, 0) + entryCost
}

// constant reports whether the value is the same in all requests.
func (f *field) constant() bool {
	return !slices.ContainsFunc(f.value, func(p part) bool { return p.kind != none })
}

// inAll reports whether each has the field once, of the same length, and of the same value
// if that is constant.
func inAll(templates []*StreamTemplate, f field) bool {
	for _, t := range templates {
		n := 0
		for _, other := range t.fields {
			if other.name != f.name {
				continue
			}
			same := other.entryCost() == f.entryCost() && (!f.constant() || slices.EqualFunc(f.value, other.value, sameText))
			if n++; !same || n > 1 {
				return false
			}
		}
		if n == 0 {
			return false
		}
	}
	return true
}

func sameText(a, b part) bool { return string(a.text) == string(b.text) }

// insert gives the field its forms with a place in the table, from 62 on.
func (f *field) insert(place int) {
	f.begin[Inserted] = appendVarint(nil, 0x40, 6, staticNames[f.name])
	if staticNames[f.name] == 0 {
		f.begin[Inserted] = append(appendVarint(f.begin[Inserted], 0, 7, len(f.name)), f.name...)
	}
	if f.text {
		f.begin[Indexed] = appendVarint(nil, 0x80, 7, place)
		return
	}
	f.begin[Indexed] = appendVarint(nil, 0, 4, place)
}

// share moves what is shared in front of what is not, among the pseudo-header fields and
// among the others.
func (t *StreamTemplate) share(shared []field) {
	if len(shared) == 0 {
		return
	}
	place := func(name string) int { return slices.IndexFunc(shared, func(s field) bool { return s.name == name }) }
	for i := range t.fields {
		if at := place(t.fields[i].name); at >= 0 {
			t.fields[i].begin, t.fields[i].text = shared[at].begin, shared[at].text
		}
	}
	rank := func(f field) (n int) {
		if !strings.HasPrefix(f.name, ":") {
			n = 2 * len(shared)
		}
		if at := place(f.name); at >= 0 {
			return n + at
		}
		return n + len(shared)
	}
	slices.SortStableFunc(t.fields, func(a, b field) int { return rank(a) - rank(b) })
	t.shares = true
	t.lay()
}
