package reference

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kinds of values that settings have. Each constructor names what is
// right, for the description and for errors alike.

// noneIs tells what the word none means for a duration.
type noneIs bool

const (
	never  noneIs = false // it is not a value
	orNone noneIs = true  // it is, and is stored as 0
)

func oneOf[S any](name, def, meaning string, values []string, at func(*S) *string) key[S] {
	return key[S]{
		Setting: Setting{name, def, strings.Join(values, ", "), meaning},
		set: func(s *S, v string) error {
			if !slices.Contains(values, v) {
				return fmt.Errorf("must be one of %s%s", strings.Join(values, ", "), didYouMean(v, values))
			}
			*at(s) = v
			return nil
		},
	}
}

func whole[S any](name, def, needs, meaning string, least, most int, at func(*S) *int) key[S] {
	values := fmt.Sprintf("a whole number from %d to %d", least, most)
	return key[S]{
		Setting: Setting{name, def, values, meaning}, needs: needs,
		set: func(s *S, v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < least || n > most {
				return errors.New("must be " + values)
			}
			*at(s) = n
			return nil
		},
	}
}

func number[S any](name, def, needs, meaning string, least, most float64, at func(*S) *float64) key[S] {
	values := fmt.Sprintf("a number from %g to %g", least, most)
	return key[S]{
		Setting: Setting{name, def, values, meaning}, needs: needs,
		set: func(s *S, v string) error {
			f, err := strconv.ParseFloat(v, 64)
			if err != nil || !(f >= least && f <= most) { // so that NaN is refused
				return errors.New("must be " + values)
			}
			*at(s) = f
			return nil
		},
	}
}

func share[S any](name, def, needs, meaning string, at func(*S) *float64) key[S] {
	const values = "a share from 0% to 100%, like 50%"
	return key[S]{
		Setting: Setting{name, def, values, meaning}, needs: needs,
		set: func(s *S, v string) error {
			digits, found := strings.CutSuffix(v, "%")
			f, err := strconv.ParseFloat(digits, 64)
			if !found || err != nil || !(f >= 0 && f <= 100) {
				return errors.New("must be " + values)
			}
			*at(s) = f / 100
			return nil
		},
	}
}

func wait[S any](name, def, needs, meaning string, least time.Duration, none noneIs, at func(*S) *time.Duration) key[S] {
	values := "a duration like 250ms or 2s"
	if least > 0 {
		values += fmt.Sprintf(", at least %s", least)
	}
	if none == orNone {
		values += ", or none"
	}
	return key[S]{
		Setting: Setting{name, def, values, meaning}, needs: needs,
		set: func(s *S, v string) error {
			if v == "none" && none == orNone {
				*at(s) = 0
				return nil
			}
			d, err := time.ParseDuration(v)
			if err != nil || d < least {
				return errors.New("must be " + values)
			}
			*at(s) = d
			return nil
		},
	}
}

func statuses[S any](name, def, needs, meaning string, at func(*S) *[]int) key[S] {
	const values = "statuses from 400 to 599, separated by commas or spaces"
	return key[S]{
		Setting: Setting{name, def, values, meaning}, needs: needs,
		set: func(s *S, v string) error {
			var list []int
			for _, word := range words(v) {
				n, err := strconv.Atoi(word)
				if err != nil || n < 400 || n > 599 {
					return errors.New("must be " + values)
				}
				list = append(list, n)
			}
			*at(s) = list
			return nil
		},
	}
}

// maxLimit bounds a bulkhead; past it there is nothing left to protect.
const maxLimit = 1_000_000

func limit[S any](name, textbook, meaning string, at func(*S) *int) key[S] {
	values := fmt.Sprintf("a whole number from 1 to %d, or %s", maxLimit, textbook)
	return key[S]{
		Setting: Setting{name, textbook, values, meaning}, needs: "bulkhead",
		set: func(s *S, v string) error {
			if v == textbook {
				*at(s) = 0
				return nil
			}
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 || n > maxLimit {
				return errors.New("must be " + values)
			}
			*at(s) = n
			return nil
		},
	}
}

func limits[S any](name, none, meaning string, at func(*S) *map[string]int) key[S] {
	values := "dependencies with their limits, like a=40 b=30, or " + none
	return key[S]{
		Setting: Setting{name, none, values, meaning}, needs: "bulkhead",
		set: func(s *S, v string) error {
			given := map[string]int{}
			if v != none {
				for _, word := range words(v) {
					dep, digits, found := strings.Cut(word, "=")
					n, err := strconv.Atoi(digits)
					if !found || dep == "" || err != nil || n < 1 || n > maxLimit {
						return fmt.Errorf("%q: must be %s", word, values)
					}
					if _, twice := given[dep]; twice {
						return fmt.Errorf("%s is given twice", dep)
					}
					given[dep] = n
				}
			}
			*at(s) = given
			return nil
		},
	}
}

func size[S any](name, def, meaning string, most int, at func(*S) *int) key[S] {
	const values = "a size like 512B, 64KiB or 1MiB"
	units := map[string]float64{"B": 1, "KB": 1e3, "kB": 1e3, "MB": 1e6, "KiB": 1 << 10, "MiB": 1 << 20}
	return key[S]{
		Setting: Setting{name, def, fmt.Sprintf("%s, at most %d MiB", values, most>>20), meaning},
		set: func(s *S, v string) error {
			cut := strings.IndexFunc(v, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
			if cut < 0 {
				return errors.New("must be " + values)
			}
			n, err := strconv.ParseFloat(v[:cut], 64)
			unit, known := units[strings.TrimSpace(v[cut:])]
			if err != nil || !known {
				return errors.New("must be " + values)
			}
			if bytes := n * unit; bytes > float64(most) || bytes != math.Trunc(bytes) {
				return fmt.Errorf("must be whole bytes, at most %d MiB", most>>20)
			}
			*at(s) = int(n * unit)
			return nil
		},
	}
}

func header[S any](name, def, meaning string, at func(*S) *string) key[S] {
	return key[S]{
		Setting: Setting{name, def, "the name of an HTTP header", meaning},
		set: func(s *S, v string) error {
			valid := v != "" && strings.Trim(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
			if !valid {
				return errors.New("must be the name of an HTTP header: letters, digits, - and _")
			}
			*at(s) = http.CanonicalHeaderKey(v)
			return nil
		},
	}
}

func words(v string) []string {
	return strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' })
}

// unknown says that a name is not known, and which are.
func unknown(kind, name string, valid []string) error {
	return fmt.Errorf("unknown %s %q%s; valid: %s", kind, name, didYouMean(name, valid), strings.Join(valid, ", "))
}

// didYouMean suggests the nearest of the valid names, if one is near.
func didYouMean(name string, valid []string) string {
	best, distance := "", len(name)/3+2
	for _, v := range valid {
		if d := editDistance(name, v); d < distance {
			best, distance = v, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// editDistance counts the insertions, deletions and replacements of bytes
// that turn a into b (Levenshtein 1966).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
