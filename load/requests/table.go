package requests

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/stormctl/stormctl/load/wire"
)

// ReadTable reads data for ${data.COLUMN}: CSV whose first line names the
// columns (RFC 4180), or JSON lines, which begin with {: an object in each, all
// with the names that the first one has. A JSON string is taken without its
// quotes, null is empty, and anything else stands as it is written.
func ReadTable(r io.Reader) (*wire.Table, error) {
	in := bufio.NewReader(r)
	first, err := peekText(in)
	if err != nil {
		return nil, err
	}
	read := readCSV
	if first == '{' {
		read = readJSONTable
	}
	t, err := read(in)
	switch {
	case err != nil:
		return nil, err
	case t.Rows() == 0:
		return nil, errors.New("the data has no rows")
	}
	return t, nil
}

func readCSV(r io.Reader) (*wire.Table, error) {
	in := csv.NewReader(r)
	names, err := in.Read()
	if err != nil {
		return nil, err
	}
	t := &wire.Table{Names: names, Columns: make([][]string, len(names))}
	for i, name := range names {
		if name == "" || slices.Index(names, name) < i {
			return nil, fmt.Errorf("line 1: column %d is called %q: columns need different names", i+1, name)
		}
	}
	for {
		row, err := in.Read()
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return nil, err // says which line
		}
		for i, v := range row {
			t.Columns[i] = append(t.Columns[i], v)
		}
	}
}

func readJSONTable(r io.Reader) (*wire.Table, error) {
	t := &wire.Table{}
	err := eachLine(r, func(line int, text []byte) error {
		names, values, err := object(text)
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if t.Columns == nil {
			t.Names, t.Columns = names, make([][]string, len(names))
		}
		for i, name := range t.Names {
			at := slices.Index(names, name)
			if at < 0 {
				return fmt.Errorf("line %d: there is no %q, which the first line has", line, name)
			}
			t.Columns[i] = append(t.Columns[i], values[at])
		}
		return nil
	})
	return t, err
}

// object reads a JSON object of plain values, in its order.
func object(text []byte) (names, values []string, err error) {
	in := json.NewDecoder(bytes.NewReader(text))
	if open, err := in.Token(); err != nil || open != json.Delim('{') {
		return nil, nil, errors.Join(errors.New("not a JSON object"), err)
	}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return nil, nil, err
		}
		var value json.RawMessage
		if err := in.Decode(&value); err != nil {
			return nil, nil, err
		}
		if slices.Contains(names, name.(string)) { // a name is a string
			return nil, nil, fmt.Errorf("%q is there twice", name)
		}
		names, values = append(names, name.(string)), append(values, plain(value))
	}
	if _, err := in.Token(); err != nil {
		return nil, nil, err
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, nil, errors.New("something follows the object")
	}
	return names, values, nil
}

// plain is a JSON value as text.
func plain(value json.RawMessage) string {
	var text *string
	if json.Unmarshal(value, &text) != nil {
		return string(value)
	}
	if text == nil {
		return ""
	}
	return *text
}
