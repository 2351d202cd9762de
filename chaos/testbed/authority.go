package testbed

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/load/input"
)

// authority signs what the links of a run need. It is made for the first link
// with TLS, and its key is never written down.
type authority struct {
	root *os.Root // run directory
	dir  string   // for the files, inside the run directory
	ca   *transport.CA
}

func (a *authority) made() (*transport.CA, error) {
	if a.ca != nil {
		return a.ca, nil
	}
	ca, err := transport.NewCA("stormctl run")
	if err != nil {
		return nil, err
	}
	if a.dir, err = filepath.Abs(a.dir); err != nil { // targets work in folders of their own
		return nil, err
	}
	if err := a.write("ca.pem", ca.PEM()); err != nil {
		return nil, err
	}
	a.ca = ca
	return ca, nil
}

func (a *authority) path(file string) string { return filepath.Join(a.dir, file) }

func (a *authority) write(file string, content []byte) error {
	return writeNew(a.root, tlsFolder+"/"+file, content)
}

// tlsFolder is where in the run directory the files of links with TLS are.
const tlsFolder = "tls"

// issue writes a certificate for both ends of a link, and returns what names
// its files in variables.
func (a *authority) issue(name string, l *experiment.Link) (map[string]string, error) {
	ca, err := a.made()
	if err != nil {
		return nil, err
	}
	cert, key, err := ca.Issue(hostsOf(name, l)...)
	if err != nil {
		return nil, err
	}
	files := map[string]string{"ca": a.path("ca.pem"), "cert": a.path(name + ".pem"), "key": a.path(name + ".key")}
	return files, errors.Join(a.write(name+".pem", cert), a.write(name+".key", key))
}

// hostsOf are the names under which the ends of a link may be called.
func hostsOf(name string, l *experiment.Link) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1", name, l.From, l.To}
	if host, _, err := net.SplitHostPort(l.Listen); err == nil && host != "" {
		hosts = append(hosts, host)
	}
	if t := l.TLS.Terminate; t != nil {
		hosts = append(hosts, t.Names...)
	}
	return hosts
}

// terminate is how a link speaks TLS with its callers.
func (a *authority) terminate(name string, l *experiment.Link) (*tls.Config, error) {
	t := l.TLS.Terminate
	if t == nil {
		return nil, nil
	}
	cert := t.Cert
	cert = cmp.Or(cert, experiment.Generated)
	config := &tls.Config{}
	var err error
	if config.Certificates, err = a.certificate(name, l, cert, t.Key); err != nil {
		return nil, fmt.Errorf("terminate: %w", err)
	}
	if config.ClientCAs, err = a.pool(t.ClientCA); err != nil {
		return nil, fmt.Errorf("terminate: client_ca: %w", err)
	}
	if config.ClientCAs != nil {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config, nil
}

// originate is how a link speaks TLS with the callee, whose host is such.
func (a *authority) originate(name string, l *experiment.Link, host string) (*tls.Config, error) {
	o := l.TLS.Originate
	if o == nil {
		return nil, nil
	}
	config := &tls.Config{ServerName: o.ServerName, InsecureSkipVerify: o.Insecure}
	config.ServerName = cmp.Or(config.ServerName, host)
	var err error
	if config.RootCAs, err = a.pool(o.CA); err != nil {
		return nil, fmt.Errorf("originate: ca: %w", err)
	}
	if o.Cert != "" {
		if config.Certificates, err = a.certificate(name, l, o.Cert, o.Key); err != nil {
			return nil, fmt.Errorf("originate: %w", err)
		}
	}
	return config, nil
}

func (a *authority) certificate(name string, l *experiment.Link, cert, key string) ([]tls.Certificate, error) {
	var c tls.Certificate
	var err error
	if cert == experiment.Generated {
		c, err = a.ca.Certificate(hostsOf(name, l)...)
	} else {
		c, err = input.KeyPair(cert, key)
	}
	return []tls.Certificate{c}, err
}

// pool reads the CA that is trusted; nil if none is named.
func (a *authority) pool(file string) (*x509.CertPool, error) {
	switch file {
	case "":
		return nil, nil
	case experiment.Generated:
		return a.ca.Pool(), nil
	}
	text, err := input.Read(file, input.PEM)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate: it must be a PEM file", file)
	}
	return pool, nil
}
