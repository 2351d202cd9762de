package experiment

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/load/wire"
)

// leastSecret is how many bytes a value of the environment must have to be
// masked. Shorter ones, like 8080 and true, stand in many texts by chance.
const leastSecret = 6

func isEnvName(name string) bool { return name != "" && !strings.ContainsAny(name, "=\x00") }

// fillEnv replaces every ${env.NAME} in a template of a request, and leaves its
// other placeholders and escapes as they are.
func fillEnv(text string, value func(name string) (string, error)) (string, error) {
	var out strings.Builder
	for {
		at := strings.Index(text, "${")
		if at < 0 {
			out.WriteString(text)
			return out.String(), nil
		}
		name, ofEnv := strings.CutPrefix(text[at+2:], "env.")
		name, rest, closed := strings.Cut(name, "}")
		if escaped := at > 0 && text[at-1] == '$'; escaped || !ofEnv || !closed {
			out.WriteString(text[:at+2])
			text = text[at+2:]
			continue
		}
		v, err := value(name)
		if err != nil {
			return "", err
		}
		out.WriteString(text[:at] + wire.Literal(v))
		text = rest
	}
}

// readEnv finds the variables that headers ask for. One that is not there, or
// that no header may hold, is an error, which does not show it.
func (x *Experiment) readEnv(lookup func(string) (string, bool)) (map[string]string, error) {
	values := map[string]string{}
	for i := range x.Load.Routes {
		route := &x.Load.Routes[i]
		requests := []Request{route.Request}
		for _, step := range route.Then {
			requests = append(requests, step.Request)
		}
		for _, r := range requests {
			for _, header := range slices.Sorted(maps.Keys(r.Headers)) {
				_, err := fillEnv(r.Headers[header], func(name string) (string, error) {
					v, there := lookup(name)
					switch {
					case !there:
						return "", fmt.Errorf("the environment has no %s", name)
					case strings.ContainsFunc(v, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
						return "", fmt.Errorf("%s of the environment has a control character, perhaps a line's end, which no "+
							"header may hold", name)
					}
					values[name] = v
					return "", nil
				})
				if err != nil {
					return nil, fmt.Errorf("route %s: header %s: %w", route.Name, header, err)
				}
			}
		}
	}
	return values, nil
}

// Headers are those of a request as they are sent, in the order of their names:
// templates, with the variables of the environment filled in.
func (in *Inputs) Headers(r Request) (list [][2]string) {
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		value, _ := fillEnv(r.Headers[name], func(name string) (string, error) { return in.env[name], nil })
		list = append(list, [2]string{name, value})
	}
	return list
}

// secrets masks what the experiment takes from the environment.
func (x *Experiment) secrets(lookup func(string) (string, bool)) *strings.Replacer {
	var names []string
	take := func(text string) {
		for _, v := range variables(text) {
			if name, ok := strings.CutPrefix(v.name, "env."); ok && !v.open {
				names = append(names, name)
			}
		}
	}
	for _, route := range x.Load.Routes {
		for _, text := range route.Headers {
			take(text)
		}
		for _, step := range route.Then {
			for _, text := range step.Headers {
				take(text)
			}
		}
	}
	for _, t := range x.Targets {
		if t.Process == nil {
			continue
		}
		env, files := slices.Collect(maps.Values(t.Process.Env)), slices.Collect(maps.Values(t.Process.Files))
		for _, text := range slices.Concat(t.Process.Command, env, files) {
			take(text)
		}
	}
	type secret struct{ name, value string }
	var all []secret
	for _, name := range names {
		if v, _ := lookup(name); len(v) >= leastSecret {
			all = append(all, secret{name, v})
		}
	}
	// Of two that begin alike the longer is masked whole.
	slices.SortFunc(all, func(a, b secret) int {
		return cmp.Or(cmp.Compare(len(b.value), len(a.value)), cmp.Compare(a.name, b.name))
	})
	var pairs []string
	for _, s := range all {
		pairs = append(pairs, s.value, "${env."+s.name+"}")
	}
	return strings.NewReplacer(pairs...)
}

// Mask puts the placeholders of the experiment in the place of what they stand
// for: a target may print what it was given. Values of less than 6 bytes stay.
func (in *Inputs) Mask(text string) string { return in.secrets.Replace(text) }

// MaskError is Mask for the text of an error, which stays what it is.
func (in *Inputs) MaskError(err error) error {
	if err == nil {
		return nil
	}
	if text := in.Mask(err.Error()); text != err.Error() {
		return masked{text, err}
	}
	return err
}

type masked struct {
	text string
	err  error
}

func (m masked) Error() string { return m.text }

func (m masked) Unwrap() error { return m.err }
