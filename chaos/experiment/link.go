package experiment

import "fmt"

// Link is a call path between two targets. The caller is given the link's
// address (${links.NAME.url}) instead of the callee's.
type Link struct {
	From   string `yaml:"from"`   // The target that calls.
	To     string `yaml:"to"`     // The target that is called.
	Listen string `yaml:"listen"` // host:port of the link; absent picks a free port on 127.0.0.1.
}

func (Link) Required() []string { return []string{"from", "to"} }

func (r *rules) link(name string, l *Link) {
	path := child("links", name)
	r.name(path, name, r.wrongKey)
	from := r.toTarget(child(path, "from"), l.From)
	to := r.toTarget(child(path, "to"), l.To)
	if from && to && l.From == l.To {
		r.wrong(child(path, "to"), fmt.Sprintf("to: %s is also from", quote(l.To)), "a link lies between two targets")
	}
	if t := r.x.Targets[l.To]; to && t != nil && t.Streams() {
		r.wrong(child(path, "to"), fmt.Sprintf("to: %s speaks %s", quote(l.To), t.Protocol), "a link speaks http1 alone")
	}
	if t := r.x.Targets[l.To]; to && t != nil {
		_, socket := t.Socket()
		switch {
		case t.Secure():
			r.wrong(child(path, "to"), fmt.Sprintf("to: %s is reached by TLS", quote(l.To)), "a link speaks without")
		case socket:
			r.wrong(child(path, "to"), fmt.Sprintf("to: %s listens on a unix socket", quote(l.To)), "a link leads to host and port")
		}
	}
	if at := child(path, "listen"); r.sound(at) {
		r.hostPort(at, l.Listen, 0)
	}
}
