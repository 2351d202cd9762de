package manual

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/invopop/jsonschema"
)

// Text is a schema as it is published: indented JSON that ends in a newline. The same
// schema gives the same bytes.
func Text(root *jsonschema.Schema) ([]byte, error) {
	text, err := json.Marshal(root)
	if err != nil {
		return nil, fmt.Errorf("write a schema: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return nil, fmt.Errorf("write a schema: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// Words are the values of an enum.
func Words(list []string) []any {
	all := make([]any, len(list))
	for i, w := range list {
		all[i] = w
	}
	return all
}
