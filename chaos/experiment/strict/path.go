package strict

import (
	"fmt"
	"strconv"
	"strings"
)

// Path names a value of a file as a person would: load.rate,
// chaos[0].errors.status[1], targets.lb.process.files["nginx.conf"]. "" is the
// whole file.
type Path string

// Child is the path of the value under a key; with more keys, of the value
// under those, one within the other.
func (p Path) Child(keys ...string) Path {
	for _, key := range keys {
		switch {
		case !plainKey(key):
			p += Path("[" + strconv.Quote(key) + "]")
		case p == "":
			p = Path(key)
		default:
			p += Path("." + key)
		}
	}
	return p
}

// Item is the path of an entry of a list.
func (p Path) Item(i int) Path { return Path(fmt.Sprintf("%s[%d]", p, i)) }

// Tail is the end of the path from its last plain key on, for messages that
// stand at the value's place anyway: chaos[0].errors.status[1] has status[1].
func (p Path) Tail() string {
	steps, _, err := cutPath(string(p))
	if err != nil {
		return string(p)
	}
	first := len(steps) - 1
	for first > 0 && (steps[first].index >= 0 || !plainKey(steps[first].key)) {
		first--
	}
	end := Path("")
	for _, s := range steps[max(first, 0):] {
		end = s.after(end)
	}
	return string(end)
}

// around lists the path itself and those of all values that it lies in.
func (p Path) around() []Path {
	all := []Path{p, ""}
	for i := len(p) - 1; i > 0; i-- {
		if p[i] == '.' || p[i] == '[' {
			all = append(all, p[:i])
		}
	}
	return all
}

// plainKey reports whether a key can stand in a path without quotes.
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

// after is the path of the value that the step leads to.
func (s step) after(p Path) Path {
	if s.index >= 0 {
		return p.Item(s.index)
	}
	return p.Child(s.key)
}

// cutPath reads the path that text begins with, up to an = or the end.
func cutPath(text string) (steps []step, rest string, err error) {
	rest = text
	for {
		switch {
		case strings.HasPrefix(rest, `["`):
			quoted, e := strconv.QuotedPrefix(rest[1:])
			if e != nil || !strings.HasPrefix(rest[1+len(quoted):], "]") {
				return nil, rest, fmt.Errorf("%s: a quoted key ends in \"]", Quote(rest))
			}
			key, _ := strconv.Unquote(quoted)
			steps = append(steps, step{key: key, index: -1})
			rest = rest[len(quoted)+2:]
		case strings.HasPrefix(rest, "[") && len(steps) > 0:
			digits, after, ok := strings.Cut(rest[1:], "]")
			i, e := strconv.ParseUint(digits, 10, 31)
			if !ok || e != nil {
				return nil, rest, fmt.Errorf("%s is not the index of a list entry, like [0]", Quote(rest))
			}
			steps = append(steps, step{index: int(i)})
			rest = after
		default:
			if len(steps) > 0 {
				if rest == "" || rest[0] == '=' {
					return steps, rest, nil
				}
				if rest[0] != '.' {
					return nil, rest, fmt.Errorf("%s follows a key where . or [ is expected", Quote(rest))
				}
				rest = rest[1:]
			}
			end := strings.IndexAny(rest, ".[=")
			if end < 0 {
				end = len(rest)
			}
			if end == 0 {
				return nil, rest, fmt.Errorf("a key is missing before %s", Quote(rest))
			}
			steps = append(steps, step{key: rest[:end], index: -1})
			rest = rest[end:]
		}
	}
}
