package experiment

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/wire"
)

// Route is a named kind of request. The verbs are short for method and path.
type Route struct {
	Name    string            `yaml:"name"`    // Names it in claims and reports.
	To      string            `yaml:"to"`      // The target that is called.
	Get     string            `yaml:"get"`     // Path; short for method: GET.
	Post    string            `yaml:"post"`    // Path; short for method: POST.
	Put     string            `yaml:"put"`     // Path; short for method: PUT.
	Delete  string            `yaml:"delete"`  // Path; short for method: DELETE.
	Method  string            `yaml:"method"`  // Any other method, with path.
	Path    string            `yaml:"path"`    // For method. ${id} is replaced by the request id, ${seq} by the arrival's number and ${rand:1-6} by a number drawn, here, in headers and in the body; $${ is a plain ${.
	Headers map[string]string `yaml:"headers"` // Sent as they are, but for ${...}.
	Body    string            `yaml:"body"`    // Sent as it is, but for ${...}.
	Checks  []string          `yaml:"checks"`  // What a right answer has, like status=2xx, header:X-Cache=hit, body~"ok" or json:$.state=ready; an answer without is wrong, whatever its status.
	Weight  float64           `yaml:"weight"`  // Share of the arrivals relative to the other routes; absent means 1.
	Timeout time.Duration     `yaml:"timeout"` // From sending to the last byte; absent means the load's.
}

func (r *Route) Defaults() { r.Weight = 1 }

func (Route) Required() []string { return []string{"name", "to"} }

// Request is the method and the path, however the route is written.
func (r Route) Request() (method, path string) {
	for _, short := range r.verbs() {
		if short.path != "" {
			return short.method, short.path
		}
	}
	return r.Method, r.Path
}

// requestForms are the keys of which a route has exactly one.
var requestForms = []string{"get", "post", "put", "delete", "method"}

type verb struct{ key, method, path string }

func (r Route) verbs() []verb {
	return []verb{{"get", "GET", r.Get}, {"post", "POST", r.Post}, {"put", "PUT", r.Put}, {"delete", "DELETE", r.Delete}}
}

func (r *rules) route(i int) {
	route, path := &r.x.Load.Routes[i], item("load.routes", i)
	if at := child(path, "name"); r.sound(at) {
		r.name(at, route.Name, r.wrong)
		if slices.Index(r.routes, route.Name) < i && r.routes != nil {
			r.wrong(at, fmt.Sprintf("name: route %s is given twice", quote(route.Name)), "")
		}
	}
	r.toTarget(child(path, "to"), route.To)
	r.request(path, route)
	r.positive(child(path, "weight"), route.Weight > 0)
	if at := child(path, "weight"); r.sound(at) && route.Weight > 1e9 {
		r.wrong(at, "weight: must be at most 1e9", "weights count relative to each other")
	}
	r.positive(child(path, "timeout"), route.Timeout > 0)
}

// request checks that a route can be put on the wire, by trying it: part by
// part, so that each is found wrong at its own place.
func (r *rules) request(path string, route *Route) {
	streams := false
	if t := r.x.Targets[route.To]; t != nil {
		streams = t.Streams()
	}
	try := func(at, method, target string, headers [][2]string) {
		_, err := wire.Encode(method, target, "host", headers, nil, "", wire.Fill{})
		if err == nil && streams {
			_, err = wire.EncodeStream("http", method, target, "host", headers, nil, "", wire.Fill{})
		}
		if err != nil && r.sound(at) {
			r.wrong(at, err.Error(), "")
		}
	}
	tryPath := func(at, method, target string) {
		if r.sound(at) && r.placeholders(at, target) {
			try(at, method, target, nil)
		}
	}
	form := ""
	if given := r.given(path, requestForms); len(given) == 0 && r.has(child(path, "path")) {
		r.lacks(path, child(path, "method")+": is missing", "path goes with method; short is get: "+route.Path)
	} else {
		form = r.kind(path, requestForms)
	}
	switch {
	case form == "method":
		try(child(path, "method"), route.Method, "/", nil)
		if at := child(path, "method"); r.sound(at) && route.Method != strings.ToUpper(route.Method) {
			r.wrong(at, fmt.Sprintf("method: %s is in lower case", quote(route.Method)), "methods are case-sensitive: write "+strings.ToUpper(route.Method))
		}
		if !r.has(child(path, "path")) {
			r.lacks(path, child(path, "path")+": is missing", "add path: /")
		}
		tryPath(child(path, "path"), "GET", route.Path)
	case form != "" && r.has(child(path, "path")):
		r.wrongKey(child(path, "path"), "path: goes with method only", "give the path to the verb, like get: /pay")
	}
	for _, v := range route.verbs() {
		tryPath(child(path, v.key), v.method, v.path)
	}
	if t := r.x.Targets[route.To]; t != nil && t.Protocol == load.GRPC && form != "" && form != "post" {
		r.wrong(child(path, form), form+": a gRPC call is a POST", "write post: /package.Service/Method")
	}
	if at := child(path, "body"); r.sound(at) {
		r.placeholders(at, route.Body)
	}
	for i, text := range route.Checks {
		at := item(child(path, "checks"), i)
		if _, err := load.ParseCheck(text); err != nil && r.sound(at) {
			r.wrong(at, err.Error(), "")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(route.Headers)) {
		at, value := child(child(path, "headers"), name), route.Headers[name]
		if r.placeholders(at, value) {
			try(at, "GET", "/", [][2]string{{name, value}})
		}
		identity := strings.EqualFold(name, r.x.Load.IDHeader) || strings.EqualFold(name, "traceparent")
		if identity && !strings.Contains(value, wire.Placeholder) {
			r.wrongKey(at, fmt.Sprintf("header %s carries the request id", name), "leave it to stormctl, or use ${id} in it")
		}
	}
}

// placeholders checks those of a text, and tells whether all are right.
func (r *rules) placeholders(at, text string) bool {
	right := true
	for _, v := range variables(text) {
		if v.open || !wire.IsPlaceholder(v.text) {
			r.variableAt(at, v, "${id}, ${seq} and ${rand:1-6} are replaced in a route; a plain ${ is written $${")
			right = false
		}
	}
	return right
}
