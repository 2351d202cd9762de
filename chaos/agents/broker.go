package agents

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// mostStored bounds what an embedded broker keeps on disk of a run.
const mostStored = 8 << 30

// coordinatorUser is the user that the run itself is; no agent is called so.
const coordinatorUser = "coordinator"

// agentName is how agents may be called: it is a part of subjects and of names of files.
var agentName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// CheckName says what is wrong with the name of an agent.
func CheckName(name string) error {
	if !agentName.MatchString(name) || name == coordinatorUser {
		return fmt.Errorf("%.60q is no name of an agent: 1 to 40 of a to z, 0 to 9 and dash", name)
	}
	return nil
}

// Broker is a NATS server in this process, for one run. Monitoring, WebSocket, MQTT, leaf nodes,
// gateways and clusters are off, and a message has at most 1 MiB.
type Broker struct {
	Join Join // for agents

	server *server.Server
	token  Token
}

// StartBroker starts one that listens on an address, ip:port, and keeps its streams in
// dir. Off loopback it speaks TLS alone, by a certificate that is made for it. What it
// refuses is told; say must not block.
func StartBroker(listen, dir string, token Token, say func(string)) (*Broker, error) {
	addr, err := netip.ParseAddrPort(listen)
	if err != nil {
		return nil, fmt.Errorf("%.60q is no ip:port for agents to come to", listen)
	}
	b := &Broker{token: token, Join: Join{Token: token}}
	opts := &server.Options{
		ServerName: "stormctl", Host: addr.Addr().String(), Port: int(addr.Port()), NoSigs: true,
		JetStream: true, StoreDir: dir, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: mostStored,
		MaxPayload: maxMessage, MaxConn: 1024, CustomClientAuthentication: b,
	}
	if addr.Port() == 0 {
		opts.Port = server.RANDOM_PORT
	}
	scheme := "nats"
	if !addr.Addr().IsLoopback() {
		scheme = "tls"
		cert, pin, err := ownCertificate(addr.Addr())
		if err != nil {
			return nil, err
		}
		opts.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
		opts.TLS, opts.TLSTimeout, b.Join.Pin = true, 2, pin
	}
	if b.server, err = server.NewServer(opts); err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	b.server.SetLogger(&brokerLog{say: say}, false, false)
	go b.server.Start() // Close waits for it
	if !b.server.ReadyForConnections(10 * time.Second) {
		b.Close()
		return nil, fmt.Errorf("the broker does not listen on %s: is the port taken?", listen)
	}
	port := addr.Port()
	if at, ok := b.server.Addr().(*net.TCPAddr); ok {
		port = uint16(at.Port)
	}
	b.Join.Broker = url.URL{Scheme: scheme, Host: net.JoinHostPort(addr.Addr().String(), strconv.Itoa(int(port)))}
	return b, nil
}

// Close ends it.
func (b *Broker) Close() {
	b.server.Shutdown()
	b.server.WaitForShutdown()
}

// Check implements server.Authentication: each agent is a user of its own, with the
// subjects that are its own.
func (b *Broker) Check(c server.ClientAuthentication) bool {
	o := c.GetOpts()
	if subtle.ConstantTimeCompare([]byte(o.Password), []byte(b.token.password(o.Username))) != 1 {
		return false
	}
	user := &server.User{Username: o.Username}
	if o.Username != coordinatorUser {
		if CheckName(o.Username) != nil {
			return false
		}
		user.Permissions = permissions(b.token, o.Username)
	}
	c.RegisterUser(user)
	return true
}

// permissions are what an agent may say and hear.
func permissions(token Token, name string) *server.Permissions {
	s, bucket := subjectsOf(token), bucketOf(token, name)
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			s.join, s.beat(name), s.feed(name),
			"$O." + bucket + ".>", "$JS.API.STREAM.INFO.OBJ_" + bucket, "$JS.API.STREAM.PURGE.OBJ_" + bucket,
			"$JS.API.STREAM.MSG.GET.OBJ_" + bucket, "$JS.API.DIRECT.GET.OBJ_" + bucket + ".>",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{s.order(name), s.clock(name), s.pulse, inboxOf(name) + ".>"}},
		Response:  &server.ResponsePermission{MaxMsgs: 1, Expires: 10 * time.Second},
	}
}

// inboxOf is where answers to an agent come.
func inboxOf(name string) string { return "_INBOX_" + name }

// ownCertificate makes a certificate for an address, and its SHA-256: who has joined by
// that needs no authority.
func ownCertificate(addr netip.Addr) (cert tls.Certificate, pin string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert, "", err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return cert, "", err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "stormctl run"}, NotBefore: now.Add(-24 * time.Hour),
		NotAfter: now.Add(30 * 24 * time.Hour), IPAddresses: []net.IP{addr.AsSlice()}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return cert, "", err
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, hex.EncodeToString(sum[:]), nil
}

// pinned trusts the one certificate with that SHA-256, and no other.
func pinned(pin string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // VerifyConnection does what is skipped
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errors.New("the broker shows no certificate")
			}
			if sum := sha256.Sum256(s.PeerCertificates[0].Raw); hex.EncodeToString(sum[:]) != pin {
				return errors.New("the broker's certificate is not that of the run")
			}
			return nil
		},
	}
}

// connect connects a user to the broker of a run. It comes back by itself after a broken
// connection; told is called of each break, and may be nil.
func connect(j Join, user string, told func(error), more ...nats.Option) (*nats.Conn, error) {
	opts := append([]nats.Option{
		nats.Name("stormctl " + user), nats.CustomInboxPrefix(inboxOf(user)), nats.MaxReconnects(-1), nats.NoEcho(),
		nats.ReconnectWait(250 * time.Millisecond), nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond),
		nats.Timeout(5 * time.Second), nats.ReconnectBufSize(-1),
	}, more...)
	if told != nil {
		opts = append(opts, nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { told(err) }))
	}
	if j.Broker.User == nil {
		opts = append(opts, nats.UserInfo(user, j.Token.password(user)))
	}
	if j.Pin != "" {
		opts = append(opts, nats.Secure(pinned(j.Pin)))
	}
	conn, err := nats.Connect(j.Broker.String(), opts...)
	if err != nil {
		return nil, fmt.Errorf("broker %s: %w", j.Broker.Host, err)
	}
	return conn, nil
}
