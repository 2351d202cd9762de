package testbed

import (
	"context"
	"net"
	"net/http"
)

// Client asks a target outside of the load, by HTTP/1.1, at the address that routes
// to it have; base is the beginning of its URLs. It follows no redirects, which could
// lead anywhere.
func (b *Testbed) Client(target string) (base string, client *http.Client) {
	addr, scheme := b.addrs[target].String(), "http"
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}
	if config := b.in.TLS[target]; config != nil {
		scheme = "https"
		transport.TLSClientConfig = config.Clone()
		transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	return urlOf(scheme, b.hosts[target]), &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
