package load

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/stormctl/stormctl/load/input"
)

// TLS is what a user says of it: files and names. The zero value trusts the
// authorities of the system.
type TLS struct {
	CA         string // PEM file of the authorities to trust; "" is the system's
	Cert       string // PEM file of a client certificate; "" is none
	Key        string // PEM file of its key; "" is in that of Cert
	ServerName string // to ask for and to verify; "" is the host's
	Insecure   bool   // take any certificate
}

// TLSError is what is wrong with a file of TLS.
type TLSError struct {
	Of  string // "ca" or "cert"
	Err error
}

func (e *TLSError) Error() string { return e.Of + ": " + e.Err.Error() }

func (e *TLSError) Unwrap() error { return e.Err }

// Config reads the files, for routes to a host. Routes that share it share
// connections. The error is a *TLSError.
func (t TLS) Config(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: cmp.Or(t.ServerName, unzoned(host)), InsecureSkipVerify: t.Insecure} // as the user asked for
	if t.CA != "" {
		pem, err := input.Read(t.CA, input.PEM)
		if err != nil {
			return nil, &TLSError{"ca", err}
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &TLSError{"ca", fmt.Errorf("%s: there is no PEM certificate in it", t.CA)}
		}
	}
	if t.Cert != "" {
		cert, err := input.KeyPair(t.Cert, cmp.Or(t.Key, t.Cert))
		if err != nil {
			return nil, &TLSError{"cert", err}
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}
