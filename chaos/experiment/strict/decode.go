package strict

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
// A value that cannot be read is reported, and v left as it was.
func (d *Doc) decode(key, n *yaml.Node, v reflect.Value, path Path) {
	if n.Kind == yaml.AliasNode {
		if d.aliases == 0 {
			d.alias = n
		}
		d.aliases++
		defer func() { d.aliases-- }()
		n = n.Alias
	}
	d.places[path] = place{key, n}
	for v.Kind() == reflect.Pointer { // even if an error follows: the pointer of a key that is there is not nil
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if !d.affordable(path) {
		return
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.unread(path)
		d.Wrong(path, fmt.Sprintf("tag %s is not supported", Quote(n.Tag)), "write the value without it")
		return
	}
	if isNull(n) {
		d.null(v, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		short := shortOf(v)
		if short != nil && n.Kind == yaml.ScalarNode {
			if *short = n.Value; n.Value == "" {
				d.Wrong(path, path.Tail()+": is empty", "write something, or remove the key")
			}
			return
		}
		if short != nil {
			*short = "" // the keys are instead of it
		}
		if d.is(n, yaml.MappingNode, v.Type(), path) {
			d.object(n, v, path)
		}
	case reflect.Map:
		if n.Kind == yaml.ScalarNode && OneOrEach(v.Type()) {
			one := reflect.New(v.Type().Elem()).Elem()
			d.scalar(n, one, path)
			m := reflect.MakeMap(v.Type())
			m.SetMapIndex(reflect.Zero(v.Type().Key()), one)
			v.Set(m)
			return
		}
		if d.is(n, yaml.MappingNode, v.Type(), path) {
			d.table(n, v, path)
		}
	case reflect.Slice:
		if n.Kind == yaml.ScalarNode && OneOrMany(v.Type()) {
			list := reflect.MakeSlice(v.Type(), 1, 1)
			d.scalar(n, list.Index(0), path)
			v.Set(list)
			return
		}
		if d.is(n, yaml.SequenceNode, v.Type(), path) {
			d.list(n, v, path)
		}
	default:
		if d.is(n, yaml.ScalarNode, v.Type(), path) {
			d.scalar(n, v, path)
		}
	}
}

// OneOrMany reports whether one value may stand for a list of it. A list type
// says so by having a name of its own.
func OneOrMany(t reflect.Type) bool { return t.Kind() == reflect.Slice && t.Name() != "" }

// OneOrEach reports whether one value may stand for a map, for whatever key: it is then
// under the empty one. A map type says so by having a name of its own.
func OneOrEach(t reflect.Type) bool { return t.Kind() == reflect.Map && t.Name() != "" }

// affordable counts the values reached through aliases, and reports whether to
// go on.
func (d *Doc) affordable(path Path) bool {
	if d.aliases == 0 {
		return true
	}
	if d.aliased++; d.aliased == maxAliased {
		d.report(d.alias, path, fmt.Sprintf("aliases stand for more than %d values", maxAliased),
			"write the file without aliases of aliases")
	}
	if d.aliased >= maxAliased {
		d.unread(path)
		return false
	}
	return true
}

// isNull reports whether a node is YAML's null: nothing at all, or a word for it.
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

// quoted reports whether a scalar can be nothing but text.
func quoted(n *yaml.Node) bool {
	return n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
}

// null reports a key without a value. It could mean "absent" or "empty" or
// "forgotten": the file must say which.
func (d *Doc) null(v reflect.Value, path Path) {
	d.unread(path)
	hint := "write one, or remove the key"
	switch {
	case path == "":
		d.Wrong(path, "the file holds no value", d.subject.Map)
		return
	case v.Kind() == reflect.Struct && len(Required(v)) == 0:
		hint = "write {} for its defaults, or remove the key"
	}
	if d.places[path].key == nil {
		hint = "write one, or remove the entry"
	}
	d.WrongKey(path, path.Tail()+": has no value", hint)
}

// is reports whether a node is of the kind that the type is written as. If not,
// that is an error of the file.
func (d *Doc) is(n *yaml.Node, kind yaml.Kind, t reflect.Type, path Path) bool {
	if n.Kind == kind {
		return true
	}
	d.unread(path)
	name := path.Tail() + ": "
	if path == "" {
		name = d.subject.Name + " "
	}
	switch kind {
	case yaml.MappingNode:
		hint := "write key: value"
		if t.Kind() == reflect.Struct && len(Fields(t)) > 0 {
			hint = "keys are " + strings.Join(keysOf(t), ", ")
		}
		d.Wrong(path, name+"must be a map, not "+kindName(n), hint)
	case yaml.SequenceNode:
		hint := "begin each entry with -"
		if n.Kind == yaml.ScalarNode {
			hint = "put it in brackets: [" + strings.Join(strings.Fields(n.Value), ", ") + "]"
			if len(n.Value) > 60 || strings.ContainsAny(n.Value, "\"'[]{},:#") {
				hint = "put it in brackets"
			}
		}
		d.Wrong(path, name+"must be a list, not "+kindName(n), hint)
	default:
		d.Wrong(path, name+"must be one value, not "+kindName(n), "")
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
func (d *Doc) object(n *yaml.Node, v reflect.Value, path Path) {
	Defaults(v)
	fields := map[string]Field{}
	for _, f := range Fields(v.Type()) {
		fields[f.Key] = f
	}
	d.eachKey(n, path, func(name string, key, value *yaml.Node) {
		f, known := fields[name]
		if !known {
			d.unread(path)
			if problem, hint := refused(v, name); problem != "" {
				d.report(key, path, problem, hint)
				return
			}
			d.report(key, path, "unknown key "+Quote(name), Suggest(name, "valid keys", keysOf(v.Type())))
			return
		}
		x, at := v.FieldByIndex(f.Index), path.Child(name)
		d.decode(key, value, x, at)
		if x.Kind() == reflect.String && x.Len() == 0 && d.Sound(at) {
			d.Wrong(at, name+": is empty", "write something, or remove the key")
		}
	})
	for _, key := range Required(v) {
		if !d.Has(path.Child(key)) {
			d.Missing(path, key, "add "+example(v.Type(), key))
		}
	}
	d.check(v, path)
}

// table reads a map with free keys.
func (d *Doc) table(n *yaml.Node, v reflect.Value, path Path) {
	t := v.Type()
	if !d.few(len(n.Content)/2, path) {
		return
	}
	m := reflect.MakeMap(t)
	d.eachKey(n, path, func(name string, key, value *yaml.Node) {
		x := reflect.New(t.Elem()).Elem()
		d.decode(key, value, x, path.Child(name))
		m.SetMapIndex(reflect.ValueOf(name).Convert(t.Key()), x)
	})
	v.SetZero()
	if m.Len() > 0 {
		v.Set(m)
	}
}

// list reads a list; it replaces a default rather than adding to it.
func (d *Doc) list(n *yaml.Node, v reflect.Value, path Path) {
	v.SetZero()
	if len(n.Content) == 0 || !d.few(len(n.Content), path) {
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, entry := range n.Content {
		d.decode(nil, entry, list.Index(i), path.Item(i))
	}
	v.Set(list)
}

// few refuses more entries than are written by hand, so that no check that
// compares each with each takes long.
func (d *Doc) few(entries int, path Path) bool {
	if entries <= maxEntries {
		return true
	}
	d.unread(path)
	d.Wrong(path, fmt.Sprintf("%s: has %d entries", path.Tail(), entries), fmt.Sprintf("at most %d are read", maxEntries))
	return false
}

// eachKey goes through a map whose keys are names, each there once.
func (d *Doc) eachKey(n *yaml.Node, path Path, visit func(name string, key, value *yaml.Node)) {
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content) && d.affordable(path); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		for key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch earlier := first[key.Value]; {
		case key.Kind != yaml.ScalarNode || isNull(key) || key.Value == "":
			d.unread(path)
			d.report(n.Content[i], path, "a key must be a name", "write key: value")
		case key.Style&yaml.TaggedStyle != 0:
			d.unread(path)
			d.report(key, path, fmt.Sprintf("tag %s is not supported", Quote(key.Tag)), "write the key without it")
		case key.Value == "<<" && !quoted(key):
			d.unread(path)
			d.report(key, path, "merge key << is not supported", "write the keys out, or use an alias for a whole value")
		case earlier != nil:
			d.report(n.Content[i], path, "key "+Quote(key.Value)+" is given twice", d.before(earlier))
		default:
			first[key.Value] = key
			visit(key.Value, n.Content[i], value)
		}
	}
}

// before says where the first of two is.
func (d *Doc) before(n *yaml.Node) string {
	if flag := d.flags[n]; flag != "" {
		return "the first is " + flag
	}
	return fmt.Sprintf("the first is at %d:%d", n.Line, n.Column)
}
