package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	"github.com/stormctl/stormctl/load/wire"
)

// The protocols that a route can name.
const (
	HTTP1 = "http1"
	HTTP2 = "h2"
	GRPC  = "grpc" // unary calls
)

// Auto is what Probe and ProbeAny take instead of these: HTTP/2 or HTTP/1.1 by TLS,
// as the server chooses (ALPN), and HTTP/1.1 without.
const Auto = "auto"

// streams reports whether it is HTTP/2 that is spoken.
func (r *Route) isHTTP2() bool { return r.Protocol == HTTP2 || r.Protocol == GRPC }

// offer is a TLS configuration with the protocol that it offers.
type alpnConfig struct {
	from   *tls.Config // as routes have it
	config *tls.Config
}

// The names that ALPN has for protocols.
const (
	alpnHTTP1 = "http/1.1"
	alpnHTTP2 = "h2"
)

// offers are the protocols that the route offers, what it would like best first.
func (r *Route) alpnProtocols() []string {
	switch {
	case r.Protocol == Auto:
		return []string{alpnHTTP2, alpnHTTP1}
	case r.isHTTP2():
		return []string{alpnHTTP2}
	default:
		return []string{alpnHTTP1}
	}
}

// tlsFor is the route's TLS, which offers its protocol and no other. It is the
// same one for routes that have the same one.
func (g *program) tlsFor(r Route) (*tls.Config, error) {
	if r.TLS.ServerName == "" && !r.TLS.InsecureSkipVerify {
		return nil, errors.New("TLS needs a server name to verify")
	}
	protocols := r.alpnProtocols()
	for _, o := range g.alpnConfigs {
		if o.from == r.TLS && slices.Equal(o.config.NextProtos, protocols) {
			return o.config, nil
		}
	}
	config := r.TLS.Clone()
	config.NextProtos = protocols
	g.alpnConfigs = append(g.alpnConfigs, alpnConfig{r.TLS, config})
	return config, nil
}

// encodeStream makes the route's request ready, as HTTP/2 has it. Host and
// Timeout are given.
func (r *Route) encodeStream(idHeader string, fill wire.Fill) (*wire.StreamTemplate, error) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if r.Protocol == HTTP2 {
		return wire.EncodeStream(scheme, r.Method, r.Path, r.Host, r.Headers, r.Body, idHeader, fill)
	}
	if r.Method != "" && r.Method != "POST" {
		return nil, fmt.Errorf("method %s: a gRPC call is a POST", r.Method)
	}
	return wire.EncodeGRPC(scheme, r.Path, r.Host, r.Headers, r.Body, r.Timeout, idHeader, fill)
}
