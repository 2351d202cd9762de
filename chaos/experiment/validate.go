package experiment

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/requests"
	"github.com/stormctl/stormctl/load/wire"
)

// rules checks what takes more than one noun to see. The rules of a noun stand
// in its file; this file has what they share.
//
// A rule looks at a value only if it was read without an error (Sound), and
// reports one that is not there only through Lacks.
type rules struct {
	*strict.Doc
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
func validate(d *strict.Doc, x *Experiment, opts Options) {
	r := &rules{Doc: d, x: x, opts: opts, links: slices.Sorted(maps.Keys(x.Links))}
	if r.Sound("name") {
		r.name("name", x.Name, r.Wrong)
	}
	r.limits()
	if r.Sound("targets") && len(x.Targets) == 0 {
		r.Wrong("targets", "targets: is empty", "add the system under test, like shop: {url: http://127.0.0.1:8080}")
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
	r.gameDay()
	r.soak()
	if r.Sound("claims") && len(x.Claims) == 0 {
		r.Wrong("claims", "claims: is empty", "without a claim there is nothing to rule on")
	}
	for i := range x.Claims {
		r.claim(i)
	}
	for i, report := range x.Reports {
		r.among(strict.Path("reports").Item(i), report, "reports", ReportFormats)
		if slices.Index(x.Reports, report) < i {
			r.Wrong(strict.Path("reports").Item(i), fmt.Sprintf("report %s is given twice", strict.Quote(report)), "remove one")
		}
	}
}

// ReportFormats are the values of Experiment.Reports: the formats of package
// reports, which stands above this one and is tested against them.
var ReportFormats = []string{"codequality", "comment", "csv", "github", "html", "json", "junit", "markdown", "openmetrics", "text"}

var nameSyntax = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// name checks what is used in file names and variables as well as in messages.
func (r *rules) name(path strict.Path, name string, report func(path strict.Path, problem, hint string)) {
	switch {
	case len(name) > 64:
		report(path, fmt.Sprintf("name %s is longer than 64 characters", strict.Quote(name)), "")
	case !nameSyntax.MatchString(name):
		report(path, fmt.Sprintf("%s is not a name", strict.Quote(name)),
			"use letters, digits, dash, underscore and dot, a letter or digit first")
	}
}

// among reports whether a value is there and is one of a few words. One that is
// not among them is an error of the file.
func (r *rules) among(path strict.Path, value, plural string, words []string) bool {
	if !r.Sound(path) {
		return false
	}
	if slices.Contains(words, value) {
		return true
	}
	r.Wrong(path, fmt.Sprintf("%s: %s is unknown", path.Tail(), strict.Quote(value)), strict.Suggest(value, plural, words))
	return false
}

// refers checks that a value names something that is there.
func (r *rules) refers(path strict.Path, name, kind string, known []string) bool {
	if !r.Sound(path) {
		return false
	}
	if slices.Contains(known, name) {
		return true
	}
	r.Wrong(path, fmt.Sprintf("%s: there is no %s %s", path.Tail(), kind, strict.Quote(name)), strict.Suggest(name, kind+"s", known))
	return false
}

// The names that can be referred to. If the place where they are defined could
// not be read, what refers to them is not checked.

func (r *rules) toTarget(path strict.Path, name string) bool {
	if len(r.x.Targets) == 0 {
		return false // told as missing or empty
	}
	return r.refers(path, name, "target", slices.Sorted(maps.Keys(r.x.Targets)))
}

func (r *rules) toLink(path strict.Path, name string) bool {
	if len(r.links) == 0 && r.Has("links") && r.Bad("links") {
		return false
	}
	return r.refers(path, name, "link", r.links)
}

// toRoute takes a route from one region too, as buy@eu, and all routes from there, as @eu.
func (r *rules) toRoute(path strict.Path, name string) bool {
	if r.routes == nil {
		return false
	}
	kind, region := evidence.SplitRoute(name)
	if _, known := r.x.Load.From[region]; known && (kind == "" || slices.Contains(r.routes, kind)) {
		return r.Sound(path)
	}
	return r.refers(path, name, "route", r.routes)
}

// positive checks that a value that is given is more than zero.
func (r *rules) positive(path strict.Path, more bool) {
	if r.Sound(path) && !more {
		r.Wrong(path, path.Tail()+": must be more than 0", "")
	}
}

// timeout checks a bound of one request, whose time must be one that histograms tell apart.
func (r *rules) timeout(path strict.Path, d time.Duration) {
	r.positive(path, d > 0)
	if r.Sound(path) && d > hist.Highest {
		r.Wrong(path, path.Tail()+": must be at most "+unit.FormatDuration(hist.Highest), "no longer times are told apart")
	}
}
