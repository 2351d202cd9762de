package proxy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Select narrows a fault to some exchanges. Every toxic embeds one. Its zero
// value takes nothing: who builds a toxic in Go sets Share.
type Select struct {
	Share unit.Share `yaml:"share"` // Part of the matching exchanges it takes; absent means 100%.
	Match *Match     `yaml:"match"` // Which exchanges match; absent means all.
}

// All takes every exchange.
var All = Select{Share: 1}

// Defaults sets what an absent key means.
func (s *Select) Defaults() { s.Share = 1 }

// Check reports what is wrong with s, by key.
func (s Select) Check(report func(field, problem string)) {
	if !(s.Share > 0 && s.Share <= 1) {
		report("share", "must be more than 0% and at most 100%: a fault that takes nothing proves nothing")
	}
}

// takes tells whether the fault is for this exchange. Chance is drawn only
// for an exchange that matches, and only if the share leaves any out.
func (s Select) takes(x *Head, rng *rand.Rand) bool {
	if s.Match != nil && !s.Match.Matches(x) {
		return false
	}
	return s.Share >= 1 || rng.Float64() < float64(s.Share)
}

// String describes which exchanges: "100%", "POST /pay", "30% of GET /pay/*".
func (s Select) String() string {
	switch {
	case s.Match == nil || s.Match.String() == "":
		return s.Share.String()
	case s.Share >= 1:
		return s.Match.String()
	default:
		return s.Share.String() + " of " + s.Match.String()
	}
}

// Match tells which exchanges a fault is for; all that is given must agree.
type Match struct {
	Method string            `yaml:"method"` // Exact, like POST.
	Path   string            `yaml:"path"`   // Glob over the path without query: * within a segment, ** across.
	Header map[string]string `yaml:"header"` // Exact values by name; "*" means present.
}

// Matches tells whether the exchange's head agrees with all that is given. Of
// a header that is there more than once, Head.Header decides which counts.
func (m *Match) Matches(x *Head) bool {
	if m.Method != "" && m.Method != string(x.Method) {
		return false
	}
	if m.Path != "" && !glob(m.Path, x.Path) {
		return false
	}
	for name, want := range m.Header {
		got, ok := x.Header(name)
		if !ok || want != "*" && want != string(got) {
			return false
		}
	}
	return true
}

// Check reports what is wrong with m, by key.
func (m Match) Check(report func(field, problem string)) {
	if m.Method == "" && m.Path == "" && len(m.Header) == 0 {
		report("match", "needs at least one of method, path and header")
	}
	if i := strings.IndexFunc(m.Method, func(r rune) bool { return !isToken(r) }); i >= 0 {
		report("method", fmt.Sprintf("%q is not an HTTP method", m.Method))
	} else if m.Method != strings.ToUpper(m.Method) {
		report("method", fmt.Sprintf("methods are case-sensitive: write %s", strings.ToUpper(m.Method)))
	}
	if m.Path != "" && m.Path[0] != '/' && m.Path[0] != '*' {
		report("path", fmt.Sprintf("%q can never match: a path begins with /", m.Path))
	}
	if strings.ContainsAny(m.Path, "?#") {
		report("path", "is compared without the query: leave out ? and what follows")
	}
	for name := range m.Header {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isToken(r) }) {
			report("header", fmt.Sprintf("%q is not a header name", name))
		}
	}
}

func (m Match) String() string {
	var parts []string
	for _, s := range []string{m.Method, m.Path} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	var headers []string
	for name, value := range m.Header {
		headers = append(headers, name+": "+value)
	}
	if len(headers) > 0 {
		slices.Sort(headers)
		parts = append(parts, "with "+strings.Join(headers, ", "))
	}
	return strings.Join(parts, " ")
}

// isToken tells whether r may be part of a token, RFC 9110 §5.6.2.
func isToken(r rune) bool {
	return r > ' ' && r < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// glob tells whether path matches pattern as a whole: * stands for any bytes
// but '/', ** for any bytes, everything else for itself.
//
// It is greedy with one point of return per kind of star. That suffices: the
// leftmost place where the text between two stars fits leaves most to what
// follows, and what a * may not cross forces its place anyway.
func glob(pattern string, path []byte) bool {
	const none = -1
	p, s := 0, 0
	star, starAt := none, 0 // pattern after the last *, and where it stops taking
	deep, deepAt := none, 0 // the same for the last **
	for {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			if p+1 < len(pattern) && pattern[p+1] == '*' {
				p += 2
				deep, deepAt, star = p, s, none
			} else {
				p++
				star, starAt = p, s
			}
			continue
		case p < len(pattern) && s < len(path) && pattern[p] == path[s]:
			p++
			s++
			continue
		case p == len(pattern) && s == len(path):
			return true
		}
		switch {
		case star != none && starAt < len(path) && path[starAt] != '/':
			starAt++
			p, s = star, starAt
		case deep != none && deepAt < len(path):
			deepAt++
			p, s, star = deep, deepAt, none
		default:
			return false
		}
	}
}
