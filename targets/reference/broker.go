package reference

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// brokerSettings configure a broker: a NATS server with JetStream, in a process of its own, which keeps what
// is published in its folder. What it listens on speaks NATS and no HTTP: a link to it has protocol: tcp.
type brokerSettings struct {
	sync    string
	cluster []string // host:port of all nodes, this one among them; nil is one alone
}

var brokerKeys = []key[brokerSettings]{
	oneOf("sync", "interval", "when what is written reaches the disk: interval is the server's default of two minutes, "+
		"always before it is acknowledged; a kill -9 loses nothing either way, a power cut does",
		[]string{"interval", "always"}, func(s *brokerSettings) *string { return &s.sync }),
	{
		Setting: Setting{"cluster", "", "addresses with blanks between", "host:port of all nodes of a cluster, " +
			"this one among them, on 127.0.0.1: they find each other on the same port of 127.0.0.2, which Linux has unasked"},
		set: func(s *brokerSettings, v string) error { s.cluster = strings.Fields(v); return nil },
	},
}

func parseBroker(with map[string]string) (*brokerSettings, error) {
	return parse("broker", brokerKeys, with)
}

// mostPublished bounds what a broker keeps on disk.
const mostPublished = 4 << 30

// brokerService is the reference service broker, whose server is not one of HTTP.
func brokerService() service {
	return service{
		Description: Description{
			Name: "broker", About: "keeps events: a NATS server with JetStream, reached by links with protocol: tcp",
			Settings: describe(brokerKeys),
		},
		keeps: true,
		check: func(with map[string]string) error { _, err := parseBroker(with); return err },
		serve: serveBroker,
	}
}

// serveBroker runs a broker until ctx is done.
func serveBroker(ctx context.Context, c Config, ready func(addr string)) error {
	settings, err := parseBroker(c.With)
	if err != nil {
		return err
	}
	if len(c.Deps) > 0 {
		return errors.New("a broker calls nobody: take the links from it out; publisher and consumer call it")
	}
	if strings.HasPrefix(c.Listen, "unix:") {
		return errors.New("a broker listens on host:port, not on a socket")
	}
	host, text, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("port %.20q: must be a number", text)
	}
	if port == 0 {
		port = natsserver.RANDOM_PORT
	}
	options := &natsserver.Options{
		ServerName: "broker", Host: host, Port: port, NoLog: true, NoSigs: true, NoSystemAccount: true,
		JetStream: true, StoreDir: c.Dir, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: mostPublished,
		SyncAlways: settings.sync == "always",
	}
	if err := join(options, settings.cluster, c); err != nil {
		return err
	}
	nats, err := natsserver.NewServer(options)
	if err != nil {
		return err
	}
	go nats.Start() // waited for below
	defer nats.WaitForShutdown()
	defer nats.Shutdown()
	const within = 10 * time.Second
	if !nats.ReadyForConnections(within) {
		return fmt.Errorf("it does not listen on %s after %s: is the port taken?", c.Listen, within)
	}
	if ready != nil {
		ready(nats.Addr().String())
	}
	<-ctx.Done()
	return nil
}

// join makes a server one of a cluster, if there is one.
func join(o *natsserver.Options, cluster []string, c Config) error {
	if len(cluster) == 0 {
		return nil
	}
	if !slices.Contains(cluster, c.Listen) {
		return fmt.Errorf("cluster: %s is not among its nodes", c.Listen)
	}
	for _, node := range cluster {
		at, err := besides(node)
		if err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
		if node == c.Listen {
			o.Cluster = natsserver.ClusterOpts{Name: "brokers", Host: at.Addr().String(), Port: int(at.Port())}
		} else {
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: at.String()})
		}
	}
	o.ServerName, o.NoSystemAccount = c.Name, false // nodes agree by messages of the system's account
	return nil
}

// besides is where the node of an address is found by the others: the same port of the next address.
func besides(node string) (netip.AddrPort, error) {
	at, err := netip.ParseAddrPort(node)
	if err != nil {
		return at, err
	}
	if !at.Addr().Is4() || !at.Addr().IsLoopback() {
		return at, fmt.Errorf("%s is no address of 127.0.0.0/8", node)
	}
	return netip.AddrPortFrom(at.Addr().Next(), at.Port()), nil
}
