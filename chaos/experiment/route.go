package experiment

import (
	"fmt"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
)

// Route is a named kind of request.
type Route struct {
	Name    string      `yaml:"name"` // Names it in claims and reports.
	To      Destination `yaml:"to"`   // The target that is called; with from, one for each region like {eu: lb-eu, us: lb-us} as well.
	Request `yaml:",inline"`
	Weight  float64 `yaml:"weight"` // Share of the arrivals relative to the other routes; absent means 1.
	Then    []Step  `yaml:"then"`   // Requests that follow a right answer, one after the other over HTTP/1.1 on the same connection.
}

func (r *Route) Defaults() { r.Weight = 1 }

func (Route) Required() []string { return []string{"name", "to"} }

// Step is a request that follows another one, once that has had a right
// answer. It goes to the same target, and stands for itself in claims and
// reports.
type Step struct {
	Name    string `yaml:"name"` // Names it in claims and reports, as a route's name does.
	Request `yaml:",inline"`
	// It is due this long after the request before was: what that one is expected to take. Absent counts from when
	// the route's request was due: the response time is then that of all so far.
	After time.Duration `yaml:"after"`
}

func (Step) Required() []string { return []string{"name"} }

// nameRoutes finds the names of routes and steps, and checks them.
func (r *rules) nameRoutes(routes []Route) {
	type named struct {
		at       strict.Path
		name, to string
	}
	var all []named
	for i := range routes {
		route, path := &routes[i], strict.Path("load.routes").Item(i)
		all = append(all, named{path.Child("name"), route.Name, route.To.One()})
		for j := range route.Then {
			all = append(all, named{path.Child("then").Item(j).Child("name"), route.Then[j].Name, route.To.One()})
		}
	}
	r.leads = map[string]string{}
	readable := !slices.ContainsFunc(all, func(n named) bool { return !r.Sound(n.at) })
	for _, n := range all {
		if !r.Sound(n.at) {
			continue
		}
		r.name(n.at, n.name, r.Wrong)
		if _, twice := r.leads[n.name]; twice && readable {
			r.Wrong(n.at, fmt.Sprintf("name: route %s is given twice", strict.Quote(n.name)), "")
		}
		r.leads[n.name] = n.to
		if readable {
			r.routes = append(r.routes, n.name)
		}
	}
}

func (r *rules) route(i int) {
	route, path := &r.x.Load.Routes[i], strict.Path("load.routes").Item(i)
	r.destination(path.Child("to"), route.To)
	first := ""
	if all := route.To.Targets(); len(all) > 0 {
		first = all[0] // the others speak as it does
	}
	to := r.x.Targets[first]
	r.request(asked{&route.Request, path, first, to, false})
	at := path.Child("weight")
	r.positive(at, route.Weight > 0)
	if r.Sound(at) && route.Weight > 1e9 {
		r.Wrong(at, "weight: must be at most 1e9", "weights count relative to each other")
	}
	if r.Sound(at) && route.Weight != 1 && r.x.Load.InTurn { // a resolved file has 1
		r.WrongKey(at, "weight: does not go with in_turn", "each route has its turn")
	}
	then := path.Child("then")
	if r.Sound(then) && len(route.Then) == 0 {
		r.Wrong(then, "then: is empty", "add a step like {name: pay, post: /pay}, or remove the key")
	}
	for j := range route.Then {
		r.request(asked{&route.Then[j].Request, then.Item(j), first, to, true})
		r.positive(then.Item(j).Child("after"), route.Then[j].After > 0)
	}
}
