package experiment

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/wire"
)

// Audit asks a target what is there. Exactly one of ids and number is given.
type Audit struct {
	Name string `yaml:"name"` // Names it in claims: letters, digits, dash, underscore and dot.
	To   string `yaml:"to"`   // The target that is asked, by HTTP/1.1.
	Get  string `yaml:"get"`  // The path that is asked for, with its query.
	// Where the request ids are in the answer: json:$[*].id, every one of them, or body~/REGEXP/, every match of it.
	IDs    string `yaml:"ids"`
	Number string `yaml:"number"` // Where a number is in the answer: json:$.sum.
	// Of ids: where the answer says how many there are, json:$.count, so that one that is cut short is noticed. Absent
	// takes it to be whole.
	Count string        `yaml:"count"`
	Every time.Duration `yaml:"every"` // Of number: it is asked so often while there is load too. Absent asks once, at the end.
	// From sending to the last byte; it is asked again for as long while the target is not well. Absent means 30s.
	Timeout time.Duration `yaml:"timeout"`
}

func (a *Audit) Defaults() { a.Timeout = 30 * time.Second }

func (Audit) Required() []string { return []string{"name", "to", "get"} }

// Access is what the routes and their steps do with data.
func (l Load) Access() (all []evidence.Access) {
	add := func(name, to string, r Request) {
		if r.Writes != "" {
			all = append(all, evidence.Access{Route: name, To: to, Data: r.Writes, Writes: true, NotDone: r.NotDone})
		}
		for data := range r.Reads { // one at most
			all = append(all, evidence.Access{Route: name, To: to, Data: data})
		}
	}
	for _, r := range l.Sent() {
		add(r.Name, r.To.One(), r.Request)
		for _, s := range r.Then {
			add(s.Name, r.To.One(), s.Request)
		}
	}
	return all
}

// access checks what a request does with data.
func (r *rules) access(a asked) {
	writes, reads, notDone := a.path.Child("writes"), a.path.Child("reads"), a.path.Child("not_done")
	if r.Sound(writes) {
		r.name(writes, a.Writes, r.Wrong)
		r.writesItsID(writes, a)
	}
	if r.Sound(reads) {
		if len(a.Reads) != 1 {
			r.Wrong(reads, fmt.Sprintf("reads: has %d entries", len(a.Reads)), "name the data that it reads, like reads: {price: json:$.v}")
		}
		for _, data := range slices.Sorted(maps.Keys(a.Reads)) {
			at := reads.Child(data)
			r.name(at, data, r.WrongKey)
			if err := load.CheckReads(a.Reads[data]); err != nil && r.Sound(at) {
				r.Wrong(at, fmt.Sprintf("reads: %v", err), "")
			}
		}
		if r.x.Load.Keys > 0 && !a.namesKey() {
			r.WrongKey(reads, "reads: there is no ${key} in path, headers or body, and the load has keys",
				"what is read is taken for the register that ${key} names: write it where the service is told which")
		}
		if r.Has(writes) {
			r.WrongKey(reads, "reads: does not go with writes", "make it a route of its own: an operation either writes or reads")
		}
	}
	switch {
	case !r.Sound(notDone):
	case !r.Has(writes):
		r.WrongKey(notDone, "not_done: goes with writes, which is missing", "")
	default:
		for i, status := range a.NotDone {
			if status < 400 || status > 599 {
				r.Wrong(notDone.Item(i), fmt.Sprintf("not_done: %d is no status of a failure", status), "they are 400 to 599")
			}
		}
	}
}

// namesKey reports whether a request may say which register it is about: by ${key}, or by
// what the answer before has told.
func (a asked) namesKey() bool {
	_, path := a.Line()
	text := path + a.Body
	for _, value := range a.Headers {
		text += value
	}
	return strings.Contains(text, "${key}") || strings.Contains(text, "${prev.")
}

// writesItsID checks that a write has its id in it: a constant, or the id of something
// else, would make every read a riddle.
func (r *rules) writesItsID(at strict.Path, a asked) {
	_, path := a.Line()
	if !strings.Contains(a.Body, wire.Placeholder) && !strings.Contains(path, wire.Placeholder) {
		r.Wrong(at, "writes: neither body nor path has ${id} in it", "what is written is the request's own id: body: '{\"v\": \"${id}\"}'")
	}
}

// audits checks what is asked in the end.
func (r *rules) audits(l *Load) {
	r.positive("load.keys", l.Keys > 0)
	r.positive("load.sessions", l.Sessions > 0)
	r.positive("load.settle", l.Settle > 0)
	if r.Sound("load.settle") && l.Settle > time.Hour {
		r.Wrong("load.settle", "settle: is longer than an hour", "the run waits for it, with its targets up")
	}
	if r.Sound("load.audit") && len(l.Audit) == 0 {
		r.Wrong("load.audit", "audit: is empty",
			"add one like {name: orders, to: TARGET, get: /orders, ids: \"json:$[*].id\"}, or remove the key")
	}
	for i := range l.Audit {
		r.audit(i)
	}
}

func (r *rules) audit(i int) {
	a, path := &r.x.Load.Audit[i], strict.Path("load.audit").Item(i)
	if r.Sound(path.Child("name")) {
		r.name(path.Child("name"), a.Name, r.Wrong)
		if slices.IndexFunc(r.x.Load.Audit, func(b Audit) bool { return b.Name == a.Name }) < i {
			r.Wrong(path.Child("name"), fmt.Sprintf("name: audit %s is given twice", strict.Quote(a.Name)), "")
		}
	}
	r.toTarget(path.Child("to"), a.To)
	if t := r.x.Targets[a.To]; t != nil && r.Sound(path.Child("to")) {
		if _, socket := t.Socket(); socket || !t.speaks(false) {
			r.Wrong(path.Child("to"), fmt.Sprintf("to: %s is not asked by HTTP/1.1 over TCP", strict.Quote(a.To)), "an audit is")
		}
	}
	if r.Sound(path.Child("get")) && !strings.HasPrefix(a.Get, "/") {
		r.Wrong(path.Child("get"), "get: "+strict.Quote(a.Get)+" does not start with /", "")
	}
	kind := r.OneOf(path, []string{"ids", "number"})
	for _, key := range []string{"ids", "number", "count"} {
		at := path.Child(key)
		if where := map[string]string{"ids": a.IDs, "number": a.Number, "count": a.Count}[key]; r.Sound(at) {
			if err := load.CheckFind(where, key == "ids"); err != nil {
				r.Wrong(at, key+": "+err.Error(), "")
			}
		}
	}
	if r.Has(path.Child("count")) && kind == "number" {
		r.WrongKey(path.Child("count"), "count: goes with ids only", "")
	}
	if r.Has(path.Child("every")) && kind == "ids" {
		r.WrongKey(path.Child("every"), "every: goes with number only", "all ids are asked for once, at the end")
	}
	r.positive(path.Child("every"), a.Every > 0)
	if r.Sound(path.Child("every")) && a.Every < 100*time.Millisecond {
		r.Wrong(path.Child("every"), "every: is shorter than 100ms", "what asks so often is a load: make it a route")
	}
	r.timeout(path.Child("timeout"), a.Timeout)
}
