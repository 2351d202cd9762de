package strict

import (
	"fmt"
	"strings"
)

// Suggest is the hint for a name that is not among the known ones: the one that
// was probably meant, otherwise all of them. kind is their plural, like "keys".
func Suggest(name, kind string, known []string) string {
	if len(known) == 0 {
		return "there are no " + kind
	}
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) > 30 {
		known = append(known[:30:30], "...")
	}
	return fmt.Sprintf("%s are %s", kind, strings.Join(known, ", "))
}

// Nearest returns the known name that is the fewest typing errors away, "" if
// none is near: with more than a third of its letters wrong it is another word.
func Nearest(name string, known []string) string {
	if len(name) > 64 || len(known) > 400 {
		return "" // no typing error, and it would take long
	}
	best, most := "", max(1, (len([]rune(name))+1)/3)
	for _, k := range known {
		if strings.EqualFold(name, k) {
			return k
		}
		if len(k)-len(name) > 3*most || len(name)-len(k) > 3*most { // in bytes, of which a letter has up to 4
			continue
		}
		if d := distance(name, k); d <= most && d < max(len(name), len(k)) {
			best, most = k, d-1
		}
	}
	return best
}

// distance counts the typing errors between two words: letters inserted, left out,
// replaced, or swapped with their neighbour (optimal string alignment; Damerau
// 1964, Levenshtein 1966).
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, row := make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(s); i++ {
		next := make([]int, len(t)+1)
		next[0] = i
		for j := 1; j <= len(t); j++ {
			wrong := 1
			if s[i-1] == t[j-1] {
				wrong = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+wrong)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(t)]
}
