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

const defaultStreams = 100

// dialect is what is spoken on the route's connections.
func (r *Route) dialect(p Plan) (dialect, error) {
	switch r.Protocol {
	case "", HTTP1:
		return speaksHTTP1{depth: max(1, p.Pipeline)}, nil
	case HTTP2, GRPC:
		if p.Streams <= 0 {
			return speaksHTTP2{limit: defaultStreams}, nil
		}
		return speaksHTTP2{limit: p.Streams}, nil
	default:
		return nil, fmt.Errorf("protocol %q is not %s, %s or %s", r.Protocol, HTTP1, HTTP2, GRPC)
	}
}

// streams tells whether it is HTTP/2 that is spoken.
func (r *Route) streams() bool { return r.Protocol == HTTP2 || r.Protocol == GRPC }

// tlsFor is the route's TLS, which offers its protocol and no other.
func (r *Route) tlsFor() (*tls.Config, error) {
	if r.TLS.ServerName == "" && !r.TLS.InsecureSkipVerify {
		return nil, errors.New("TLS needs a server name to verify")
	}
	if r.streams() && !slices.Equal(r.TLS.NextProtos, []string{alpnHTTP2}) {
		return nil, fmt.Errorf("TLS offers %q by ALPN, where %s needs %s alone", r.TLS.NextProtos, r.Protocol, alpnHTTP2)
	}
	if !r.streams() && slices.Contains(r.TLS.NextProtos, alpnHTTP2) {
		return nil, fmt.Errorf("TLS offers %s by ALPN, and HTTP/1.1 is what will be spoken", alpnHTTP2)
	}
	return r.TLS, nil
}

const alpnHTTP2 = "h2"

// prepareStream makes a request over HTTP/2 ready, but not where it goes. Host
// and Timeout are given.
func (g *program) prepareStream(r Route) (w way, err error) {
	if len(r.Then) > 0 {
		return way{}, errors.New("steps that follow an answer go over HTTP/1.1 only")
	}
	for _, c := range r.Checks {
		if c.Of != CheckStatus {
			return way{}, errors.New("check: over HTTP/2 only the status can be checked")
		}
	}
	if w.checks, err = compile(r.Checks); err != nil {
		return way{}, fmt.Errorf("check: %w", err)
	}
	w.timeout = indexOf(&g.timeouts, r.Timeout)
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if r.Protocol == HTTP2 {
		w.streamed, err = wire.EncodeStream(scheme, r.Method, r.Path, r.Host, r.Headers, r.Body, g.IDHeader, g.Run)
		return w, err
	}
	if r.Method != "" && r.Method != "POST" {
		return way{}, fmt.Errorf("method %s: a gRPC call is a POST", r.Method)
	}
	w.grpc = true
	w.streamed, err = wire.EncodeGRPC(scheme, r.Path, r.Host, r.Headers, r.Body, r.Timeout, g.IDHeader, g.Run)
	return w, err
}
