package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/proxy"
)

// proxyInput is a proxy as it is asked for, and what an update of one says.
// What is absent, or null, has a default or stays as it is.
type proxyInput struct {
	Name     *string      `json:"name"`
	Listen   *string      `json:"listen"`
	Upstream *string      `json:"upstream"`
	Enabled  *bool        `json:"enabled"`
	Protocol *string      `json:"protocol"`
	TTL      *ttl         `json:"ttl"`
	Toxics   []toxicInput `json:"toxics"` // in force from the first byte on; not for updates
}

// checked is a proxyInput that has been checked as far as that is possible
// without making it: the slow part, done before any lock is taken.
type checked struct {
	name string
	settings
	enabled bool
	lasts   *ttl
	toxics  []*proxyToxic
	lease   []*ttl // of each toxic
}

// check checks what a new proxy is asked to be. where is put behind the name of
// a missing field.
func (s *Server) check(ctx context.Context, in proxyInput, where string) (checked, error) {
	c := checked{enabled: true, lasts: in.TTL, settings: settings{protocol: tcp}}
	set(&c.name, in.Name)
	set(&c.listen, in.Listen)
	set(&c.upstream, in.Upstream)
	set(&c.enabled, in.Enabled)
	set(&c.protocol, in.Protocol)
	switch {
	case c.name == "":
		return c, missingField("name" + where)
	case c.upstream == "":
		return c, missingField("upstream" + where)
	case !slices.Contains(protocols, c.protocol):
		return c, badRequest("protocol %q is not one of %s", c.protocol, strings.Join(protocols, ", "))
	case len(in.Toxics) > maxToxics:
		return c, errTooManyToxics
	}
	for i, t := range in.Toxics {
		made, err := newToxic(c.protocol, t)
		if err != nil {
			return c, err
		}
		if slices.ContainsFunc(c.toxics, func(t *proxyToxic) bool { return t.name == made.name }) {
			return c, errToxicExists
		}
		made.index = i
		c.toxics, c.lease = append(c.toxics, made), append(c.lease, t.TTL)
	}
	return c, s.allow.checkUpstream(ctx, c.upstream)
}

// create makes a proxy. If it cannot be started there is none.
func (s *Server) create(ctx context.Context, in proxyInput) (proxyView, error) {
	c, err := s.check(ctx, in, "")
	if err != nil {
		return proxyView{}, err
	}
	return s.make(ctx, c)
}

func (s *Server) make(ctx context.Context, c checked) (proxyView, error) {
	if c.enabled { // otherwise it stays as it was written until it is
		at, err := s.allow.listenAt(ctx, c.listen)
		var known *problem
		switch {
		case errors.As(err, &known):
			return proxyView{}, err
		case err != nil:
			return proxyView{}, &problem{"listen tcp: " + err.Error(), http.StatusInternalServerError}
		}
		c.listen = at
	}
	e := &entry{server: s, name: c.name}
	e.ops.Lock()
	defer e.ops.Unlock()
	if err := s.claim(e); err != nil {
		return proxyView{}, err
	}
	if err := e.become(c); err != nil {
		e.delete()
		return proxyView{}, err
	}
	return e.view(), nil
}

// populate makes proxies as a list says. One that is there with the same
// settings stays as it is, one with others is replaced. Nothing is done unless
// all of the list can be meant; it ends at the first that cannot be started,
// and returns those before.
func (s *Server) populate(ctx context.Context, in []proxyInput) ([]proxyView, error) {
	var all []checked
	for i := range in {
		c, err := s.check(ctx, in[i], fmt.Sprintf(" at proxy %d", i+1))
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	var views []proxyView
	for _, c := range all {
		v, err := s.makeOrReplace(ctx, c)
		if err != nil {
			return views, err
		}
		views = append(views, v)
	}
	return views, nil
}

func (s *Server) makeOrReplace(ctx context.Context, c checked) (v proxyView, err error) {
	e := s.lookup(c.name)
	if e == nil {
		return s.make(ctx, c)
	}
	at, err := s.allow.listenAt(ctx, c.listen)
	if err != nil {
		return v, err
	}
	err = e.change(func() error {
		if e.listen != at || e.upstream != c.upstream || e.protocol != c.protocol {
			if c.enabled {
				c.listen = at
			}
			if err := e.become(c); err != nil {
				return err
			}
		}
		v = e.view()
		return nil
	})
	if errors.Is(err, errProxyNotFound) { // it was being deleted
		return s.make(ctx, c)
	}
	return v, err
}

// update changes what is said; the rest stays. If the change cannot be made, all
// of it stays.
func (s *Server) update(ctx context.Context, e *entry, in proxyInput) (v proxyView, err error) {
	listen := ""
	if in.Listen != nil {
		if listen, err = s.allow.listenAt(ctx, *in.Listen); err != nil {
			return v, err
		}
	}
	if in.Upstream != nil {
		if err := s.allow.checkUpstream(ctx, *in.Upstream); err != nil {
			return v, err
		}
	}
	err = e.change(func() error {
		if in.Protocol != nil && *in.Protocol != e.protocol {
			return badRequest("the protocol of a proxy cannot change: delete it and create it anew")
		}
		to, enabled := e.settings, e.relay != nil
		if in.Listen != nil && listen != e.listen {
			to.listen = *in.Listen
		}
		set(&to.upstream, in.Upstream)
		set(&enabled, in.Enabled)
		var r proxy.Relay
		switch {
		case !enabled:
			e.stop()
		case e.relay == nil || e.settings != to:
			if to.listen, err = s.allow.listenAt(ctx, to.listen); err != nil {
				return err
			}
			if r, err = e.swap(to, e.toxics); err != nil {
				return err
			}
			to.listen = r.Addr()
		default:
			r = e.relay
		}
		lasts := s.renewed(e.lease, in.TTL, func(l *lease) { e.expire("", l) })
		e.mu.Lock()
		e.settings, e.lease, e.relay = to, lasts, r
		e.mu.Unlock()
		v = e.view()
		return nil
	})
	return v, err
}

// reset enables a proxy and takes all its toxics out, even if it cannot be
// started. What is open stays open.
func (s *Server) reset(ctx context.Context, e *entry) error {
	return e.change(func() error {
		e.dropAll()
		return e.start(ctx)
	})
}
