package experiment

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxAliased bounds the values that aliases may stand for. A few lines of
// aliases to aliases can stand for more values than memory holds ("billion
// laughs"); an honest file repeats a header or two.
const maxAliased = 10_000

// maxEntries bounds every list and every map with free keys.
const maxEntries = 1000

// decode reads a node into v. key is the node of its key, nil if it has none.
// What cannot be read is reported and left as it was.
func (s *source) decode(key, n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode {
		if s.aliases == 0 {
			s.alias = n
		}
		s.aliases++
		defer func() { s.aliases-- }()
		n = n.Alias
	}
	s.places[path] = place{key, n}
	for v.Kind() == reflect.Pointer { // whatever follows: what is mentioned is not nil
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if !s.affordable(path) {
		return
	}
	if n.Style&yaml.TaggedStyle != 0 {
		s.unread(path)
		s.wrong(path, fmt.Sprintf("tag %s is not supported", quote(n.Tag)), "write the value without it")
		return
	}
	if isNull(n) {
		s.null(v, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if s.is(n, yaml.MappingNode, v.Type(), path) {
			s.object(n, v, path)
		}
	case reflect.Map:
		if s.is(n, yaml.MappingNode, v.Type(), path) {
			s.table(n, v, path)
		}
	case reflect.Slice:
		if n.Kind == yaml.ScalarNode && oneOrMany(v.Type()) {
			list := reflect.MakeSlice(v.Type(), 1, 1)
			s.scalar(n, list.Index(0), path)
			v.Set(list)
			return
		}
		if s.is(n, yaml.SequenceNode, v.Type(), path) {
			s.list(n, v, path)
		}
	default:
		if s.is(n, yaml.ScalarNode, v.Type(), path) {
			s.scalar(n, v, path)
		}
	}
}

// oneOrMany tells whether one value may stand for a list of it. A list type
// says so by having a name of its own, as toxic.Statuses does.
func oneOrMany(t reflect.Type) bool { return t.Kind() == reflect.Slice && t.Name() != "" }

// affordable counts what is reached through aliases, and tells whether to go on.
func (s *source) affordable(path string) bool {
	if s.aliases == 0 {
		return true
	}
	if s.aliased++; s.aliased == maxAliased {
		s.report(s.alias, path, fmt.Sprintf("aliases stand for more than %d values", maxAliased), "write the file without aliases of aliases")
	}
	if s.aliased >= maxAliased {
		s.unread(path)
		return false
	}
	return true
}

// isNull tells whether a node is YAML's null: nothing at all, or a word for it.
func isNull(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || quoted(n) {
		return false
	}
	switch n.Value {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// quoted tells whether a scalar can be nothing but text.
func quoted(n *yaml.Node) bool {
	return n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
}

// null reports a key without a value. It could mean "absent" or "empty" or
// "forgotten": the writer must say.
func (s *source) null(v reflect.Value, path string) {
	s.unread(path)
	hint := "write one, or remove the key"
	switch {
	case path == "":
		s.wrong(path, "the file holds no value", "an experiment is a map with name, targets, load and claims")
		return
	case v.Kind() == reflect.Struct && len(required(v)) == 0:
		hint = "write {} for its defaults, or remove the key"
	}
	if s.places[path].key == nil {
		hint = "write one, or remove the entry"
	}
	s.wrongKey(path, tail(path)+": has no value", hint)
}

// is reports a node that is not of the kind that the type is written as.
func (s *source) is(n *yaml.Node, kind yaml.Kind, t reflect.Type, path string) bool {
	if n.Kind == kind {
		return true
	}
	s.unread(path)
	name := tail(path) + ": "
	if path == "" {
		name = "an experiment "
	}
	switch kind {
	case yaml.MappingNode:
		hint := "write key: value"
		if t.Kind() == reflect.Struct && len(fieldsOf(t)) > 0 {
			hint = "keys are " + strings.Join(keysOf(t), ", ")
		}
		s.wrong(path, name+"must be a map, not "+kindName(n), hint)
	case yaml.SequenceNode:
		hint := "begin each entry with -"
		if n.Kind == yaml.ScalarNode {
			hint = "put it in brackets: [" + strings.Join(strings.Fields(n.Value), ", ") + "]"
			if len(n.Value) > 60 || strings.ContainsAny(n.Value, "\"'[]{},:#") {
				hint = "put it in brackets"
			}
		}
		s.wrong(path, name+"must be a list, not "+kindName(n), hint)
	default:
		s.wrong(path, name+"must be one value, not "+kindName(n), "")
	}
	return false
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "one value"
	}
}

// object reads a map with fixed keys.
func (s *source) object(n *yaml.Node, v reflect.Value, path string) {
	defaults(v)
	fields := map[string]field{}
	for _, f := range fieldsOf(v.Type()) {
		fields[f.key] = f
	}
	s.eachKey(n, path, func(name string, key, value *yaml.Node) {
		f, known := fields[name]
		if !known {
			s.unread(path)
			if problem, hint := refused(v, name); problem != "" {
				s.report(key, path, problem, hint)
				return
			}
			s.report(key, path, "unknown key "+quote(name), suggest(name, "valid keys", keysOf(v.Type())))
			return
		}
		at := v.FieldByIndex(f.index)
		s.decode(key, value, at, child(path, name))
		if at.Kind() == reflect.String && at.Len() == 0 && s.sound(child(path, name)) {
			s.wrong(child(path, name), name+": is empty", "write something, or remove the key")
		}
	})
	for _, key := range required(v) {
		if !s.has(child(path, key)) {
			s.lacks(path, child(path, key)+": is missing", "add "+example(v.Type(), key))
		}
	}
	s.check(v, path)
}

// table reads a map with free keys.
func (s *source) table(n *yaml.Node, v reflect.Value, path string) {
	t := v.Type()
	if !s.few(len(n.Content)/2, path) {
		return
	}
	m := reflect.MakeMap(t)
	s.eachKey(n, path, func(name string, key, value *yaml.Node) {
		x := reflect.New(t.Elem()).Elem()
		s.decode(key, value, x, child(path, name))
		m.SetMapIndex(reflect.ValueOf(name).Convert(t.Key()), x)
	})
	v.SetZero()
	if m.Len() > 0 {
		v.Set(m)
	}
}

// list reads a list; it replaces a default rather than adding to it.
func (s *source) list(n *yaml.Node, v reflect.Value, path string) {
	v.SetZero()
	if len(n.Content) == 0 || !s.few(len(n.Content), path) {
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, entry := range n.Content {
		s.decode(nil, entry, list.Index(i), item(path, i))
	}
	v.Set(list)
}

// few refuses more entries than a person would write, so that nothing that
// compares each with each takes long.
func (s *source) few(entries int, path string) bool {
	if entries <= maxEntries {
		return true
	}
	s.unread(path)
	s.wrong(path, fmt.Sprintf("%s: has %d entries", tail(path), entries), fmt.Sprintf("at most %d are read", maxEntries))
	return false
}

// eachKey goes through a map whose keys are names, each there once.
func (s *source) eachKey(n *yaml.Node, path string, visit func(name string, key, value *yaml.Node)) {
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content) && s.affordable(path); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		for key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch earlier := first[key.Value]; {
		case key.Kind != yaml.ScalarNode || isNull(key) || key.Value == "":
			s.unread(path)
			s.report(n.Content[i], path, "a key must be a name", "write key: value")
		case key.Style&yaml.TaggedStyle != 0:
			s.unread(path)
			s.report(key, path, fmt.Sprintf("tag %s is not supported", quote(key.Tag)), "write the key without it")
		case key.Value == "<<" && !quoted(key):
			s.unread(path)
			s.report(key, path, "merge key << is not supported", "write the keys out, or use an alias for a whole value")
		case earlier != nil:
			s.report(n.Content[i], path, "key "+quote(key.Value)+" is given twice", s.before(earlier))
		default:
			first[key.Value] = key
			visit(key.Value, n.Content[i], value)
		}
	}
}

// before tells where the first of two is.
func (s *source) before(n *yaml.Node) string {
	if flag := s.flags[n]; flag != "" {
		return "the first is " + flag
	}
	return fmt.Sprintf("the first is at %d:%d", n.Line, n.Column)
}
