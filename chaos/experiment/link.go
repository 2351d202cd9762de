package experiment

import (
	"fmt"

	"github.com/stormctl/stormctl/chaos/proxy"
)

// Link is a call path between two targets. The caller is given the link's
// address (${links.NAME.url}) instead of the callee's.
type Link struct {
	From     string `yaml:"from"`     // The target that calls.
	To       string `yaml:"to"`       // The target that is called.
	Listen   string `yaml:"listen"`   // host:port of the link; absent picks a free port on 127.0.0.1.
	Protocol string `yaml:"protocol"` // What the link knows of what passes: http1 (requests and responses; the default), or tcp (connections and bytes, whatever is spoken).
}

func (Link) Required() []string { return []string{"from", "to"} }

// linkProtocols are the values of Link.Protocol.
var linkProtocols = []string{proxy.ProtocolHTTP1, proxy.ProtocolTCP}

func (r *rules) link(name string, l *Link) {
	path := child("links", name)
	r.name(path, name, r.wrongKey)
	from := r.toTarget(child(path, "from"), l.From)
	to := r.toTarget(child(path, "to"), l.To)
	if from && to && l.From == l.To {
		r.wrong(child(path, "to"), fmt.Sprintf("to: %s is also from", quote(l.To)), "a link lies between two targets")
	}
	if at := child(path, "protocol"); r.has(at) {
		r.among(at, l.Protocol, "protocols", linkProtocols)
	}
	blind := l.Protocol == proxy.ProtocolTCP // what is spoken is not the link's business
	if t := r.x.Targets[l.To]; to && t != nil && t.Streams() && !blind {
		r.wrong(child(path, "to"), fmt.Sprintf("to: %s speaks %s", quote(l.To), t.Protocol), "give the link protocol: tcp, or let the target speak http1")
	}
	if t := r.x.Targets[l.To]; to && t != nil {
		_, socket := t.Socket()
		switch {
		case t.Secure() && !blind:
			r.wrong(child(path, "to"), fmt.Sprintf("to: %s is reached by TLS", quote(l.To)), "give the link protocol: tcp")
		case socket:
			r.wrong(child(path, "to"), fmt.Sprintf("to: %s listens on a unix socket", quote(l.To)), "a link leads to host and port")
		}
	}
	if at := child(path, "listen"); r.sound(at) {
		r.hostPort(at, l.Listen, 0)
	}
}
