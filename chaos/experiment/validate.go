package experiment

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/load/requests"
	"github.com/stormctl/stormctl/load/wire"
)

// rules checks what takes more than one noun to see. The rules of a noun stand
// in its file; this file has what they share.
//
// A rule looks at a value only if it was read without an error (sound), and
// asks for one that is not there only through lacks.
type rules struct {
	*source
	x    *Experiment
	opts Options

	links   []string                     // names, sorted
	routes  []string                     // names, those of steps too, in the order of the file; nil if some could not be read
	leads   map[string]string            // from the name of a route or step to its target
	table   *wire.Table                  // of load.data; nil if there is none, or it was not read
	methods map[string]*requests.Methods // of the targets that have descriptors, where they were read
	length  time.Duration                // of the load; 0 if it is not known
	names   []string                     // of variables, once they were asked for
}

// validate reports what is wrong with an experiment that was decoded.
func (s *source) validate(x *Experiment, opts Options) {
	r := &rules{source: s, x: x, opts: opts, links: slices.Sorted(maps.Keys(x.Links))}
	if r.sound("name") {
		r.name("name", x.Name, r.wrong)
	}
	r.limits()
	if r.sound("targets") && len(x.Targets) == 0 {
		r.wrong("targets", "targets: is empty", "add the system under test, like shop: {url: http://127.0.0.1:8080}")
	}
	for _, name := range slices.Sorted(maps.Keys(x.Targets)) {
		r.target(name, x.Targets[name])
	}
	for _, name := range r.links {
		r.link(name, x.Links[name])
	}
	r.listeners()
	r.load()
	r.stops()
	r.events()
	if r.sound("claims") && len(x.Claims) == 0 {
		r.wrong("claims", "claims: is empty", "without a claim there is nothing to rule on")
	}
	for i := range x.Claims {
		r.claim(i)
	}
	for i, report := range x.Reports {
		r.among(item("reports", i), report, "reports", knownReports)
		if slices.Index(x.Reports, report) < i {
			r.wrong(item("reports", i), fmt.Sprintf("report %s is given twice", quote(report)), "remove one")
		}
	}
}

// knownReports are the values of Experiment.Reports: the formats of package
// reports, which stands above this one.
var knownReports = []string{"json", "junit", "text"}

var nameSyntax = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// name checks what is used in file names and variables as well as in messages.
func (r *rules) name(path, name string, report func(path, problem, hint string)) {
	switch {
	case len(name) > 64:
		report(path, fmt.Sprintf("name %s is longer than 64 characters", quote(name)), "")
	case !nameSyntax.MatchString(name):
		report(path, fmt.Sprintf("%s is not a name", quote(name)), "use letters, digits, dash, underscore and dot, a letter or digit first")
	}
}

// among checks that a value is one of a few words.
func (r *rules) among(path, value, plural string, words []string) bool {
	if !r.sound(path) {
		return false
	}
	if slices.Contains(words, value) {
		return true
	}
	r.wrong(path, fmt.Sprintf("%s: %s is unknown", tail(path), quote(value)), suggest(value, plural, words))
	return false
}

// refers checks that a value names something that is there.
func (r *rules) refers(path, name, kind string, known []string) bool {
	if !r.sound(path) {
		return false
	}
	if slices.Contains(known, name) {
		return true
	}
	r.wrong(path, fmt.Sprintf("%s: there is no %s %s", tail(path), kind, quote(name)), suggest(name, kind+"s", known))
	return false
}

// The names that can be referred to. If the place where they are defined could
// not be read, what refers to them is not checked.

func (r *rules) toTarget(path, name string) bool {
	if len(r.x.Targets) == 0 {
		return false // told as missing or empty
	}
	return r.refers(path, name, "target", slices.Sorted(maps.Keys(r.x.Targets)))
}

func (r *rules) toLink(path, name string) bool {
	if len(r.links) == 0 && r.has("links") && r.bad["links"] {
		return false
	}
	return r.refers(path, name, "link", r.links)
}

func (r *rules) toRoute(path, name string) bool {
	return r.routes != nil && r.refers(path, name, "route", r.routes)
}

// given lists which of some keys a map has, in the order of the file.
func (r *rules) given(path string, keys []string) []string {
	var given []string
	for _, k := range keys {
		if r.has(child(path, k)) {
			given = append(given, k)
		}
	}
	slices.SortStableFunc(given, func(a, b string) int {
		x, y := r.places[child(path, a)].key, r.places[child(path, b)].key
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
	return given
}

// kind checks that a map has exactly one of some keys, and returns it; "" if
// not.
func (r *rules) kind(path string, keys []string) string {
	given := r.given(path, keys)
	all := strings.Join(keys[:len(keys)-1], ", ") + " or " + keys[len(keys)-1]
	switch len(given) {
	case 0:
		r.lacks(path, path+": has none of "+all, "give exactly one")
		return ""
	case 1:
		return given[0]
	}
	for _, more := range given[1:] {
		r.wrongKey(child(path, more), fmt.Sprintf("%s: does not go with %s", more, given[0]), "give exactly one of "+all)
	}
	return ""
}

// positive checks that a value that is given is more than zero.
func (r *rules) positive(path string, more bool) {
	if r.sound(path) && !more {
		r.wrong(path, tail(path)+": must be more than 0", "")
	}
}
