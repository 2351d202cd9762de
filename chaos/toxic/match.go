package toxic

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/load/wire"
)

// Match is which exchanges a fault is for; all that is given must agree. Of
// connections there is only connection to match.
type Match struct {
	Method string            `yaml:"method"` // Exact, like POST.
	Path   string            `yaml:"path"`   // Glob over the path without query: * within a segment, ** across.
	Header map[string]string `yaml:"header"` // Exact values by name; "*" means present.
	// Glob over the gRPC method, like shop.v1.Cart/Add or shop.v1.Cart/*; matches gRPC calls only.
	GRPC string `yaml:"grpc"`
	// Which connection of the callers on this link, from 1, in the order in which they came.
	Connection int `yaml:"connection"`
}

// Matches reports whether the exchange's head agrees with all that is given. Of
// a header that is there more than once, Head.Header decides which counts.
func (m *Match) Matches(x *Head) bool {
	switch {
	case m.Method != "" && m.Method != string(x.Method),
		m.Connection > 0 && uint64(m.Connection) != x.Conn,
		m.Path != "" && !glob(m.Path, x.Path),
		m.GRPC != "" && !m.matchesGRPC(x):
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

// matchesGRPC: a call is a POST to /SERVICE/METHOD whose content is
// application/grpc, or that with a suffix (gRPC over HTTP2).
func (m *Match) matchesGRPC(x *Head) bool {
	if len(x.Path) == 0 || x.Path[0] != '/' || !glob(m.GRPC, x.Path[1:]) {
		return false
	}
	content, _ := x.Header("content-type")
	rest, ok := bytes.CutPrefix(content, []byte("application/grpc"))
	return ok && (len(rest) == 0 || rest[0] == '+' || rest[0] == ';')
}

// knowsConn reports whether it is about the number of a connection alone.
func (m *Match) knowsConn() bool {
	return m.Connection > 0 && m.Method == "" && m.Path == "" && len(m.Header) == 0 && m.GRPC == ""
}

// Check reports what is wrong with m, by key.
func (m Match) Check(report func(field, problem string)) {
	if m.Method == "" && m.Path == "" && len(m.Header) == 0 && m.GRPC == "" && m.Connection == 0 {
		report("match", "needs at least one of method, path, header, grpc and connection")
	}
	if m.Method != "" && !wire.IsToken(m.Method) {
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
		if !wire.IsToken(name) {
			report("header", fmt.Sprintf("%q is not a header name", name))
		}
	}
	switch {
	case m.GRPC == "":
	case m.GRPC[0] == '/':
		report("grpc", "is written without the first /: package.Service/Method")
	case !strings.ContainsAny(m.GRPC, "/*"):
		report("grpc", fmt.Sprintf("%q can never match: write package.Service/Method, or %s/* for all methods of a service",
			m.GRPC, m.GRPC))
	case m.Method != "" && m.Method != "POST":
		report("method", "gRPC calls are always POST: leave it out")
	}
	if m.Connection < 0 {
		report("connection", "must be more than 0: the first is 1")
	}
}

// String is like "POST /pay with x-tier: gold".
func (m Match) String() string {
	var parts []string
	if m.GRPC != "" {
		parts = append(parts, "gRPC "+m.GRPC)
	}
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
	if m.Connection > 0 {
		parts = append(parts, fmt.Sprintf("on connection %d", m.Connection))
	}
	return strings.Join(parts, " ")
}

// glob reports whether path matches pattern as a whole: * stands for any bytes
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
