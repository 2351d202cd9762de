package experiment

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/wire"
)

// Request is what is sent, and what a right answer is. The verbs are short for
// method and path.
type Request struct {
	Get    string `yaml:"get"`    // Path; short for method: GET.
	Post   string `yaml:"post"`   // Path; short for method: POST.
	Put    string `yaml:"put"`    // Path; short for method: PUT.
	Delete string `yaml:"delete"` // Path; short for method: DELETE.
	Method string `yaml:"method"` // Any other method, with path.
	// For method. Here, in headers and in the body ${id} is replaced by the request id, ${seq} by the arrival's
	// number, ${key} by one of the load's keys, ${rand:1-6} by a number drawn, ${data.COLUMN} by a value of the load's data, and in a step
	// ${prev.json:$.a.b}, ${prev.header:NAME} and ${prev.body~REGEXP} by what the answer before says; $${ is a plain
	// ${.
	Path string `yaml:"path"`
	// Sent as they are, but for ${...}. Here alone ${env.NAME} is a variable of the environment, for what no file is
	// to hold: the run directory keeps the placeholder.
	Headers map[string]string `yaml:"headers"`
	Body    string            `yaml:"body"` // Sent as it is, but for ${...}.
	// What a right answer has, like status=2xx, header:X-Cache=hit, body~"ok" or json:$.state=ready; an answer
	// without is wrong, whatever its status.
	Checks []string `yaml:"checks"`
	// The data that it writes its id to, ${id} in body or path: the register ${key} of it, or the only one without keys.
	Writes string `yaml:"writes"`
	// The data that it reads, and where in the answer the value is: {price: json:$.v}, header:NAME or body~/REGEXP/.
	Reads map[string]string `yaml:"reads"`
	// Of writes: statuses that promise that nothing was done; absent means that whatever was not acknowledged may
	// have been done all the same.
	NotDone []int         `yaml:"not_done"`
	Timeout time.Duration `yaml:"timeout"` // From sending to the last byte; absent means the load's.
}

// Line is the method and the path, however the request is written.
func (r Request) Line() (method, path string) {
	for _, short := range r.verbs() {
		if short.path != "" {
			return short.method, short.path
		}
	}
	return r.Method, r.Path
}

// requestForms are the keys of which a request has exactly one.
var requestForms = []string{"get", "post", "put", "delete", "method"}

type verb struct{ key, method, path string }

func (r Request) verbs() []verb {
	return []verb{{"get", "GET", r.Get}, {"post", "POST", r.Post}, {"put", "PUT", r.Put}, {"delete", "DELETE", r.Delete}}
}

// asked is a request at its place in the file.
type asked struct {
	*Request
	path strict.Path
	name string  // of the target
	to   *Target // nil if it is not known
	step bool    // it follows another one
}

// streams reports whether HTTP/2 may be spoken.
func (a asked) streams() bool { return a.to != nil && a.to.speaks(true) }

// request checks that a request can be put on the wire, by trying it: part by
// part, so that each is found wrong at its own place.
func (r *rules) request(a asked) {
	path := a.path
	r.timeout(path.Child("timeout"), a.Timeout)
	form := ""
	if given := r.Given(path, requestForms); len(given) == 0 && r.Has(path.Child("path")) {
		r.Missing(path, "method", "path goes with method; short is get: "+a.Path)
	} else {
		form = r.OneOf(path, requestForms)
	}
	switch {
	case form == "method":
		r.try(a, path.Child("method"), wireParts{method: a.Method})
		if at := path.Child("method"); r.Sound(at) && a.Method != strings.ToUpper(a.Method) {
			r.Wrong(at, fmt.Sprintf("method: %s is in lower case", strict.Quote(a.Method)),
				"methods are case-sensitive: write "+strings.ToUpper(a.Method))
		}
		if !r.Has(path.Child("path")) {
			r.Missing(path, "path", "add path: /")
		}
		r.try(a, path.Child("path"), wireParts{path: a.Path})
	case form != "" && r.Has(path.Child("path")):
		r.WrongKey(path.Child("path"), "path: goes with method only", "give the path to the verb, like get: /pay")
	}
	for _, v := range a.verbs() {
		r.try(a, path.Child(v.key), wireParts{method: v.method, path: v.path})
	}
	if a.to != nil && a.to.Protocol == load.GRPC && form != "" && form != "post" {
		r.Wrong(path.Child(form), form+": a gRPC call is a POST", "write post: /package.Service/Method")
	}
	if a.to != nil && a.to.Protoset != "" && form == "post" {
		r.message(a)
	} else {
		r.try(a, path.Child("body"), wireParts{method: "POST", body: a.Body})
	}
	r.checks(a)
	r.access(a)
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		at, value := path.Child("headers", name), a.Headers[name]
		r.try(a, at, wireParts{headers: [][2]string{{name, value}}})
		identity := strings.EqualFold(name, r.x.Load.IDHeader) || strings.EqualFold(name, "traceparent")
		if identity && !strings.Contains(value, wire.Placeholder) {
			r.WrongKey(at, fmt.Sprintf("header %s carries the request id", name), "leave it to stormctl, or use ${id} in it")
		}
	}
}

