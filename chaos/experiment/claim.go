package experiment

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// Claim is one statement; exactly one kind is given.
type Claim struct {
	Steady   *judge.Steady   `yaml:"steady"`   // The system is well before anything is injected.
	Breaker  *judge.Breaker  `yaml:"breaker"`  // A circuit breaker opens, waits, probes and closes.
	Retry    *judge.Retry    `yaml:"retry"`    // Retries are bounded and only where they are allowed.
	Backoff  *judge.Backoff  `yaml:"backoff"`  // Retries wait, longer each time, with jitter.
	Bulkhead *judge.Bulkhead `yaml:"bulkhead"` // A drowning dependency does not pull the others down.
	Timeout  *judge.Timeout  `yaml:"timeout"`  // A caller never waits longer than promised.
	Recovery *judge.Recovery `yaml:"recovery"` // After healing, goodput comes back at the same load.
}

// claimKinds are the keys of which a claim has exactly one.
var claimKinds = []string{"steady", "breaker", "retry", "backoff", "bulkhead", "timeout", "recovery"}

// Kind is the key of the claim: steady, breaker, retry, backoff, bulkhead,
// timeout or recovery.
func (c Claim) Kind() string {
	switch {
	case c.Steady != nil:
		return "steady"
	case c.Breaker != nil:
		return "breaker"
	case c.Retry != nil:
		return "retry"
	case c.Backoff != nil:
		return "backoff"
	case c.Bulkhead != nil:
		return "bulkhead"
	case c.Timeout != nil:
		return "timeout"
	case c.Recovery != nil:
		return "recovery"
	}
	return ""
}

// Judge is the claim itself; nil if no kind is given.
func (c Claim) Judge() judge.Claim {
	switch {
	case c.Steady != nil:
		return *c.Steady
	case c.Breaker != nil:
		return *c.Breaker
	case c.Retry != nil:
		return *c.Retry
	case c.Backoff != nil:
		return *c.Backoff
	case c.Bulkhead != nil:
		return *c.Bulkhead
	case c.Timeout != nil:
		return *c.Timeout
	case c.Recovery != nil:
		return *c.Recovery
	}
	return nil
}

func (r *rules) claim(i int) {
	path := item("claims", i)
	c := &r.x.Claims[i]
	kind := r.kind(path, claimKinds)
	if kind == "" {
		return
	}
	path = child(path, kind)
	link, route := r.subjects(path, reflect.ValueOf(*c))
	r.judged(path, reflect.ValueOf(*c))
	switch {
	case c.Breaker != nil && link && route:
		r.caller(path, c.Breaker.Link, c.Breaker.Route)
	case c.Bulkhead != nil:
		for j, name := range c.Bulkhead.Unaffected {
			at := item(child(path, "unaffected"), j)
			if r.toRoute(at, name) && name == c.Bulkhead.Route {
				r.wrong(at, fmt.Sprintf("unaffected: %s is also the route that drowns", quote(name)), "")
			} else if slices.Index(c.Bulkhead.Unaffected, name) < j {
				r.wrong(at, fmt.Sprintf("unaffected: %s is given twice", quote(name)), "remove one")
			}
		}
	}
}

// only is the claim behind the one pointer of a Claim that is set.
func only(claim reflect.Value) reflect.Value {
	for i := range claim.NumField() {
		if f := claim.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() {
			return f.Elem()
		}
	}
	return reflect.Value{}
}

// subjects checks the links and the route that a claim is about, whatever its
// kind. It tells whether all of them are known to be there.
func (r *rules) subjects(path string, claim reflect.Value) (link, route bool) {
	v := only(claim)
	for _, f := range fieldsOf(v.Type()) {
		x, at := v.FieldByIndex(f.index), child(path, f.key)
		switch f.key {
		case "link":
			link = r.each(at, x, r.toCalls)
		case "route":
			route = r.each(at, x, r.toRoute)
		}
	}
	return link, route
}

// toCalls checks that a value names a link that knows calls. What a claim reads
// in them is not to be read in connections: one that is kept alive for long
// looks like a call that hangs.
func (r *rules) toCalls(path, name string) bool {
	if !r.toLink(path, name) {
		return false
	}
	if link := r.x.Links[name]; link == nil || link.Protocol != toxic.ProtocolTCP {
		return true
	}
	r.wrong(path, fmt.Sprintf("link: link %s knows connections, not calls", quote(name)), "claim what callers see of it by steady or recovery, or take out protocol: tcp")
	return false
}

// each checks one name, or all of a list of names.
func (r *rules) each(path string, x reflect.Value, check func(path, name string) bool) bool {
	if x.Kind() == reflect.String {
		return check(path, x.String())
	}
	all := x.Len() > 0
	for i := range x.Len() {
		at := item(path, i)
		if !r.has(at) {
			at = path // one name in place of a list
		}
		all = check(at, x.Index(i).String()) && all
	}
	return all
}

// judged refuses a bound of zero. In a claim, zero means that the bound is not
// judged: who writes it down believes that it is.
func (r *rules) judged(path string, claim reflect.Value) {
	v := only(claim)
	for _, f := range fieldsOf(v.Type()) {
		x, at := v.FieldByIndex(f.index), child(path, f.key)
		switch x.Kind() {
		case reflect.Int, reflect.Int64, reflect.Float64:
			if x.IsZero() && r.sound(at) {
				r.wrong(at, f.key+": 0 is the same as leaving it out", "give a bound, or remove the key")
			}
		case reflect.Slice:
			if x.Len() == 0 && r.sound(at) {
				r.wrong(at, f.key+": an empty list is the same as leaving it out", "name something, or remove the key")
			}
		}
	}
}

// caller checks that the calls a breaker protects can be caused by its route.
func (r *rules) caller(path, link, route string) {
	from := r.x.Links[link].From
	to := r.leads[route]
	if r.x.Targets[from] == nil || r.x.Targets[to] == nil || from == to {
		return // not known, and told
	}
	r.wrong(child(path, "link"), fmt.Sprintf("link: %s is called by %s, but route %s goes to %s", quote(link), quote(from), quote(route), quote(to)),
		"a breaker is judged where its caller is called")
}
