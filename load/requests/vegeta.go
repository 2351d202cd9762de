package requests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ReadVegeta reads vegeta's targets in either of its formats: JSON if the first
// byte is {, otherwise the HTTP one. Both may use our placeholders, and write
// $${ where ${ is meant. open gives the content of a body's file, as the target
// names it.
//
// vegeta sends its targets in turn, from the first one again after the last:
// that is Plan.InOrder.
func ReadVegeta(r io.Reader, open func(name string) ([]byte, error)) ([]Request, error) {
	in := bufio.NewReader(r)
	first, err := peekText(in)
	if err != nil {
		return nil, err
	}
	var list []Request
	if first == '{' {
		list, err = readVegetaJSON(in)
	} else {
		list, err = readVegetaHTTP(in, open)
	}
	if err == nil && len(list) == 0 {
		err = errors.New("there are no targets")
	}
	return list, err
}

// readVegetaJSON reads an object per line, with a body in base64.
func readVegetaJSON(r io.Reader) (list []Request, err error) {
	err = eachLine(r, func(line int, text []byte) error {
		var t struct {
			Method, URL string
			Body        []byte
			Header      map[string][]string
		}
		if err := json.Unmarshal(text, &t); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if t.Method == "" {
			return fmt.Errorf("line %d: the target has no method", line)
		}
		q, err := New(t.Method, t.URL)
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		q.Body = t.Body
		for name, values := range t.Header {
			for _, v := range values {
				q.header(name, v)
			}
		}
		slices.SortStableFunc(q.Headers, byName)
		list = append(list, q)
		return nil
	})
	return list, err
}

func (r *Request) header(name, value string) {
	if !isOneOf(name, framing) {
		r.Headers = append(r.Headers, [2]string{name, value})
	}
}

// readVegetaHTTP reads
//
//	# a comment
//	METHOD URL
//	Name: value
//	@file with the body
//
// A target ends with a blank line, with its body, or where another begins.
func readVegetaHTTP(r io.Reader, open func(string) ([]byte, error)) ([]Request, error) {
	var list []Request
	within := false // the lines of the last target may go on
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	line := 0
	for in.Scan() {
		line++
		text := string(bytes.TrimSpace(in.Bytes()))
		switch {
		case text == "":
			within = false
			continue
		case text[0] == '#':
			continue
		}
		var err error
		var q Request
		switch method, url, isTarget := targetLine(text); {
		case isTarget:
			q, err = New(method, url)
			list, within = append(list, q), true
		case within:
			within, err = list[len(list)-1].more(text, open)
		default:
			err = fmt.Errorf("%q: a target begins with METHOD URL, like GET http://host:port/path", text)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", line+1, err)
	}
	return list, nil
}

// targetLine reads METHOD URL. A header line is told from it by its colon,
// which a method does not have.
func targetLine(text string) (method, url string, is bool) {
	method, url, found := strings.Cut(text, " ")
	is = found && method == strings.ToUpper(method) && !strings.Contains(method, ":") && strings.Contains(url, "://")
	return method, strings.TrimSpace(url), is
}

// more adds a line to a target, and reports whether others may follow.
func (r *Request) more(text string, open func(string) ([]byte, error)) (goesOn bool, err error) {
	if file, isFile := strings.CutPrefix(text, "@"); isFile {
		r.Body, err = open(file)
		if err != nil {
			return false, fmt.Errorf("body: %w", err)
		}
		return false, nil
	}
	name, value, found := strings.Cut(text, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !found || name == "" || value == "" || strings.ContainsAny(name, " \t") {
		return false, fmt.Errorf("%q is neither a header NAME: VALUE, nor @FILE, nor a target METHOD URL", text)
	}
	r.header(name, value)
	return true, nil
}
