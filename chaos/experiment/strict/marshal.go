package strict

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Marshal writes the struct that v points to as a file that Read reads back to
// an equal value. Defaults are written out; what is absent and has no default
// stays absent.
func Marshal(v any) ([]byte, error) {
	return yaml.Dump(encode(reflect.ValueOf(v).Elem()), yaml.WithIndent(2), yaml.WithLineWidth(-1))
}

// encode is the inverse of decode.
func encode(v reflect.Value) *yaml.Node {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if n := NotationOf(v); n != nil {
		return text(n.String())
	}
	switch v.Kind() {
	case reflect.Struct:
		if short := ShortText(v); short != "" {
			return text(short)
		}
		return encodeObject(v)
	case reflect.Map:
		if one := v.MapIndex(reflect.Zero(v.Type().Key())); OneOrEach(v.Type()) && one.IsValid() {
			return encode(one)
		}
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
	Defaults(absent)
	needed := Required(absent)
	for _, f := range Fields(v.Type()) {
		x := v.FieldByIndex(f.Index)
		if Empty(x) && Empty(absent.FieldByIndex(f.Index)) && (!slices.Contains(needed, f.Key) || x.Kind() == reflect.Pointer) {
			continue
		}
		object.Content = append(object.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: f.Key}, encode(x))
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

// Empty reports whether leaving a value out says the same, defaults aside.
func Empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		return ShortText(v) == "" &&
			!slices.ContainsFunc(Fields(v.Type()), func(f Field) bool { return !Empty(v.FieldByIndex(f.Index)) })
	default:
		return v.IsZero()
	}
}

// plainText matches what needs no quotes anywhere, between brackets neither; a
// colon in it is followed by something.
var plainText = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./+=*%()-]*( ?:?[A-Za-z0-9_./+=*%()-]+)*$`)

// notText matches what some reader of YAML takes for something else than text.
var notText = regexp.MustCompile(`^([-+.0-9][-+.0-9_:a-fA-FxXoO]*|~|(?i:null|true|false|yes|no|on|off|y|n|[-+]?\.inf|\.nan))$`)

// text is a scalar that is read back as it is, here and by other readers.
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
