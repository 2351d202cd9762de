package judge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
)

// MarshalJSON writes an object whose keys keep the order of the list. What is
// not a number, because there was nothing to measure, is null.
func (n Numbers) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, number := range n {
		if i > 0 {
			out.WriteByte(',')
		}
		name, err := json.Marshal(number.Name)
		if err != nil {
			return nil, err
		}
		value := []byte("null")
		if !math.IsNaN(number.Value) && !math.IsInf(number.Value, 0) {
			if value, err = json.Marshal(number.Value); err != nil {
				return nil, err
			}
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// UnmarshalJSON reads what MarshalJSON writes; null is not a number.
func (n *Numbers) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	open, err := d.Token()
	if err != nil {
		return err
	}
	*n = nil
	if open == nil { // null
		return nil
	}
	if open != json.Delim('{') {
		return fmt.Errorf("numbers are an object, not %v", open)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value *float64
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("number %v: %w", name, err)
		}
		if value == nil {
			nan := math.NaN()
			value = &nan
		}
		*n = append(*n, Number{Name: name.(string), Value: *value})
	}
	_, err = d.Token()
	return err
}
