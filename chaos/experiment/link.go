package experiment

import (
	"fmt"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/proxy/greeting"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load"
)

// Link is a call path between two targets. The caller is given the link's
// address (${links.NAME.url}) instead of the callee's.
type Link struct {
	From   string `yaml:"from"`   // The target that calls.
	To     string `yaml:"to"`     // The target that is called.
	Listen string `yaml:"listen"` // host:port of the link, which limits.allow must name; absent picks a free port on 127.0.0.1.
	// What is spoken on it: http1, h2 (by prior knowledge; by ALPN with tls) grpc (h2, where calls count by their
	// gRPC status), or tcp (connections and bytes, whatever is spoken). Absent means the protocol of the target that
	// is called, which must not be auto by TLS.
	Protocol string `yaml:"protocol"`
	// With protocol: tcp, what the dependency says first on a connection is read, for whether it lets the caller in, or
	// refuses with which code: postgres, mysql, redis, amqp or nats. Absent means that nothing is read. What follows
	// passes unread.
	Greeting string   `yaml:"greeting"`
	Region   string   `yaml:"region"` // Where it is, for region_loss; absent means where the target is that it leads to.
	TLS      *LinkTLS `yaml:"tls"`    // TLS on it; absent leaves it plain.
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
	// PEM file of the certificate that callers see, relative to the experiment file; absent generates one for
	// localhost, the names of both targets and the address of the link, which ${links.NAME.ca} has signed.
	Cert  string   `yaml:"cert"`
	Key   string   `yaml:"key"`   // PEM file of its key.
	Names []string `yaml:"names"` // Further names and addresses for the generated certificate.
	// Callers must show a certificate of this CA (mTLS): a PEM file, or generated for the CA of the run.
	ClientCA string `yaml:"client_ca"`
}

// Originate is TLS between a link and the callee.
type Originate struct {
	// CA of the callee's certificate: a PEM file relative to the experiment file, or generated for the CA of the
	// run. Absent trusts what the system trusts.
	CA         string `yaml:"ca"`
	ServerName string `yaml:"server_name"` // Name that the certificate must be for; absent means the callee's host.
	Insecure   bool   `yaml:"insecure"`    // Takes any certificate.
	// Certificate that the link shows where the callee asks for one (mTLS): a PEM file, or generated.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"` // PEM file of its key.
}

// Generated stands for a file that is made for the run.
const Generated = "generated"

func (Link) Required() []string { return []string{"from", "to"} }

// linkProtocols are the values of Link.Protocol.
var linkProtocols = []string{toxic.ProtocolHTTP1, toxic.ProtocolHTTP2, toxic.ProtocolGRPC, toxic.ProtocolTCP}

// tlsParts are what is known of a link with TLS, beside its address.
var tlsParts = []string{"ca", "cert", "key"}

func (r *rules) link(name string, l *Link) {
	path := strict.Path("links").Child(name)
	r.name(path, name, r.WrongKey)
	from := r.toTarget(path.Child("from"), l.From)
	to := r.toTarget(path.Child("to"), l.To)
	if from && to && l.From == l.To {
		r.Wrong(path.Child("to"), fmt.Sprintf("to: %s is also from", strict.Quote(l.To)), "a link lies between two targets")
	}
	if t := r.x.Targets[l.To]; to && t != nil {
		blind := l.Protocol == toxic.ProtocolTCP // what is spoken is not the link's business
		_, socket := t.Socket()
		switch {
		case t.Secure() && !blind && (l.TLS == nil || l.TLS.Originate == nil):
			r.Wrong(path.Child("to"), fmt.Sprintf("to: %s is reached by TLS", strict.Quote(l.To)),
				"give the link tls: {originate: {}}, or protocol: tcp")
		case socket:
			r.Wrong(path.Child("to"), fmt.Sprintf("to: %s listens on a unix socket", strict.Quote(l.To)), "a link leads to host and port")
		}
	}
	if at := path.Child("listen"); r.Sound(at) {
		if host, ok := r.hostPort(at, l.Listen, 0); ok {
			r.allowed(at, host) // who reaches the link reaches what is behind it
		}
	}
	if at := path.Child("protocol"); r.Has(at) {
		r.among(at, l.Protocol, "protocols", linkProtocols)
	} else if t := r.x.Targets[l.To]; to && t != nil && t.settled() == load.Auto {
		r.Missing(path,
			"protocol",
			fmt.Sprintf("write protocol: h2 or http1 for link %s, whichever its caller speaks: what %s chooses is known only when the "+
				"run begins", name, strict.Quote(l.To)))
	}
	if at := path.Child("greeting"); r.Has(at) && r.among(at, l.Greeting, "protocols", greeting.Protocols) &&
		l.Protocol != toxic.ProtocolTCP {
		r.WrongKey(at, "greeting: is read on connections, and the link passes exchanges", "give the link protocol: tcp")
	}
	r.region(path.Child("region"), l.Region)
	if at := path.Child("tls"); r.Sound(at) {
		r.linkTLS(at, l)
	}
}

func (r *rules) linkTLS(path strict.Path, l *Link) {
	plain := func(at strict.Path, target, how string) {
		if t := r.x.Targets[target]; t != nil && t.Reference != "" && r.Has(at) {
			r.WrongKey(at, fmt.Sprintf("%s: reference service %s %s without TLS", at.Tail(), strict.Quote(target), how), "leave it out")
		}
	}
	terminate, originate := path.Child("terminate"), path.Child("originate")
	if !r.Has(terminate) && !r.Has(originate) {
		r.Wrong(path, "tls: has neither terminate nor originate", "write {terminate: {}} for TLS between the caller and the link")
	}
	plain(terminate, l.From, "calls")
	plain(originate, l.To, "answers")
	if t := l.TLS.Terminate; t != nil {
		r.pair(terminate, t.Cert, t.Key)
		if at := terminate.Child("names"); r.Sound(at) && t.Cert != "" {
			r.WrongKey(at, "names: does not go with cert", "they are for a certificate that is generated")
		}
		if at := terminate.Child("cert"); r.Sound(at) && t.Cert == Generated {
			r.Wrong(at, "cert: is generated anyway", "leave it out")
		}
	}
	if o := l.TLS.Originate; o != nil {
		r.pair(originate, o.Cert, o.Key)
		for _, key := range []string{"ca", "server_name"} {
			if at := originate.Child(key); r.Sound(at) && o.Insecure {
				r.WrongKey(at, key+": does not go with insecure", "insecure takes any certificate")
			}
		}
	}
}

// pair checks that certificate and key come together.
func (r *rules) pair(path strict.Path, cert, key string) {
	switch {
	case cert == Generated && key != "":
		r.WrongKey(path.Child("key"), "key: does not go with a generated cert", "leave it out")
	case cert != "" && cert != Generated && !r.Has(path.Child("key")):
		r.Missing(path, "key", "cert needs the file of its key")
	case key != "" && !r.Has(path.Child("cert")):
		r.Missing(path, "cert", "key needs the file of its certificate")
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
