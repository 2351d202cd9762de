package experiment

import (
	"fmt"

	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load"
)

// Link is a call path between two targets. The caller is given the link's
// address (${links.NAME.url}) instead of the callee's.
type Link struct {
	From     string   `yaml:"from"`     // The target that calls.
	To       string   `yaml:"to"`       // The target that is called.
	Listen   string   `yaml:"listen"`   // host:port of the link; absent picks a free port on 127.0.0.1.
	Protocol string   `yaml:"protocol"` // What is spoken on it: http1, h2 (by prior knowledge; by ALPN with tls) grpc (h2, where calls count by their gRPC status), or tcp (connections and bytes, whatever is spoken). Absent means the protocol of the target that is called, which must not be auto by TLS.
	TLS      *LinkTLS `yaml:"tls"`      // TLS on it; absent leaves it plain.
}

// LinkTLS is how TLS is spoken on a link: on either side, or on both. With it
// come the files ${links.NAME.ca}, of a CA that is made for the run, and
// ${links.NAME.cert} and ${links.NAME.key}, which that CA has signed for both
// ends of the link: a caller may show them, and a callee too.
type LinkTLS struct {
	Terminate *Terminate `yaml:"terminate"` // The caller speaks TLS with the link; {} with a generated certificate.
	Originate *Originate `yaml:"originate"` // The link speaks TLS with the callee; {} trusts what the system trusts.
}

// Terminate is TLS between a caller and a link.
type Terminate struct {
	Cert     string   `yaml:"cert"`      // PEM file of the certificate that callers see, relative to the experiment file; absent generates one for localhost, the names of both targets and the address of the link, which ${links.NAME.ca} has signed.
	Key      string   `yaml:"key"`       // PEM file of its key.
	Names    []string `yaml:"names"`     // Further names and addresses for the generated certificate.
	ClientCA string   `yaml:"client_ca"` // Callers must show a certificate of this CA (mTLS): a PEM file, or generated for the CA of the run.
}

// Originate is TLS between a link and the callee.
type Originate struct {
	CA         string `yaml:"ca"`          // CA of the callee's certificate: a PEM file relative to the experiment file, or generated for the CA of the run. Absent trusts what the system trusts.
	ServerName string `yaml:"server_name"` // Name that the certificate must be for; absent means the callee's host.
	Insecure   bool   `yaml:"insecure"`    // Takes any certificate.
	Cert       string `yaml:"cert"`        // Certificate that the link shows where the callee asks for one (mTLS): a PEM file, or generated.
	Key        string `yaml:"key"`         // PEM file of its key.
}

// Generated stands for a file that is made for the run.
const Generated = "generated"

func (Link) Required() []string { return []string{"from", "to"} }

// linkProtocols are the values of Link.Protocol.
var linkProtocols = []string{toxic.ProtocolHTTP1, toxic.ProtocolHTTP2, toxic.ProtocolGRPC, toxic.ProtocolTCP}

// tlsParts are what is known of a link with TLS, beside its address.
var tlsParts = []string{"ca", "cert", "key"}

func (r *rules) link(name string, l *Link) {
	path := child("links", name)
	r.name(path, name, r.wrongKey)
	from := r.toTarget(child(path, "from"), l.From)
	to := r.toTarget(child(path, "to"), l.To)
	if from && to && l.From == l.To {
		r.wrong(child(path, "to"), fmt.Sprintf("to: %s is also from", quote(l.To)), "a link lies between two targets")
	}
	if t := r.x.Targets[l.To]; to && t != nil {
		blind := l.Protocol == toxic.ProtocolTCP // what is spoken is not the link's business
		_, socket := t.Socket()
		switch {
		case t.Secure() && !blind && (l.TLS == nil || l.TLS.Originate == nil):
			r.wrong(child(path, "to"), fmt.Sprintf("to: %s is reached by TLS", quote(l.To)), "give the link tls: {originate: {}}, or protocol: tcp")
		case socket:
			r.wrong(child(path, "to"), fmt.Sprintf("to: %s listens on a unix socket", quote(l.To)), "a link leads to host and port")
		}
	}
	if at := child(path, "listen"); r.sound(at) {
		r.hostPort(at, l.Listen, 0)
	}
	if at := child(path, "protocol"); r.has(at) {
		r.among(at, l.Protocol, "protocols", linkProtocols)
	} else if t := r.x.Targets[l.To]; to && t != nil && t.settled() == load.Auto {
		r.lacks(path, at+": is missing", fmt.Sprintf("write protocol: h2 or http1 for link %s, whichever its caller speaks: what %s chooses is known only when the run begins", name, quote(l.To)))
	}
	if at := child(path, "tls"); r.sound(at) {
		r.linkTLS(at, l)
	}
}

func (r *rules) linkTLS(path string, l *Link) {
	plain := func(at, target, how string) {
		if t := r.x.Targets[target]; t != nil && t.Reference != "" && r.has(at) {
			r.wrongKey(at, fmt.Sprintf("%s: reference service %s %s without TLS", tail(at), quote(target), how), "leave it out")
		}
	}
	terminate, originate := child(path, "terminate"), child(path, "originate")
	if !r.has(terminate) && !r.has(originate) {
		r.wrong(path, "tls: has neither terminate nor originate", "write {terminate: {}} for TLS between the caller and the link")
	}
	plain(terminate, l.From, "calls")
	plain(originate, l.To, "answers")
	if t := l.TLS.Terminate; t != nil {
		r.pair(terminate, t.Cert, t.Key)
		if at := child(terminate, "names"); r.sound(at) && t.Cert != "" {
			r.wrongKey(at, "names: does not go with cert", "they are for a certificate that is generated")
		}
		if at := child(terminate, "cert"); r.sound(at) && t.Cert == Generated {
			r.wrong(at, "cert: is generated anyway", "leave it out")
		}
	}
	if o := l.TLS.Originate; o != nil {
		r.pair(originate, o.Cert, o.Key)
		for _, key := range []string{"ca", "server_name"} {
			if at := child(originate, key); r.sound(at) && o.Insecure {
				r.wrongKey(at, key+": does not go with insecure", "insecure takes any certificate")
			}
		}
	}
}

// pair checks that certificate and key come together.
func (r *rules) pair(path, cert, key string) {
	switch {
	case cert == Generated && key != "":
		r.wrongKey(child(path, "key"), "key: does not go with a generated cert", "leave it out")
	case cert != "" && cert != Generated && !r.has(child(path, "key")):
		r.lacks(path, child(path, "key")+": is missing", "cert needs the file of its key")
	case key != "" && !r.has(child(path, "cert")):
		r.lacks(path, child(path, "cert")+": is missing", "key needs the file of its certificate")
	}
}

// files are the paths in l.
func (l *Link) files() (all []*string) {
	if l.TLS == nil {
		return nil
	}
	if t := l.TLS.Terminate; t != nil {
		all = append(all, &t.Cert, &t.Key, &t.ClientCA)
	}
	if o := l.TLS.Originate; o != nil {
		all = append(all, &o.CA, &o.Cert, &o.Key)
	}
	return all
}

// resolve makes paths absolute.
func (l *Link) resolve(folder string) error {
	for _, file := range l.files() {
		if *file == Generated {
			continue
		}
		if err := absolute(folder, file); err != nil {
			return err
		}
	}
	return nil
}
