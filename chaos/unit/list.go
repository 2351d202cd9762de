package unit

import "strings"

// List writes each of all by text, with the separator between them.
func List[T any](all []T, separator string, text func(T) string) string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = text(one)
	}
	return strings.Join(texts, separator)
}
