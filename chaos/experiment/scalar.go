package experiment

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/chaos/unit"
)

// unitTypes are the types with a notation of their own. Each is written as a
// text; how it is read, and the pattern that the schema shows for it, stand
// here together.
var unitTypes = map[reflect.Type]struct {
	parse   func(text string) (any, error)
	format  func(v reflect.Value) string
	pattern string
}{
	reflect.TypeFor[time.Duration](): {
		func(t string) (any, error) { return unit.ParseDuration(t) },
		func(v reflect.Value) string { return unit.FormatDuration(time.Duration(v.Int())) },
		`^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`,
	},
	reflect.TypeFor[rate.Limit](): {
		func(t string) (any, error) { return unit.ParseRate(t) },
		func(v reflect.Value) string { return unit.FormatRate(rate.Limit(v.Float())) },
		`^[0-9]+(\.[0-9]+)?[kKM]?/[smh]$`,
	},
	reflect.TypeFor[unit.Share](): {
		func(t string) (any, error) { return unit.ParseShare(t) },
		func(v reflect.Value) string { return unit.Share(v.Float()).String() },
		`^[0-9]+(\.[0-9]+)?%$`,
	},
	reflect.TypeFor[unit.Size](): {
		func(t string) (any, error) { return unit.ParseSize(t) },
		func(v reflect.Value) string { return unit.Size(v.Int()).String() },
		`^[0-9]+(\.[0-9]+)?(B|kB|KB|MB|GB|KiB|MiB|GiB)$`,
	},
	reflect.TypeFor[unit.Bandwidth](): {
		func(t string) (any, error) { return unit.ParseBandwidth(t) },
		func(v reflect.Value) string { return unit.Bandwidth(v.Int()).String() },
		`^[0-9]+(\.[0-9]+)?(B|kB|KB|MB|GB|KiB|MiB|GiB)/s$`,
	},
	reflect.TypeFor[toxic.GRPCCode](): {
		func(t string) (any, error) { return toxic.ParseGRPCCode(t) },
		func(v reflect.Value) string { return toxic.GRPCCode(v.Int()).String() },
		`^[A-Z_]+$`,
	},
}

// scalar decodes one value that is neither map nor list. n is a scalar and not
// null.
func (s *source) scalar(n *yaml.Node, v reflect.Value, path string) {
	if u, ok := unitTypes[v.Type()]; ok {
		x, err := u.parse(n.Value)
		if err != nil {
			s.wrong(path, tail(path)+": "+err.Error(), "")
			return
		}
		v.Set(reflect.ValueOf(x).Convert(v.Type()))
		return
	}
	quoted := quoted(n)
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
	case reflect.Bool:
		s.boolean(n.Value, quoted, v, path)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if text, ok := s.digits(n.Value, quoted, path); ok {
			x, err := strconv.ParseInt(text, 10, v.Type().Bits())
			if err != nil {
				s.wrong(path, fmt.Sprintf("%s: %s is out of range", tail(path), text), "")
				return
			}
			v.SetInt(x)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if text, ok := s.digits(n.Value, quoted, path); ok {
			x, err := strconv.ParseUint(text, 10, v.Type().Bits())
			if err != nil {
				s.wrong(path, fmt.Sprintf("%s: %s is out of range", tail(path), text), fmt.Sprintf("it is at least 0 and at most %d", uint64(math.MaxUint64)>>(64-v.Type().Bits())))
				return
			}
			v.SetUint(x)
		}
	case reflect.Float32, reflect.Float64:
		s.number(n.Value, quoted, v, path)
	default:
		panic(fmt.Sprintf("experiment: no scalar can be read into %s at %s", v.Type(), path))
	}
}

// boolean takes true and false and nothing else: YAML 1.1 took yes, no, on, off,
// y and n too, YAML 1.2 takes them for text.
func (s *source) boolean(text string, quoted bool, v reflect.Value, path string) {
	switch {
	case !quoted && (text == "true" || text == "false"):
		v.SetBool(text == "true")
	case text == "true" || text == "false":
		s.wrong(path, fmt.Sprintf("%s: %q is a text", tail(path), text), fmt.Sprintf("write %s without quotes", text))
	case isOneOf(text, "true", "yes", "on", "y"):
		s.wrong(path, fmt.Sprintf("%s: %s is neither true nor false", tail(path), quote(text)), "write true")
	case isOneOf(text, "false", "no", "off", "n"):
		s.wrong(path, fmt.Sprintf("%s: %s is neither true nor false", tail(path), quote(text)), "write false")
	default:
		s.wrong(path, fmt.Sprintf("%s: %s is neither true nor false", tail(path), quote(text)), "write true or false")
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

// digits takes a whole number in decimal. A leading zero means octal to one
// YAML and nothing to the next; underscores, hexadecimal and base 60 are read
// by some.
func (s *source) digits(text string, quoted bool, path string) (string, bool) {
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
	s.wrong(path, fmt.Sprintf("%s: %s %s", tail(path), quote(text), problem), hint)
	return "", false
}

// number takes a decimal number. Infinity and what is not a number are none.
func (s *source) number(text string, quoted bool, v reflect.Value, path string) {
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
	s.wrong(path, fmt.Sprintf("%s: %s %s", tail(path), quote(text), problem), hint)
}
