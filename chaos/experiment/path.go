package experiment

import (
	"fmt"
	"strconv"
	"strings"
)

// A path names a value in the experiment as a person would: load.rate,
// chaos[0].errors.status[1], targets.lb.process.files["nginx.conf"].

// child is the path of the value under a key.
func child(path, key string) string {
	if !plainKey(key) {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// item is the path of an entry of a list.
func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// plainKey tells whether a key can stand in a path without quotes.
func plainKey(key string) bool {
	for _, r := range key {
		if !(r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			return false
		}
	}
	return key != ""
}

// step is one part of a path: a key, or an index into a list.
type step struct {
	key   string
	index int // -1 for a key
}

func (s step) join(path string) string {
	if s.index >= 0 {
		return item(path, s.index)
	}
	return child(path, s.key)
}

// cutPath reads the path that text begins with, up to an = or the end.
func cutPath(text string) (steps []step, rest string, err error) {
	rest = text
	for {
		switch {
		case strings.HasPrefix(rest, `["`):
			quoted, e := strconv.QuotedPrefix(rest[1:])
			if e != nil || !strings.HasPrefix(rest[1+len(quoted):], "]") {
				return nil, rest, fmt.Errorf("%s: a quoted key ends in \"]", quote(rest))
			}
			key, _ := strconv.Unquote(quoted)
			steps = append(steps, step{key: key, index: -1})
			rest = rest[len(quoted)+2:]
		case strings.HasPrefix(rest, "[") && len(steps) > 0:
			digits, after, ok := strings.Cut(rest[1:], "]")
			i, e := strconv.ParseUint(digits, 10, 31)
			if !ok || e != nil {
				return nil, rest, fmt.Errorf("%s is not the index of a list entry, like [0]", quote(rest))
			}
			steps = append(steps, step{index: int(i)})
			rest = after
		default:
			if len(steps) > 0 {
				if rest == "" || rest[0] == '=' {
					return steps, rest, nil
				}
				if rest[0] != '.' {
					return nil, rest, fmt.Errorf("%s follows a key where . or [ is expected", quote(rest))
				}
				rest = rest[1:]
			}
			end := strings.IndexAny(rest, ".[=")
			if end < 0 {
				end = len(rest)
			}
			if end == 0 {
				return nil, rest, fmt.Errorf("a key is missing before %s", quote(rest))
			}
			steps = append(steps, step{key: rest[:end], index: -1})
			rest = rest[end:]
		}
	}
}

// tail is the end of a path from its last plain key on, for messages that
// stand at the value's place anyway: chaos[0].errors.status[1] is told as
// status[1].
func tail(path string) string {
	steps, _, err := cutPath(path)
	if err != nil {
		return path
	}
	first := len(steps) - 1
	for first > 0 && (steps[first].index >= 0 || !plainKey(steps[first].key)) {
		first--
	}
	end := ""
	for _, s := range steps[max(first, 0):] {
		end = s.join(end)
	}
	return end
}
