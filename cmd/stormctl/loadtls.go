package main

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/stormctl/stormctl/load"
)

// tlsConfig is what the flags say of TLS, for a URL with this host.
func (o *loadOptions) tlsConfig(host string) (*tls.Config, error) {
	c, err := load.TLS{CA: o.caFile, Cert: o.certFile, Key: o.keyFile, ServerName: o.serverName, Insecure: o.insecure}.Config(host)
	if of, ok := errors.AsType[*load.TLSError](err); ok {
		return nil, fmt.Errorf("%s: %w", map[string]string{"ca": "--cacert", "cert": "--cert"}[of.Of], of.Err)
	}
	return c, err
}
