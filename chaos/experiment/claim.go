package experiment

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Claim is one statement; exactly one kind is given.
type Claim struct {
	// What reports call it, from run to run: letters, digits, dash, underscore and dot; no two claims share one. Absent, it is
	// called by its kind, link and route.
	Name string `yaml:"name"`
	// Before anything is injected, enough requests succeed, and soon enough (docs/claims/steady.md).
	Steady *judge.Steady `yaml:"steady"`
	// A circuit breaker opens when calls fail, lets none through while it waits, probes, and closes once calls succeed
	// (docs/claims/breaker.md).
	Breaker *judge.Breaker `yaml:"breaker"`
	// Failed calls are tried again a bounded number of times, and only where that is allowed (docs/claims/retry.md).
	Retry *judge.Retry `yaml:"retry"`
	// Retries wait as long as a declared law says, spread as far as it says (docs/claims/backoff.md).
	Backoff *judge.Backoff `yaml:"backoff"`
	// A dependency that drowns takes a bounded share of the system, and other routes do not notice (docs/claims/bulkhead.md).
	Bulkhead *judge.Bulkhead `yaml:"bulkhead"`
	// No caller waits longer than promised, even while a dependency hangs (docs/claims/timeout.md).
	Timeout *judge.Timeout `yaml:"timeout"`
	// After the last healing, goodput comes back at the same load, and stays (docs/claims/recovery.md).
	Recovery *judge.Recovery `yaml:"recovery"`
	// A request makes few calls, and few of them one after another (docs/claims/fanout.md).
	Fanout *judge.Fanout `yaml:"fanout"`
	// Routes go on succeeding while a dependency is lost, in each way that the run loses it (docs/claims/stands.md).
	Stands *judge.Stands `yaml:"stands"`
	// Connections stay within bounds, also while they are all opened anew (docs/claims/connections.md).
	Connections *judge.Connections `yaml:"connections"`
	// Callers who miss a value in a cache together share one fetch of it (docs/claims/stampede.md).
	Stampede *judge.Stampede `yaml:"stampede"`
	// All reads and writes of each register can be put into one order, so that reads see the latest write
	// (docs/claims/linearizable.md).
	Linearizable *judge.Linearizable `yaml:"linearizable"`
	// Reads are stale by at most so much, and sessions see nothing go back (docs/claims/fresh.md).
	Fresh *judge.Fresh `yaml:"fresh"`
	// Routes go on being served while a fault is in force, and what was apart agrees again soon (docs/claims/available.md).
	Available *judge.Available `yaml:"available"`
	// Acknowledged writes are there in the end, whatever crashed, and nothing else is (docs/claims/durable.md).
	Durable *judge.Durable `yaml:"durable"`
	// Another node takes over soon, and the old one then acknowledges nothing any more (docs/claims/failover.md).
	Failover *judge.Failover `yaml:"failover"`
	// People are told of a fault by an alert, and told when it is over (docs/claims/alert.md).
	Alert *judge.Alert `yaml:"alert"`
	// A request takes effect once, although it is delivered twice or its answer is lost (docs/claims/effects.md).
	Effects *judge.Effects `yaml:"effects"`
	// Events of a key take effect in the order in which they were acknowledged, and none is left out (docs/claims/ordered.md).
	Ordered *judge.Ordered `yaml:"ordered"`
	// A queue takes what its consumer's outage leaves: nothing is lost, and the backlog is soon gone (docs/claims/drains.md).
	Drains *judge.Drains `yaml:"drains"`
	// What there is in all neither grows nor shrinks, and what was begun is done or undone (docs/claims/conserved.md).
	Conserved *judge.Conserved `yaml:"conserved"`
	// A system that is offered more than it can do says no quickly, and goes on serving (docs/claims/shed.md).
	Shed *judge.Shed `yaml:"shed"`
	// An instance that is lost is called no more, and one that is back is called again (docs/claims/health.md).
	Health *judge.Health `yaml:"health"`
	// Calls are spread evenly over shards or instances (docs/claims/skew.md).
	Skew *judge.Skew `yaml:"skew"`
	// What a target takes does not grow without end: memory, descriptors, threads, time (docs/claims/growth.md).
	Growth *judge.Growth `yaml:"growth"`
	// A share of requests succeeds in the long run, shown with confidence; what faults cost of the error budget (docs/claims/slo.md).
	SLO *judge.SLO `yaml:"slo"`
}

