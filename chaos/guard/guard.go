package guard

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// MaxBody is how many bytes a request may send where nothing else is said.
const MaxBody = 64 << 10

// Config says who may ask.
type Config struct {
	// Token is what each request must bear, as Authorization: Bearer TOKEN; "" asks
	// for none. A request with the token may ask for any host.
	Token string

	// Hosts are names that may be asked for, beside IP addresses and localhost,
	// without a port and in any case.
	Hosts []string

	// Pages says that browsers show pages of ours: they may read, and may send what
	// their own page made. Otherwise whatever comes from a browser is refused,
	// reading too: programs have no need to look like one.
	Pages bool

	// MaxBody bounds what a request may send, in bytes; 0 means MaxBody.
	MaxBody int64
}

// A Guard decides which requests are served. Any number of goroutines may use it at
// once.
type Guard struct {
	config      Config
	token       [sha256.Size]byte
	crossOrigin http.CrossOriginProtection // its zero value is ready
}

// New is a guard that keeps to c.
func New(c Config) *Guard {
	c.Hosts = slices.Clone(c.Hosts)
	c.MaxBody = cmp.Or(c.MaxBody, MaxBody)
	return &Guard{config: c, token: sha256.Sum256([]byte(c.Token))}
}

// Refusal is why a request is not served.
type Refusal struct {
	Status int
	Text   string // for who asked; it tells nothing to who has no token
}

// Admit says why a request may not be served by who it is from and what it asks
// for; nil if it may. Whoever has no token learns nothing else.
func (g *Guard) Admit(r *http.Request) *Refusal {
	switch {
	case g.config.Token != "" && !g.bears(r):
		return &Refusal{http.StatusUnauthorized, "a token is required: send it as Authorization: Bearer TOKEN"}
	case g.config.Token == "" && !g.Serves(r.Host):
		return &Refusal{http.StatusForbidden, "this host is not served without a token: ask for an IP address or localhost"}
	}
	return nil
}

// Page says why a request may not be served by the page that it is from; nil if it
// may.
func (g *Guard) Page(r *http.Request) *Refusal {
	foreign := g.crossOrigin.Check(r) != nil
	switch {
	case !g.config.Pages && (foreign || r.Header.Get("Origin") != "" || strings.HasPrefix(r.UserAgent(), "Mozilla/")):
		return &Refusal{http.StatusForbidden, "User agent not allowed"}
	case foreign:
		return &Refusal{http.StatusForbidden, "another page sent this: use the page of this address"}
	}
	return nil
}

// Body bounds the body of a request, and says why it may not be served by the
// length that it tells of; nil if it may. What is longer than it told fails as it is
// read, with *http.MaxBytesError.
func (g *Guard) Body(w http.ResponseWriter, r *http.Request) *Refusal {
	if r.ContentLength > g.config.MaxBody {
		w.Header().Set("Connection", "close") // rather than to read the rest of it
		return &Refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("the request is longer than %d bytes", g.config.MaxBody)}
	}
	r.Body = http.MaxBytesReader(w, r.Body, g.config.MaxBody)
	return nil
}

// Wrap is h behind the guard: what may not be served is answered in plain text, and
// all that is answered has Headers.
func (g *Guard) Wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Headers(w.Header())
		refusal := g.Admit(r)
		if refusal == nil {
			refusal = g.Page(r)
		}
		if refusal == nil {
			refusal = g.Body(w, r)
		}
		if refusal != nil {
			refusal.Answer(w)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Answer writes the refusal in plain text.
func (f *Refusal) Answer(w http.ResponseWriter) {
	if f.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", Challenge)
	}
	http.Error(w, f.Text, f.Status)
}

// Challenge is the header WWW-Authenticate of an answer to who has no token.
const Challenge = `Bearer realm="stormctl"`

// Headers sets what a browser is to know of an answer: that it is nothing but what
// its type says, may load and do nothing, stands in no other page, and is kept and
// told nowhere. A page that loads something replaces Content-Security-Policy.
func Headers(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// bears reports whether a request has the token. How long it takes tells nothing
// about it.
func (g *Guard) bears(r *http.Request) bool {
	return Same(sha256.Sum256([]byte(Bearer(r))), g.token)
}

// Bearer is the token that a request bears; "" if it has none.
func Bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Same compares the SHA-256 of two tokens, in the same time wherever they differ.
func Same(a, b [sha256.Size]byte) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }

// Serves reports whether the host that a request asks for is one that no foreign
// name server can make lead here, an IP address or localhost, or one of Config.Hosts.
func (g *Guard) Serves(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(host, "localhost") ||
		slices.ContainsFunc(g.config.Hosts, func(name string) bool { return strings.EqualFold(host, name) })
}
