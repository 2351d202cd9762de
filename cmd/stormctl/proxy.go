//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos/proxy/api"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/reports"
)

// proxyOptions are the flags of proxy.
type proxyOptions struct {
	api       string
	config    string
	allow     []string // CIDRs
	tokenFile string
	seed      seedFlag
}

func (o *proxyOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.api, "api", "127.0.0.1:8474",
		"`address` of the HTTP API, host:port; port 0 picks a free one; other than loopback needs a token")
	f.StringVar(&o.config, "config", "", "`file` that lists proxies to begin with: toxiproxy's JSON, or the same in YAML")
	f.StringArrayVar(&o.allow, "allow", nil, "a network that upstreams may be in and proxies may listen on, beside loopback: `CIDR` like "+
		"10.1.0.0/16; may be repeated")
	f.StringVar(&o.tokenFile, "token-file", "", "`file` with the token that every request must bear (default $"+tokenVariable+", or none)")
	f.Var(&o.seed, "seed", "decides every random draw (default a new one)")
}

func newProxyCommand() *cobra.Command {
	var o proxyOptions
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Serves fault-injecting proxies by an HTTP API",
		Long: `Serves fault-injecting proxies alone, until SIGINT or SIGTERM: no load, no claims.
The HTTP API is toxiproxy's (2.12), so its clients in every language work with
it; what it has beyond that is in docs/proxy.md: toxics on HTTP exchanges,
leases, metrics of what each toxic has hit.

Upstreams are, and proxies listen, on loopback unless --allow says otherwise.`,
		Example: `  stormctl proxy &
  curl -s 127.0.0.1:8474/proxies -d '{"name": "redis", "listen": "127.0.0.1:16379", "upstream": "127.0.0.1:6379"}'
  curl -s 127.0.0.1:8474/proxies/redis/toxics -d '{"type": "latency", "attributes": {"latency": 100}, "ttl": "30s"}'
  curl -s 127.0.0.1:8474/metrics | grep hits`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return serveProxies(ctx, cmd.ErrOrStderr(), os.Getenv, o)
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

// serveProxies serves until ctx is done. When it returns nothing listens and no
// connection is open any more.
func serveProxies(ctx context.Context, stderr io.Writer, getenv func(string) string, o proxyOptions) error {
	config, err := o.serverConfig(getenv)
	if err != nil {
		return usageError{err}
	}
	addr, err := apiAddress(ctx, o.api, config.Token != "")
	if err != nil {
		return usageError{err}
	}
	var mu sync.Mutex
	config.Tell = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(stderr, "stormctl: "+reports.Clean(text))
	}
	server := api.New(config)
	defer server.Close()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("serve the API: %w", err)
	}
	if o.config != "" {
		n, err := server.Load(ctx, o.config)
		if err != nil {
			_ = l.Close() // nothing has been served on it
			return fmt.Errorf("load proxies: %w", err)
		}
		config.Tell(fmt.Sprintf("%s: %d proxies", o.config, n))
	}
	config.Tell(fmt.Sprintf("the API listens on http://%s, seed %d", l.Addr(), config.Seed))
	return server.Serve(ctx, l)
}

// serverConfig is what the flags say.
func (o *proxyOptions) serverConfig(getenv func(string) string) (api.Config, error) {
	c := api.Config{Seed: o.seed.value}
	if !o.seed.given {
		c.Seed = rand.Uint64()
	}
	for _, text := range o.allow {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return c, fmt.Errorf("--allow %q: write it like 10.1.0.0/16, or 10.1.2.3/32 for one address", text)
		}
		c.Allow = append(c.Allow, network)
	}
	token := []byte(getenv(tokenVariable))
	if o.tokenFile != "" {
		var err error
		if token, err = input.Read(o.tokenFile, input.Token); err != nil {
			return c, fmt.Errorf("--token-file: %w", err)
		}
		if len(bytes.TrimSpace(token)) == 0 {
			return c, fmt.Errorf("--token-file %s: it is empty", o.tokenFile)
		}
	}
	c.Token = string(bytes.TrimSpace(token))
	return c, nil
}

// apiAddress is the address to bind, as a number, so that what was checked is
// what is bound. A client of the API can change what passes through the
// proxies: it is for this machine alone unless it asks for a token.
func apiAddress(ctx context.Context, addr string, token bool) (string, error) {
	at, err := listenAddress(ctx, addr, token, "127.0.0.1:8474", tokenOr("--token-file or "+tokenVariable))
	if err != nil {
		return "", fmt.Errorf("--api %q: %w", addr, err)
	}
	return at, nil
}