// claimKinds are the keys of which a claim has exactly one.
var claimKinds = kindsOf(reflect.TypeFor[Claim]())

// Kind is the key of the claim, like breaker; "" if none is given.
func (c Claim) Kind() string {
	kind, _ := given(c)
	return kind
}

// Judge is the claim itself; nil if none is given.
func (c Claim) Judge() judge.Claim {
	_, value := given(c)
	claim, _ := value.(judge.Claim)
	return claim
}

// Title is what reports call the claim from run to run: the name that it was
// given, or its kind with its link and route, like "breaker: link payments, route
// pay". It has no bound in it, which may be changed, and nothing measured. Two
// claims may have one title; result.Names tells them apart.
func (c Claim) Title() string {
	if c.Name != "" {
		return c.Name
	}
	claim := reflect.ValueOf(c.Judge())
	var about []string
	for _, f := range strict.Fields(claim.Type()) {
		key := f.Key
		switch key {
		case "links":
			key = "link"
		case "link", "route", "without", "at", "data", "writes", "target", "region", "audit":
		default:
			continue
		}
		switch x := claim.FieldByIndex(f.Index); {
		case x.Kind() == reflect.String && x.Len() > 0:
			about = append(about, key+" "+x.String())
		case x.Kind() == reflect.Slice:
			for i := range x.Len() {
				about = append(about, key+" "+x.Index(i).String())
			}
		}
	}
	if about == nil {
		return c.Kind()
	}
	return c.Kind() + ": " + strings.Join(about, ", ")
}

// named checks the name of claim i, if it has one.
func (r *rules) named(i int) {
	path := strict.Path("claims").Item(i).Child("name")
	if !r.Sound(path) {
		return
	}
	name := r.x.Claims[i].Name
	r.name(path, name, r.Wrong)
	switch same := func(c Claim) bool { return c.Name == name }; {
	case slices.Contains(claimKinds, name):
		r.Wrong(path, fmt.Sprintf("name: %s is a kind of claim, and what reports call claims without a name", strict.Quote(name)),
			"say what this one is about")
	case slices.IndexFunc(r.x.Claims, same) < i:
		r.Wrong(path, fmt.Sprintf("name: claim %s is given twice", strict.Quote(name)), "")
	}
}

func (r *rules) claim(i int) {
	path := strict.Path("claims").Item(i)
	c := &r.x.Claims[i]
	r.named(i)
	r.OneOf(path, claimKinds)
	for _, f := range strict.Fields(reflect.TypeFor[Claim]()) { // several are too many, and each may be wrong
		if p := reflect.ValueOf(c).Elem().FieldByIndex(f.Index); p.Kind() == reflect.Pointer && !p.IsNil() {
			r.claimOf(path.Child(f.Key), f.Key, c, p)
		}
	}
}

