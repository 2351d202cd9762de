package experiment

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment/strict"
)

// happens checks that a kind of fault, or the name of one, is in the chaos.
func (r *rules) happens(path strict.Path, kind string) {
	if !r.Sound(path) || r.Bad("chaos") {
		return
	}
	var there []string
	for _, e := range r.x.Chaos {
		there = append(there, e.Kind())
		if name := e.String(); name == kind || strings.HasPrefix(name, kind+" ") {
			return
		}
	}
	slices.Sort(there)
	if there = slices.Compact(there); !slices.Contains(there, kind) {
		r.Wrong(path, fmt.Sprintf("during: no fault of the chaos is of kind or name %s", strict.Quote(kind)),
			strict.Suggest(kind, "kinds", there))
	}
}

// toData checks that routes write, or read, some data; if need be both.
func (r *rules) toData(path strict.Path, data string, ways ...string) {
	if !r.Sound(path) || r.Bad("load") {
		return
	}
	access := r.x.Load.Access()
	for _, way := range ways {
		if slices.ContainsFunc(access, func(a evidence.Access) bool { return a.Data == data && a.Writes == (way == "writes") }) {
			continue
		}
		var known []string
		for _, a := range access {
			known = append(known, a.Data)
		}
		slices.Sort(known)
		hint := "give a route " + way + ": " + data
		if way == "reads" {
			hint = "give a route reads: {" + data + ": json:$.v}"
		}
		if known = slices.Compact(known); len(known) > 0 && !slices.Contains(known, data) {
			hint = strict.Suggest(data, "data", known)
		}
		r.Wrong(path, fmt.Sprintf("%s: no route %s %s", path.Tail(), way, strict.Quote(data)), hint)
		return
	}
}

// toAudit checks that a value names an audit of ids.
func (r *rules) toAudit(path strict.Path, name string) {
	if !r.Sound(path) || r.Bad("load") {
		return
	}
	var known []string
	for _, a := range r.x.Load.Audit {
		if a.IDs != "" {
			known = append(known, a.Name)
		}
	}
	if len(known) == 0 {
		r.Wrong(path, fmt.Sprintf("%s: the load has no audit of ids", path.Tail()),
			"add load.audit: [{name: "+name+", to: TARGET, get: /orders, ids: \"json:$[*].id\"}]")
		return
	}
	r.refers(path, name, "audit", known)
}
