package experiment

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
)

// Expand replaces every ${NAME} in text by what lookup knows under that name.
// $${ is a plain ${, and a $ without a brace is a plain $, so that most files
// of other programs need no change. Names that lookup does not know are an
// error; all of them are in it.
func Expand(text string, lookup func(name string) (value string, ok bool)) (string, error) {
	var out strings.Builder
	var errs []error
	for {
		plain, v, rest, found := nextVariable(text)
		out.WriteString(plain)
		if !found {
			return out.String(), errors.Join(errs...)
		}
		text = rest
		if v.open {
			errs = append(errs, fmt.Errorf("%s is not closed", strict.Quote(v.text)))
			continue
		}
		value, ok := lookup(v.name)
		if !ok {
			errs = append(errs, fmt.Errorf("unknown variable ${%s}", v.name))
		}
		out.WriteString(value)
	}
}

// variable is a ${NAME} in a text.
type variable struct {
	text string // as written
	name string
	open bool // the closing brace is missing
}

// nextVariable cuts text at its first variable. plain is what comes before it,
// escapes undone.
func nextVariable(text string) (plain string, v variable, rest string, found bool) {
	var before strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			before.WriteString(text)
			return before.String(), variable{}, "", false
		}
		if i > 0 && text[i-1] == '$' {
			before.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		before.WriteString(text[:i])
		text = text[i:]
		end := strings.IndexAny(text, "}\n")
		if end < 0 || text[end] == '\n' {
			line, _, _ := strings.Cut(text, "\n")
			return before.String(), variable{text: line, open: true}, text[len(line):], true
		}
		return before.String(), variable{text: text[:end+1], name: text[2:end]}, text[end+1:], true
	}
}

// variables lists those in a text.
func variables(text string) []variable {
	var all []variable
	for {
		_, v, rest, found := nextVariable(text)
		if !found {
			return all
		}
		all = append(all, v)
		text = rest
	}
}

// parts are what is known of an address, and ownVariables what a process is
// told of itself.
var (
	addressParts = []string{"url", "addr", "host", "port"}
	ownVariables = append([]string{"dir", "instance"}, addressParts...)
)

// variables checks every ${...} in a text of a process.
func (r *rules) variables(path strict.Path, text string) {
	if !r.Sound(path) {
		return
	}
	for _, v := range variables(text) {
		if r.Full() {
			return
		}
		if v.open {
			r.variableAt(path, v, "close it with }, or write $${ if ${ is meant")
		} else if r.knows(v.name) {
			continue
		} else if near := strict.Nearest(v.name, r.variableNames()); near != "" {
			r.variableAt(path, v, fmt.Sprintf("did you mean ${%s}?", near))
		} else {
			r.variableAt(path,
				v,
				"variables are "+strings.Join(ownVariables, ", ")+
					", links.NAME.url, targets.NAME.url and env.NAME; write $${ if ${ is meant")
		}
	}
}

// knows reports whether there is a variable. Whether the environment has one is
// seen when the run begins: a file may be checked on another machine.
func (r *rules) knows(name string) bool {
	if env, ok := strings.CutPrefix(name, "env."); ok {
		return isEnvName(env)
	}
	space, rest, dotted := strings.Cut(name, ".")
	if !dotted {
		return slices.Contains(ownVariables, name)
	}
	last := strings.LastIndexByte(rest, '.')
	if last < 0 {
		return false
	}
	if l := r.x.Links[rest[:last]]; space == "links" && l != nil && l.TLS != nil && slices.Contains(tlsParts, rest[last+1:]) {
		return true
	}
	if !slices.Contains(addressParts, rest[last+1:]) {
		return false
	}
	if t := r.x.Targets[rest[:last]]; space == "targets" && t != nil {
		_, socket := t.Socket()
		return !socket || rest[last+1:] == "url" || rest[last+1:] == "addr"
	}
	return space == "links" && r.x.Links[rest[:last]] != nil
}

// variableNames lists what could have been meant, as far as names go.
func (r *rules) variableNames() []string {
	if r.names != nil {
		return r.names
	}
	names := slices.Clone(ownVariables)
	for _, part := range addressParts {
		for _, link := range r.links {
			names = append(names, "links."+link+"."+part)
		}
		for _, target := range slices.Sorted(maps.Keys(r.x.Targets)) {
			names = append(names, "targets."+target+"."+part)
		}
	}
	for _, link := range r.links {
		if r.x.Links[link].TLS != nil {
			for _, part := range tlsParts {
				names = append(names, "links."+link+"."+part)
			}
		}
	}
	r.names = names
	return names
}

// variableAt reports a variable where it stands in its text.
func (r *rules) variableAt(path strict.Path, v variable, hint string) {
	problem := path.Tail() + ": unknown variable " + v.text
	if v.open {
		problem = path.Tail() + ": " + strict.Quote(v.text) + " is not closed"
	}
	r.WrongText(path, v.text, problem, hint)
}
