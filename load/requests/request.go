package requests

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Request is one request of a file: what a load.Route needs, before its host is
// resolved. Path, header values and body are templates as wire.Fill has them.
type Request struct {
	Method  string
	Scheme  string // http or https
	Host    string // as the URL has it: host, or host:port
	Path    string // with the query; never empty
	Headers [][2]string
	Body    []byte
	Weight  float64 // how often the file has it
}

// Name is what the request is called in reports.
func (r *Request) Name() string {
	path, _, _ := strings.Cut(r.Path, "?")
	return r.Method + " " + path
}

// New is a request for a URL, like http://host:port/path. It has one host, no
// user, and what a URL cannot have is percent-encoded.
func New(method, url string) (Request, error) {
	r := Request{Method: method, Weight: 1}
	err := r.target(url)
	return r, err
}

// target takes a URL apart. It is done by hand and not by net/url, which would
// encode the braces of placeholders.
func (r *Request) target(url string) error {
	scheme, rest, found := strings.Cut(url, "://")
	r.Scheme = strings.ToLower(scheme)
	if !found || r.Scheme != "http" && r.Scheme != "https" {
		return fmt.Errorf("%q is not a URL like http://host:port/path", url)
	}
	rest, _, _ = strings.Cut(rest, "#")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	r.Host, r.Path = rest[:end], rest[end:]
	if !strings.HasPrefix(r.Path, "/") {
		r.Path = "/" + r.Path
	}
	switch {
	case r.Host == "":
		return fmt.Errorf("%q has no host", url)
	case strings.Contains(r.Host, "@"):
		return errors.New("a URL with a user: write the header Authorization instead")
	}
	for i := range len(url) {
		if c := url[i]; c <= ' ' || c >= 0x7f {
			return fmt.Errorf("%q: byte %#02x at %d must be percent-encoded", url, c, i)
		}
	}
	return nil
}

// framing are the headers that say how a body is sent. We say that ourselves,
// as net/http does for vegeta.
var framing = []string{"Content-Length", "Transfer-Encoding", "Trailer"}

func isOneOf(name string, list []string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, name) })
}

// byName orders headers whose order the file does not tell.
func byName(a, b [2]string) int { return cmp.Compare(a[0], b[0]) }
