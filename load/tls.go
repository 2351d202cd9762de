package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
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

// Config reads the files, for routes to a host. Routes that share
// it share connections. The
// error is a *TLSError.
func (t TLS) Config(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: unzoned(host), InsecureSkipVerify: t.Insecure} //nolint:gosec // the user asked for it
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, &TLSError{"ca", err}
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &TLSError{"ca", fmt.Errorf("%s: there is no PEM certificate in it", t.CA)}
		}
	}
	if t.Cert != "" {
		key := t.Key
		if key == "" {
			key = t.Cert
		}
		cert, err := tls.LoadX509KeyPair(t.Cert, key)
		if err != nil {
			return nil, &TLSError{"cert", err}
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// Lookup finds the addresses of a host, in the order in which the system would
// try them. One that is an address itself keeps its zone, which a resolver
// would lose.
func Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i := range ips {
		ips[i] = ips[i].Unmap()
	}
	return ips, err
}

// Knock finds out whether somebody is where a route leads that we can talk to,
// as far as a connection and a handshake tell.
func Knock(ctx context.Context, r Route) error {
	e, err := parseEndpoint(r.Addr)
	if err != nil {
		return err
	}
	if r.TLS != nil {
		if e.tls, err = new(program).tlsFor(r); err != nil {
			return err
		}
	}
	network, addr := e.dialArgs()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return fmt.Errorf("nothing answers at %s: %w", addr, err)
	}
	if e.tls == nil {
		return conn.Close()
	}
	secure := tls.Client(conn, e.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // a handshake that ran out of time has closed it
		return fmt.Errorf("TLS with %s: %w", addr, err)
	}
	if got := secure.ConnectionState().NegotiatedProtocol; r.streams() && got != alpnHTTP2 {
		return errors.Join(fmt.Errorf("%s does not speak HTTP/2 by TLS: it chose %q", addr, got), conn.Close())
	}
	return conn.Close()
}
