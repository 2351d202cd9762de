package experiment

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/load"
)

// TLS says how routes reach a target by TLS. Files are relative to the
// experiment file, and absolute once read.
type TLS struct {
	CA         string `yaml:"ca"`          // PEM file of the authorities to trust; absent means the system's.
	Cert       string `yaml:"cert"`        // PEM file of a client certificate.
	Key        string `yaml:"key"`         // PEM file of its key; absent means that it is in the file of cert.
	ServerName string `yaml:"server_name"` // Name to ask for and to verify; absent means the host of the url.
	Insecure   bool   `yaml:"insecure"`    // Take any certificate.
}

func (t *TLS) resolve(folder string) error { return absolute(folder, &t.CA, &t.Cert, &t.Key) }

// tls checks the TLS of a target that is of this kind.
func (r *rules) tls(path strict.Path, kind string, t *Target) {
	at := path.Child("tls")
	switch {
	case !r.Has(at):
		return
	case kind == "reference":
		r.WrongKey(at, "tls: a reference service does not speak it", "it is for url and process")
		return
	case kind == "url" && t.scheme() == "http":
		r.WrongKey(at, "tls: does not go with http in the url", "write https")
	case kind == "url" && t.scheme() == "unix" && t.TLS.ServerName == "" && !t.TLS.Insecure:
		r.Missing(at, "server_name", "a unix socket has no host to verify")
	}
	if key := at.Child("key"); r.Has(key) && !r.Has(at.Child("cert")) {
		r.WrongKey(key, "key: is of no use without cert", "")
	}
	if ready := path.Child("process", "ready"); r.Sound(ready) && strings.HasPrefix(t.Process.Ready.Probe, "/") {
		r.Wrong(ready, "ready: a path is asked for without TLS", "leave it out: ready is then who takes connections")
	}
	if !r.opts.Here || !r.Sound(at) {
		return
	}
	files := load.TLS(*t.TLS)
	for _, f := range []*string{&files.CA, &files.Cert, &files.Key} {
		if *f != "" {
			*f = r.beside(*f)
		}
	}
	var wrong *load.TLSError
	if _, err := files.Config("host"); errors.As(err, &wrong) {
		r.Wrong(at.Child(wrong.Of), fmt.Sprintf("%s: %v", wrong.Of, wrong.Err), "")
	}
}
