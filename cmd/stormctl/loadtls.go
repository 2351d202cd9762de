package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/stormctl/stormctl/load"
)

// tlsConfig is what the flags say of TLS, for a URL with this host.
func (o *loadOptions) tlsConfig(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, InsecureSkipVerify: o.insecure, NextProtos: []string{"http/1.1"}} //nolint:gosec // the user asked for it by --insecure
	if o.protocol != load.HTTP1 {
		c.NextProtos = []string{"h2"}
	}
	if o.serverName != "" {
		c.ServerName = o.serverName
	}
	if o.caFile != "" {
		pem, err := os.ReadFile(o.caFile)
		if err != nil {
			return nil, fmt.Errorf("--cacert: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--cacert %s: there is no PEM certificate in it", o.caFile)
		}
	}
	if o.certFile != "" {
		key := o.keyFile
		if key == "" {
			key = o.certFile
		}
		cert, err := tls.LoadX509KeyPair(o.certFile, key)
		if err != nil {
			return nil, fmt.Errorf("--cert: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}
