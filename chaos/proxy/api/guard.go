package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// admit answers a request that may not be served, and reports whether it may be.
// One without the token learns nothing. Where there is none, what listens on
// loopback is open to every program of the machine, but not to the pages that its
// browsers show: one whose name was made to lead here (DNS rebinding) is of the
// same origin for the browser, and only the name that it asks for gives it away.
// Such a page knows no token, so with one any name will do.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case s.config.Token != "" && !s.bears(r):
		w.Header().Set("WWW-Authenticate", `Bearer realm="stormctl"`)
		fail(w, &problem{"a token is required: send it as Authorization: Bearer TOKEN", http.StatusUnauthorized})
	case s.config.Token == "" && !local(r.Host):
		http.Error(w, "this host is not served without a token: ask for an IP address or localhost", http.StatusForbidden)
	default:
		return true
	}
	return false
}

// ofPage reports whether a request comes from a web page. Reading is refused as
// well: programs have no need to look like one.
func (s *Server) ofPage(r *http.Request) bool {
	return strings.HasPrefix(r.UserAgent(), "Mozilla/") || r.Header.Get("Origin") != "" || s.crossOrigin.Check(r) != nil
}

// bears reports whether a request has the token. How long it takes tells
// nothing about it.
func (s *Server) bears(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(given[:], s.token[:]) == 1
}

// local reports whether the host that a request asks for is one that no foreign
// name server can make lead here: an IP address, or localhost.
func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(host, "localhost")
}
