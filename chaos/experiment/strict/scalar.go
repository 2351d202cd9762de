package strict

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// scalar decodes one value that is neither map nor list. n is a scalar and not
// null.
func (d *Doc) scalar(n *yaml.Node, v reflect.Value, path Path) {
	if x := NotationOf(v); x != nil {
		if err := x.Set(n.Value); err != nil {
			d.Wrong(path, path.Tail()+": "+err.Error(), "")
			return
		}
		v.Set(reflect.ValueOf(x).Elem().Convert(v.Type()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
	case reflect.Bool:
		d.boolean(n.Value, quoted(n), v, path)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if !d.digits(n, wholeNumber, path) {
			return
		}
		x, err := strconv.ParseInt(n.Value, 10, v.Type().Bits())
		if err != nil {
			d.Wrong(path, fmt.Sprintf("%s: %s is out of range", path.Tail(), n.Value), "")
			return
		}
		v.SetInt(x)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if !d.digits(n, wholeNumber, path) {
			return
		}
		x, err := strconv.ParseUint(n.Value, 10, v.Type().Bits())
		if err != nil {
			d.Wrong(path, fmt.Sprintf("%s: %s is out of range", path.Tail(), n.Value),
				fmt.Sprintf("it is at least 0 and at most %d", uint64(math.MaxUint64)>>(64-v.Type().Bits())))
			return
		}
		v.SetUint(x)
	case reflect.Float32, reflect.Float64:
		if !d.digits(n, decimalNumber, path) {
			return
		}
		x, err := strconv.ParseFloat(n.Value, v.Type().Bits())
		if err != nil {
			d.Wrong(path, fmt.Sprintf("%s: %s is out of range", path.Tail(), Quote(n.Value)), "")
			return
		}
		v.SetFloat(x)
	default:
		panic(fmt.Sprintf("strict: no scalar can be read into %s at %s", v.Type(), path))
	}
}

// boolean reads true and false and nothing else: in YAML 1.1 yes, no, on, off, y
// and n are booleans too, in YAML 1.2 they are text.
func (d *Doc) boolean(text string, quoted bool, v reflect.Value, path Path) {
	switch {
	case !quoted && (text == "true" || text == "false"):
		v.SetBool(text == "true")
	case text == "true" || text == "false":
		d.Wrong(path, fmt.Sprintf("%s: %q is a text", path.Tail(), text), fmt.Sprintf("write %s without quotes", text))
	case isOneOf(text, "true", "yes", "on", "y"):
		d.Wrong(path, fmt.Sprintf("%s: %s is neither true nor false", path.Tail(), Quote(text)), "write true")
	case isOneOf(text, "false", "no", "off", "n"):
		d.Wrong(path, fmt.Sprintf("%s: %s is neither true nor false", path.Tail(), Quote(text)), "write false")
	default:
		d.Wrong(path, fmt.Sprintf("%s: %s is neither true nor false", path.Tail(), Quote(text)), "write true or false")
	}
}

func isOneOf(text string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(text, w) })
}

// form is how a number is written, with what is said of one that is not.
type form struct {
	syntax        *regexp.Regexp
	problem, hint string
}

var (
	wholeNumber = form{regexp.MustCompile(`^[+-]?[0-9]+$`),
		"is not a whole number", "write it in plain digits, like 5"}
	decimalNumber = form{regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$`),
		"is not a number", "write it in plain digits, like 2 or 1.5"} // infinity and NaN are none
	leadingZero = regexp.MustCompile(`^[+-]?0[0-9]`)
)

// digits reports whether a scalar is a number of a form; if not, that is an
// error of the file. A leading zero means octal to one version of YAML and
// nothing to the next; some readers take underscores, hexadecimal and base 60.
func (d *Doc) digits(n *yaml.Node, f form, path Path) bool {
	problem, hint := f.problem, f.hint
	switch number := f.syntax.MatchString(n.Value); {
	case number && quoted(n):
		problem, hint = "is a text", "write the number without quotes"
	case number && leadingZero.MatchString(n.Value):
		problem, hint = "begins with 0, which some read as octal", "write it without the 0"
	case number:
		return true
	}
	d.Wrong(path, fmt.Sprintf("%s: %s %s", path.Tail(), Quote(n.Value), problem), hint)
	return false
}