// claimOf checks what a claim of a kind says.
func (r *rules) claimOf(path strict.Path, kind string, c *Claim, claim reflect.Value) {
	link, route := r.subjects(path, claim.Elem())
	r.judged(path, claim.Elem())
	switch {
	case kind == "breaker" && link && route:
		r.caller(path, c.Breaker.Link, c.Breaker.Route)
	case kind == "steady":
		r.over(path.Child("over"), c.Steady.Over)
	case kind == "fanout":
		for _, name := range slices.Sorted(maps.Keys(c.Fanout.Of)) {
			r.toRoute(path.Child("of").Child(name), name)
		}
	case kind == "connections" && link && c.Connections.Refused != nil:
		for _, name := range c.Connections.Link {
			if at := path.Child("refused"); r.Sound(at) && r.x.Links[name].Greeting == "" {
				r.Wrong(at, fmt.Sprintf("refused: on link %s it is not read whether the server lets a connection in", strict.Quote(name)),
					"give the link greeting: with what is spoken on it, like postgres")
			}
		}
	case kind == "available":
		r.toRoutes(path.Child("routes"), c.Available.Routes)
		r.happens(path.Child("during"), c.Available.During)
		r.toData(path.Child("data"), c.Available.Data, "reads")
	case kind == "failover":
		r.toRoutes(path.Child("routes"), c.Failover.Routes)
		r.happens(path.Child("during"), c.Failover.During)
		r.regional(path, c.Failover.Region)
	case kind == "linearizable":
		r.toData(path.Child("data"), c.Linearizable.Data, "writes", "reads")
	case kind == "fresh":
		r.toData(path.Child("data"), c.Fresh.Data, "writes", "reads")
	case kind == "durable":
		r.toData(path.Child("writes"), c.Durable.Writes, "writes")
		r.toAudit(path.Child("in"), c.Durable.In)
	case kind == "effects" || kind == "ordered" || kind == "drains" || kind == "conserved":
		r.eventClaim(path, kind, c)
	case kind == "alert":
		if at := path.Child("on"); len(r.x.Targets) > 0 {
			r.refers(at, c.Alert.On, "link or target", slices.Concat(r.links, slices.Sorted(maps.Keys(r.x.Targets))))
		}
	case kind == "growth":
		if c.Growth.Target != "" {
			r.weighed(path.Child("target"), c.Growth.Target)
		}
		if c.Growth.P50 != nil {
			r.toRoute(path.Child("route"), c.Growth.Route)
			r.toRoute(path.Child("control"), c.Growth.Control)
		}
	case kind == "stands":
		r.toRoutes(path.Child("routes"), c.Stands.Routes)
	case kind == "shed":
		r.toRoutes(path.Child("spares"), c.Shed.Spares)
	case kind == "bulkhead":
		for j, name := range c.Bulkhead.Unaffected {
			at := path.Child("unaffected").Item(j)
			if r.toRoute(at, name) && name == c.Bulkhead.Route {
				r.Wrong(at, fmt.Sprintf("unaffected: %s is also the route that drowns", strict.Quote(name)), "")
			} else if slices.Index(c.Bulkhead.Unaffected, name) < j {
				r.Wrong(at, fmt.Sprintf("unaffected: %s is given twice", strict.Quote(name)), "remove one")
			}
		}
	}
}

// toRoutes checks that each of a list is a route, and there once.
func (r *rules) toRoutes(path strict.Path, names []string) {
	for i, name := range names {
		if at := path.Item(i); r.toRoute(at, name) && slices.Index(names, name) < i {
			r.Wrong(at, fmt.Sprintf("%s: %s is given twice", path.Tail(), strict.Quote(name)), "remove one")
		}
	}
}

// over checks that the stretch of a claim fits into what is judged at once.
func (r *rules) over(path strict.Path, over time.Duration) {
	r.positive(path, over > 0)
	if !r.Sound(path) || r.length == 0 {
		return
	}
	chapter, is := r.x.InChapters(r.length)
	switch {
	case is && over > chapter:
		r.Wrong(path, fmt.Sprintf("over: %s is longer than a chapter", unit.FormatDuration(over)),
			fmt.Sprintf("each is judged by itself, and has %s; soak.chapter makes them longer", unit.FormatDuration(chapter)))
	case over > r.length:
		r.Wrong(path, fmt.Sprintf("over: %s is longer than the load", unit.FormatDuration(over)), r.end())
	}
}

