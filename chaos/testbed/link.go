package testbed

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/stormctl/stormctl/chaos/proxy"
)

// link binds a link.
func (b *Testbed) link(name string) (proxy.Relay, error) {
	link := b.x.Links[name]
	c := proxy.Config{
		Name: name, Listen: link.Listen, Upstream: b.addrs[link.To].String(), Protocol: link.Protocol,
		Seed: b.x.Seed, Run: b.opts.Run, IDHeader: b.x.Load.IDHeader, Allow: b.allow.check, Greeting: link.Greeting,
	}
	if c.Listen == "" && b.ownHost(link.From) { // it does not reach our loopback
		c.Listen, c.Device = netip.AddrPortFrom(b.network.Ours(), 0).String(), b.network.Device()
	}
	if link.TLS != nil {
		var err error
		if b.files[name], err = b.tls.issue(name, link); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		host, _, _ := net.SplitHostPort(b.hosts[link.To])
		host, _, _ = strings.Cut(host, "%") // a zone is in no certificate
		if c.Terminate, err = b.tls.terminate(name, link); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		if c.Originate, err = b.tls.originate(name, link, host); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
	}
	relay, err := proxy.Listen(c)
	if link.Listen != "" && errors.Is(err, syscall.EADDRINUSE) { // else there is no port left at all
		err = fmt.Errorf("%w: end what listens there, or leave listen out for a port that is free", err)
	}
	return relay, err
}

// closeLinks ends the links, and with them every exchange in progress.
func (b *Testbed) closeLinks() error {
	var errs []error
	for name, relay := range b.Relays {
		if err := relay.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close link %s: %w", name, err))
		}
	}
	clear(b.Relays)
	return errors.Join(errs...)
}

// FailedHandshakes says at which links connections failed because caller and link
// could not agree on TLS, a sentence for each: no exchange shows them.
func (b *Testbed) FailedHandshakes() (all []string) {
	for _, name := range slices.Sorted(maps.Keys(b.Relays)) {
		if n := b.Relays[name].Unsafe(); n > 0 {
			all = append(all, fmt.Sprintf("link %s: %d connections came to nothing because caller and link could not agree on TLS: "+
				"the caller must trust ${links.%s.ca}, and show a certificate if client_ca asks for one", name, n, name))
		}
	}
	return all
}