func (r *rules) checks(a asked) {
	for i, text := range a.Checks {
		at := a.path.Child("checks").Item(i)
		if _, err := load.ParseCheck(text); err != nil && r.Sound(at) {
			r.Wrong(at, err.Error(), "")
		}
	}
}

// wireParts are parts of a request to try, those absent such that nothing is
// wrong with them.
type wireParts struct {
	method, path, body string
	headers            [][2]string
}

// text is all that may have placeholders.
func (p wireParts) text() string {
	text := p.path + "\n" + p.body
	for _, h := range p.headers {
		text += "\n" + h[1]
	}
	return text
}

// try puts the part of a request that stands at a place on the wire.
func (r *rules) try(a asked, at strict.Path, p wireParts) {
	if !r.Sound(at) || !r.placeholders(a, at, p.text(), len(p.headers) > 0) {
		return
	}
	fill := wire.Fill{Data: r.tableFor(p.text()), Keys: uint64(max(0, r.x.Load.Keys))}
	if a.step {
		fill.Prev = func(string) (int, error) { return 0, nil } // it was looked at with the other placeholders
	}
	for i := range p.headers {
		p.headers[i][1], _ = fillEnv(p.headers[i][1], func(string) (string, error) { return "x", nil })
	}
	_, err := wire.Encode(p.method, p.path, "host", p.headers, []byte(p.body), "", fill)
	if err == nil && a.streams() {
		_, err = wire.EncodeStream("http", p.method, p.path, "host", p.headers, []byte(p.body), "", fill)
	}
	if err != nil {
		r.Wrong(at, err.Error(), "")
	}
}

// placeholders checks those of a text, and reports whether all are right.
func (r *rules) placeholders(a asked, at strict.Path, text string, inHeader bool) bool {
	right := true
	for _, v := range variables(text) {
		if hint := r.unfilled(a, v, inHeader); hint != "" {
			r.variableAt(at, v, hint)
			right = false
		}
	}
	return right
}

// unfilled says why nothing would stand in the place of a variable; "" if
// something does. Whether the environment has a variable is seen when the run
// begins: a file may be checked on another machine.
func (r *rules) unfilled(a asked, v variable, inHeader bool) string {
	column, ofData := strings.CutPrefix(v.name, "data.")
	what, ofPrev := strings.CutPrefix(v.name, "prev.")
	env, ofEnv := strings.CutPrefix(v.name, "env.")
	switch {
	case ofEnv && !v.open && inHeader && isEnvName(env):
		return ""
	case ofEnv && !v.open && !inHeader:
		return "${env.NAME} is replaced in headers of routes, and in what a process is given; elsewhere it would stand in records " +
			"and results"
	case v.open || !ofData && !ofPrev && !wire.IsPlaceholder(v.text) || column == "" && ofData:
		return "${id}, ${seq}, ${key}, ${rand:1-6} and ${data.COLUMN} are replaced in a route, ${env.NAME} in its headers, " +
			"and ${prev.json:$.a} in a step; a plain ${ is written $${"
	case v.name == "key" && r.x.Load.Keys <= 0:
		return "the load has no keys: add keys: 100"
	case ofData && !r.Has("load.data"):
		return "the load has no data: add data: FILE"
	case ofData && r.table != nil && !slices.Contains(r.table.Names, column):
		return strict.Suggest(column, "columns", r.table.Names)
	case ofPrev && !a.step:
		return "there is no answer before this request; what follows it, under then, has one"
	case ofPrev:
		if err := load.CheckPrev(what); err != nil {
			return err.Error()
		}
	}
	return ""
}

// tableFor is the load's data; where it was not read, one that has the columns
// that a text asks for.
func (r *rules) tableFor(text string) *wire.Table {
	if r.table != nil {
		return r.table
	}
	t := &wire.Table{}
	for _, v := range variables(text) {
		if column, ok := strings.CutPrefix(v.name, "data."); ok {
			t.Names, t.Columns = append(t.Names, column), append(t.Columns, []string{"x"})
		}
	}
	return t
}