// subjects checks the links and the route that a claim is about, whatever its
// kind. It reports whether the link and the route are known to be there.
func (r *rules) subjects(path strict.Path, claim reflect.Value) (link, route bool) {
	for _, f := range strict.Fields(claim.Type()) {
		x, at := claim.FieldByIndex(f.Index), path.Child(f.Key)
		switch f.Key {
		case "link", "links", "without", "at":
			to := r.toCalls
			switch claim.Type() {
			case reflect.TypeFor[judge.Connections]():
				to = r.toConnections
			case reflect.TypeFor[judge.Effects](), reflect.TypeFor[judge.Ordered]():
				to = r.toPlace
			case reflect.TypeFor[judge.Drains]():
				to = r.toTimed
			}
			link = r.each(at, x, to)
		case "route":
			route = r.each(at, x, r.toRoute)
		}
	}
	return link, route
}

// toCalls checks that a value names a link that knows calls. What a claim reads
// in them is not to be read in connections: one that is kept alive for long
// looks like a call that hangs.
func (r *rules) toCalls(path strict.Path, name string) bool {
	if !r.toLink(path, name) {
		return false
	}
	if link := r.x.Links[name]; link == nil || link.Protocol != toxic.ProtocolTCP {
		return true
	}
	r.Wrong(path, fmt.Sprintf("%s: link %s knows connections, not calls", path.Tail(), strict.Quote(name)),
		"claim what callers see of it by steady or recovery, or take out protocol: tcp")
	return false
}

// toConnections checks that a value names a link that knows connections.
func (r *rules) toConnections(path strict.Path, name string) bool {
	if !r.toLink(path, name) {
		return false
	}
	if link := r.x.Links[name]; link == nil || link.Protocol == toxic.ProtocolTCP {
		return link != nil
	}
	r.Wrong(path, fmt.Sprintf("%s: link %s knows calls, not connections", path.Tail(), strict.Quote(name)), "give the link protocol: tcp")
	return false
}

// each checks one name, or all of a list of names.
func (r *rules) each(path strict.Path, x reflect.Value, check func(path strict.Path, name string) bool) bool {
	if x.Kind() == reflect.String {
		return check(path, x.String())
	}
	all := x.Len() > 0
	for i := range x.Len() {
		at := path.Item(i)
		if !r.Has(at) {
			at = path // one name in place of a list
		}
		all = check(at, x.Index(i).String()) && all
	}
	return all
}

// judged refuses a bound of zero. In a claim, zero means that the bound is not
// judged, but a file with that zero means that it is.
func (r *rules) judged(path strict.Path, claim reflect.Value) {
	for _, f := range strict.Fields(claim.Type()) {
		x, at := claim.FieldByIndex(f.Index), path.Child(f.Key)
		switch x.Kind() {
		case reflect.Int, reflect.Int64, reflect.Float64:
			if x.IsZero() && r.Sound(at) {
				r.Wrong(at, f.Key+": 0 is the same as leaving it out", "give a bound, or remove the key")
			}
		case reflect.Slice:
			if x.Len() == 0 && r.Sound(at) {
				r.Wrong(at, f.Key+": an empty list is the same as leaving it out", "name something, or remove the key")
			}
		case reflect.Map:
			if x.Len() == 0 && r.Sound(at) {
				r.Wrong(at, f.Key+": an empty map is the same as leaving it out", "name something, or remove the key")
			}
		}
	}
}

// weighed checks that a value names a target that the run starts itself.
func (r *rules) weighed(path strict.Path, name string) {
	if !r.toTarget(path, name) {
		return
	}
	if t := r.x.Targets[name]; t != nil && t.URL != "" {
		r.Wrong(path, fmt.Sprintf("%s: %s is not started by the run, which cannot weigh its processes", path.Tail(), strict.Quote(name)),
			"make it a process target")
	}
}

// caller checks that the calls a breaker protects can be caused by its route.
func (r *rules) caller(path strict.Path, link, route string) {
	from := r.x.Links[link].From
	to := r.leads[route]
	if r.x.Targets[from] == nil || r.x.Targets[to] == nil || from == to {
		return // not known, and told
	}
	problem := fmt.Sprintf("link: %s is called by %s, but route %s goes to %s",
		strict.Quote(link), strict.Quote(from), strict.Quote(route), strict.Quote(to))
	r.Wrong(path.Child("link"), problem,
		"a breaker is judged where its caller is called")
}
