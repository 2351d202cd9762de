package strict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Keys lists the keys that a map of the file has, sorted, but for those that
// stand in a path only with quotes.
func (d *Doc) Keys(path Path) []string {
	var keys []string
	for at := range d.places {
		if key, ok := strings.CutPrefix(string(at), string(path)+"."); ok && plainKey(key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Given lists which of some keys a map of the file has, in the order of the
// file.
func (d *Doc) Given(path Path, keys []string) []string {
	var given []string
	for _, k := range keys {
		if d.Has(path.Child(k)) {
			given = append(given, k)
		}
	}
	slices.SortStableFunc(given, func(a, b string) int {
		x, y := d.places[path.Child(a)].key, d.places[path.Child(b)].key
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
	return given
}

// OneOf returns which of some keys a map has. It reports a map that has none
// of them, or several, and then returns "".
func (d *Doc) OneOf(path Path, keys []string) string {
	given := d.Given(path, keys)
	all := strings.Join(keys[:len(keys)-1], ", ") + " or " + keys[len(keys)-1]
	switch len(given) {
	case 0:
		d.Lacks(path, fmt.Sprintf("%s: has none of %s", path, all), "give exactly one")
		return ""
	case 1:
		return given[0]
	}
	for _, more := range given[1:] {
		d.WrongKey(path.Child(more), fmt.Sprintf("%s: does not go with %s", more, given[0]), "give exactly one of "+all)
	}
	return ""
}
