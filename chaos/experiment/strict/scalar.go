package strict

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
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
	quoted := quoted(n)
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
	case reflect.Bool:
		d.boolean(n.Value, quoted, v, path)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if text, ok := d.digits(n.Value, quoted, path); ok {
			x, err := strconv.ParseInt(text, 10, v.Type().Bits())
			if err != nil {
				d.Wrong(path, fmt.Sprintf("%s: %s is out of range", path.Tail(), text), "")
				return
			}
			v.SetInt(x)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if text, ok := d.digits(n.Value, quoted, path); ok {
			x, err := strconv.ParseUint(text, 10, v.Type().Bits())
			if err != nil {
				d.Wrong(path, fmt.Sprintf("%s: %s is out of range", path.Tail(), text),
					fmt.Sprintf("it is at least 0 and at most %d", uint64(math.MaxUint64)>>(64-v.Type().Bits())))
				return
			}
			v.SetUint(x)
		}
	case reflect.Float32, reflect.Float64:
		d.number(n.Value, quoted, v, path)
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
	for _, w := range words {
		if strings.EqualFold(text, w) {
			return true
		}
	}
	return false
}

var (
	wholeNumber   = regexp.MustCompile(`^[+-]?[0-9]+$`)
	decimalNumber = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	leadingZero   = regexp.MustCompile(`^[+-]?0[0-9]`)
)

// digits reads a whole number in decimal. A leading zero means octal to one
// version of YAML and nothing to the next; some readers take underscores,
// hexadecimal and base 60.
func (d *Doc) digits(text string, quoted bool, path Path) (string, bool) {
	problem, hint := "", ""
	switch whole := wholeNumber.MatchString(text); {
	case whole && quoted:
		problem, hint = "is a text", "write the number without quotes"
	case whole && leadingZero.MatchString(text):
		problem, hint = "begins with 0, which some read as octal", "write it without the 0"
	case whole:
		return text, true
	default:
		problem, hint = "is not a whole number", "write it in plain digits, like 5"
	}
	d.Wrong(path, fmt.Sprintf("%s: %s %s", path.Tail(), Quote(text), problem), hint)
	return "", false
}

// number reads a decimal number. Infinity and NaN are none.
func (d *Doc) number(text string, quoted bool, v reflect.Value, path Path) {
	problem, hint := "", ""
	switch number := decimalNumber.MatchString(text); {
	case number && quoted:
		problem, hint = "is a text", "write the number without quotes"
	case number && leadingZero.MatchString(text):
		problem, hint = "begins with 0, which some read as octal", "write it without the 0"
	case number:
		x, err := strconv.ParseFloat(text, v.Type().Bits())
		if err == nil {
			v.SetFloat(x)
			return
		}
		problem = "is out of range"
	default:
		problem, hint = "is not a number", "write it in plain digits, like 2 or 1.5"
	}
	d.Wrong(path, fmt.Sprintf("%s: %s %s", path.Tail(), Quote(text), problem), hint)
}
