package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Find is where in the body of an answer texts are: one of them, or all of a list.
//
//	json:$.a.b        the plain value there
//	json:$.a[*].id    that of every element of the array $.a
//	body~/REGEXP/     the first group of every match, or the match
type Find struct {
	pattern    *regexp.Regexp
	list, path jsonPath // of JSON: of the array, nil if it is one value; and from there
}

// ParseFind reads it. each says that it must find all of a list, otherwise it finds one.
func ParseFind(where string, each bool) (f Find, err error) {
	if text, ok := strings.CutPrefix(where, "json:"); ok {
		list, rest, all := strings.Cut(text, "[*]")
		if all != each {
			return f, fmt.Errorf("%q: %s", where, map[bool]string{true: "write which of the array's elements: json:$[*].id",
				false: "it finds many: write json:$.sum"}[each])
		}
		if !all {
			f.path, err = parseJSONPath(text)
			return f, err
		}
		if f.list, err = parseJSONPath(list); err == nil {
			f.path, err = parseJSONPath("$" + rest)
		}
		return f, err
	}
	pattern, ok := strings.CutPrefix(where, "body~")
	if !ok || pattern == "" {
		return f, errors.New("write json:$.a.b, json:$[*].id for all of a list, or body~/REGEXP/")
	}
	if len(pattern) > 2 && pattern[0] == '/' && pattern[len(pattern)-1] == '/' {
		pattern = pattern[1 : len(pattern)-1]
	}
	f.pattern, err = regexp.Compile(pattern)
	return f, err
}

// CheckFind returns what is wrong with what ParseFind is to read.
func CheckFind(where string, each bool) error {
	_, err := ParseFind(where, each)
	return err
}

// One returns the text that is there, if one is.
func (f Find) One(body []byte) (string, bool) {
	if f.pattern == nil {
		if !json.Valid(body) {
			return "", false
		}
		return f.path.plain(body)
	}
	match := f.pattern.FindSubmatch(body)
	if match == nil {
		return "", false
	}
	return string(match[min(1, len(match)-1)]), true
}

// mostFound is how many texts of a list are found at most, some MB of ids: a service
// that answers with more answers something else.
const mostFound = 1 << 23

var errTooMany = fmt.Errorf("it has more than %d of them", mostFound)

// Each calls found for all texts, in their order. An error says why the body is not
// what it should be: that is not so of a list without elements. It takes little memory
// beside the body, whatever that has.
func (f Find) Each(body []byte, found func(text string)) error {
	if f.pattern != nil {
		all := f.pattern.FindAllSubmatchIndex(body, mostFound+1)
		if len(all) > mostFound {
			return errTooMany
		}
		for _, at := range all {
			if len(at) > 2 { // the first group
				at = at[2:]
			}
			found(string(body[max(0, at[0]):max(0, at[1])])) // −1 of one that was not used
		}
		return nil
	}
	if !json.Valid(body) {
		return errors.New("it is not JSON, or cut short")
	}
	array, ok := f.list.raw(body)
	if !ok || array[0] != '[' {
		return errors.New("there is no array where it should be")
	}
	n := 0
	for _, element := range valuesOf(array) {
		text, ok := f.path.plain(element)
		if !ok {
			return fmt.Errorf("element %d of the array has no such value", n)
		}
		if n++; n > mostFound {
			return errTooMany
		}
		found(text)
	}
	return nil
}
