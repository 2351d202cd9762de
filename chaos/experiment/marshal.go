package experiment

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Marshal writes an experiment as a file that Parse reads back to an equal
// value. Defaults are written out, so that a later version with other defaults
// still judges what was run; what is absent and has no default stays absent.
func Marshal(x *Experiment) ([]byte, error) {
	text, err := yaml.Dump(encode(reflect.ValueOf(x).Elem()), yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return nil, fmt.Errorf("marshal experiment %s: %w", x.Name, err)
	}
	return text, nil
}

// encode is the inverse of decode.
func encode(v reflect.Value) *yaml.Node {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if u, ok := unitTypes[v.Type()]; ok {
		return text(u.format(v))
	}
	switch v.Kind() {
	case reflect.Struct:
		return encodeObject(v)
	case reflect.Map:
		return encodeTable(v)
	case reflect.Slice:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			entry := encode(v.Index(i))
			if entry.Kind != yaml.ScalarNode || entry.Style == yaml.LiteralStyle {
				list.Style = 0
			}
			list.Content = append(list.Content, entry)
		}
		return list
	case reflect.String:
		return text(v.String())
	case reflect.Float32, reflect.Float64:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())}
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v.Interface())}
	}
}

func encodeObject(v reflect.Value) *yaml.Node {
	object := &yaml.Node{Kind: yaml.MappingNode}
	absent := reflect.New(v.Type()).Elem()
	defaults(absent)
	needed := required(absent)
	for _, f := range fieldsOf(v.Type()) {
		x := v.FieldByIndex(f.index)
		if empty(x) && empty(absent.FieldByIndex(f.index)) && (!slices.Contains(needed, f.key) || x.Kind() == reflect.Pointer) {
			continue
		}
		object.Content = append(object.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: f.key}, encode(x))
	}
	if len(object.Content) == 0 {
		object.Style = yaml.FlowStyle
	}
	return object
}

func encodeTable(v reflect.Value) *yaml.Node {
	table := &yaml.Node{Kind: yaml.MappingNode}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		table.Content = append(table.Content, text(key.String()), encode(v.MapIndex(key)))
	}
	return table
}

// empty tells whether leaving a value out says the same, defaults aside.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			if !empty(v.FieldByIndex(f.index)) {
				return false
			}
		}
		return true
	default:
		return v.IsZero()
	}
}

// plainText is what needs no quotes anywhere, also between brackets; a colon in
// it is followed by something.
var plainText = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./+=*%()-]*( ?:?[A-Za-z0-9_./+=*%()-]+)*$`)

// notText is what some reader of YAML takes for something else than text.
var notText = regexp.MustCompile(`^([-+.0-9][-+.0-9_:a-fA-FxXoO]*|~|(?i:null|true|false|yes|no|on|off|y|n|[-+]?\.inf|\.nan))$`)

// text is a scalar that is read back as it is, by us and by others.
func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: s}
	switch {
	case strings.Contains(s, "\n"):
		n.Style = yaml.LiteralStyle // the writer quotes what cannot stand as a block
	case !plainText.MatchString(s) || notText.MatchString(s):
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
