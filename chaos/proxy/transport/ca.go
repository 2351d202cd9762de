package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// CA signs certificates for as long as a test takes. Its key is in memory
// alone, so that nothing can be signed once it is gone.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

const (
	// caLife is how long certificates are valid: longer than a soak goes on.
	caLife = 100 * 24 * time.Hour
	// caSlack is how long they have been: clocks differ.
	caSlack = 24 * time.Hour
)

// NewCA makes one with a key of its own.
func NewCA(name string) (*CA, error) {
	template := certificate(name)
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, key, err := sign(template, template, nil)
	if err != nil {
		return nil, fmt.Errorf("make CA %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make CA %s: %w", name, err)
	}
	return &CA{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// sign makes a key and a certificate for it; by nil signs it by itself.
func sign(template, parent *x509.Certificate, by *ecdsa.PrivateKey) (der []byte, key *ecdsa.PrivateKey, err error) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, err
	}
	if by == nil {
		by = key
	}
	der, err = x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	return der, key, err
}

// PEM is the certificate by which it is known what the CA signed.
func (ca *CA) PEM() []byte { return ca.pem }

// Pool is PEM as a pool.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// Issue makes a certificate with its key, both as PEM, that a server may show
// under those names and addresses, and a client too.
func (ca *CA) Issue(hosts ...string) (cert, key []byte, err error) {
	template := certificate("")
	if len(hosts) > 0 {
		template.Subject.CommonName = hosts[0]
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, private, err := sign(template, ca.cert, ca.key)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate for %v: %w", hosts, err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate for %v: %w", hosts, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}

// Certificate is Issue for a tls.Config.
func (ca *CA) Certificate(hosts ...string) (tls.Certificate, error) {
	cert, key, err := ca.Issue(hosts...)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

func certificate(name string) *x509.Certificate {
	serial := make([]byte, 16)
	_, _ = rand.Read(serial) // never fails
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"stormctl test"}},
		NotBefore:    now.Add(-caSlack),
		NotAfter:     now.Add(caLife),
	}
}
