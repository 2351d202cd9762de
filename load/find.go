package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Find is where in the body of an answer texts are: one of them, or all of a list. It
// is not for the hot path.
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
			return f, fmt.Errorf("%q: %s", where, map[bool]string{true: "write which of the array's elements: json:$[*].id", false: "it finds many: write json:$.sum"}[each])
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
		return f.path.text(body)
	}
	match := f.pattern.FindSubmatch(body)
	if match == nil {
		return "", false
	}
	return string(match[min(1, len(match)-1)]), true
}

// Each calls found for all texts, in their order. An error says why the body is not
// what it should be: that is not so of a list without elements.
func (f Find) Each(body []byte, found func(text string)) error {
	if f.pattern != nil {
		for _, match := range f.pattern.FindAllSubmatch(body, -1) {
			found(string(match[min(1, len(match)-1)]))
		}
		return nil
	}
	if !json.Valid(body) {
		return errors.New("it is not JSON, or cut short")
	}
	array, err := f.list.raw(body)
	if err != nil {
		return err
	}
	in := json.NewDecoder(bytes.NewReader(array))
	if start, err := in.Token(); err != nil || start != json.Delim('[') {
		return errors.New("there is no array where it should be")
	}
	for n := 0; in.More(); n++ {
		var element json.RawMessage
		if err := in.Decode(&element); err != nil && err != io.EOF {
			return err
		}
		text, ok := f.path.text(element)
		if !ok {
			return fmt.Errorf("element %d of the array has no such value", n)
		}
		found(text)
	}
	return nil
}

// raw is the part of a document that a path leads to, as it stands there.
func (p jsonPath) raw(document []byte) ([]byte, error) {
	for _, step := range p {
		switch step := step.(type) {
		case string:
			var object map[string]json.RawMessage
			if err := json.Unmarshal(document, &object); err != nil || object[step] == nil {
				return nil, fmt.Errorf("there is no %q in it", step)
			}
			document = object[step]
		case int:
			var array []json.RawMessage
			if err := json.Unmarshal(document, &array); err != nil || step >= len(array) {
				return nil, fmt.Errorf("there is no element %d in it", step)
			}
			document = array[step]
		}
	}
	return document, nil
}
