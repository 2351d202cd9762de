package proxy

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"

	"github.com/stormctl/stormctl/chaos/proxy/http"
	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/proxy/tcp"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// MaxIndex is the greatest index a toxic may have.
const MaxIndex = link.MaxIndex

// Relay is one link: see link.Relay.
type Relay = link.Relay

// Config is what a relay needs to know.
type Config struct {
	Name      string // of the link; part of what chance depends on
	Listen    string // host:port; "" takes a free port on 127.0.0.1
	Device    string // network device that callers come by, and no other; "" is any
	Upstream  string // host:port of the dependency, dialled when the first request comes
	Protocol  string // toxic.ProtocolHTTP1, ProtocolHTTP2, ProtocolGRPC or ProtocolTCP; "" means toxic.ProtocolHTTP1
	Seed, Run uint64 // of the experiment; the run whose request ids are recorded
	IDHeader  string // carries the request id, before traceparent; "" means wire.DefaultIDHeader
	// of toxic.ProtocolTCP: what the dependency's first words are read as, one of greeting.Protocols; "" leaves
	// them unread
	Greeting string

	// UnreachableFIN is for toxic.ProtocolTCP: see tcp.Config.
	UnreachableFIN bool

	// Prepare is called before the first connection is accepted: toxics that it
	// adds are in force from the first byte on. nil does nothing.
	Prepare func(Relay)

	// Terminate makes callers speak TLS to the relay, and Originate the relay to
	// the dependency; nil leaves it plain. The protocols of ALPN are set by
	// Protocol, and a ServerName that is missing by Upstream. Both may ask for
	// the other's certificate, and show one.
	Terminate, Originate *tls.Config

	// Allow is asked about each address before it is dialled; nil allows
	// loopback only.
	Allow func(netip.AddrPort) error
}

// Listen returns a relay that is bound and serving.
func Listen(c Config) (Relay, error) {
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:0")
	c.IDHeader = cmp.Or(c.IDHeader, wire.DefaultIDHeader)
	if c.Allow == nil {
		c.Allow = transport.OnlyLoopback
	}
	c.Protocol = cmp.Or(c.Protocol, toxic.ProtocolHTTP1)
	r, err := bind(c)
	if err != nil {
		return nil, err
	}
	if c.Prepare != nil {
		c.Prepare(r)
	}
	r.Serve()
	return r, nil
}

// bound is a relay that has its address.
type bound interface {
	Relay
	Serve() // begins to accept callers
}

func bind(c Config) (bound, error) {
	if _, _, err := net.SplitHostPort(c.Upstream); err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	if addr, err := netip.ParseAddrPort(c.Upstream); err == nil {
		if err := c.Allow(addr); err != nil {
			return nil, fmt.Errorf("upstream: %w", err)
		}
	}
	base := link.Config{Name: c.Name, Listen: c.Listen, Device: c.Device, Upstream: c.Upstream, Seed: c.Seed, Allow: c.Allow}
	switch c.Protocol {
	case toxic.ProtocolHTTP1, toxic.ProtocolHTTP2, toxic.ProtocolGRPC:
		return http.Listen(http.Config{
			Config: base, Protocol: c.Protocol, Run: c.Run, IDHeader: c.IDHeader, Terminate: c.Terminate, Originate: c.Originate,
		})
	case toxic.ProtocolTCP:
		config := tcp.Config{Config: base, Greeting: c.Greeting, UnreachableFIN: c.UnreachableFIN}
		if c.Terminate != nil || c.Originate != nil {
			return bindSecure(config, c.Terminate, c.Originate)
		}
		return tcp.Listen(config)
	}
	return nil, fmt.Errorf("protocol %q is not one of %s, %s, %s, %s",
		c.Protocol, toxic.ProtocolHTTP1, toxic.ProtocolHTTP2, toxic.ProtocolGRPC, toxic.ProtocolTCP)
}
