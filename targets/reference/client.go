package reference

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// client calls one dependency for consumers and sagas, which must know of each call whether it had an effect.
type client struct {
	base      *url.URL
	call      http.RoundTripper
	transport *http.Transport
}

// outcomeOfCall is what is known of a call.
type outcomeOfCall uint8

const (
	tookEffect outcomeOfCall = iota // 2xx
	refusedIt                       // 4xx: nothing was done
	inDoubt                         // all else: it may have been done
)

func newClient(name string, deps map[string]string, timeout time.Duration) (*client, error) {
	base, err := parseDep(name, deps[name])
	if err != nil {
		return nil, err
	}
	c := &client{base: base, transport: newTransport(timeout, "http1")}
	c.call = attempt{timeout: timeout, next: once{c.transport}}
	return c, nil
}

func (c *client) close() { c.transport.CloseIdleConnections() }

func (c *client) request(ctx context.Context, method, path, id, trace string) *http.Request {
	target := c.base.JoinPath(path)
	r := (&http.Request{
		Method: method, URL: target, Host: target.Host, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	if id != "" {
		r.Header.Set(idHeader, id)
	}
	if trace != "" {
		r.Header.Set(traceHeader, trace)
	}
	return r
}

// do makes a call with an effect, once. Id "" sends none.
func (c *client) do(ctx context.Context, method, path, id, trace string) outcomeOfCall {
	resp, err := c.call.RoundTrip(c.request(ctx, method, path, id, trace))
	if err != nil {
		return inDoubt
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 500:
		return inDoubt
	case resp.StatusCode >= 400:
		return refusedIt
	}
	return tookEffect
}

// ask reads what the dependency says of something into answer, which is for JSON. It has no effect.
func (c *client) ask(ctx context.Context, path string, answer any) error {
	resp, err := c.call.RoundTrip(c.request(ctx, http.MethodGet, path, "", ""))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s: status %d", path, resp.StatusCode)
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}
