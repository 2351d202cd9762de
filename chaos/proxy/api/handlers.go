package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// toxiproxyVersion is the version whose API this is; its clients ask for it.
const toxiproxyVersion = "2.12.0"

// call is one request to the API.
type call struct {
	ctx   context.Context
	proxy string // name in the path, if it has one
	entry *entry // of that proxy
	toxic string
	body  io.Reader
}

// answer is what a call comes to: a body to be encoded, raw bytes, or neither.
type answer struct {
	status int
	json   any
	raw    []byte
	typ    string // of raw
}

// read decodes the first JSON value of the body; what follows is ignored, as
// are unknown keys, because toxiproxy's clients send more than it reads.
func (c call) read(into any) error {
	if err := json.NewDecoder(c.body).Decode(into); err != nil {
		return badBody(err)
	}
	return nil
}

func (s *Server) showVersion(call) (answer, error) {
	return answer{status: http.StatusOK, raw: []byte(`{"version": "` + toxiproxyVersion + "\"}\n"), typ: "application/json;charset=utf-8"},
		nil
}

func (s *Server) showMetrics(call) (answer, error) {
	return answer{status: http.StatusOK, raw: s.metrics(), typ: "text/plain; version=0.0.4; charset=utf-8"}, nil
}

func (s *Server) listProxies(call) (answer, error) {
	views := map[string]proxyView{}
	for _, e := range s.shown() {
		views[e.name] = e.view()
	}
	return answer{status: http.StatusOK, json: views}, nil
}

func (s *Server) createProxy(c call) (answer, error) {
	var in proxyInput
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	v, err := s.create(c.ctx, in)
	return answer{status: http.StatusCreated, json: v}, err
}

// populateProxies answers the proxies that were made even if it failed.
func (s *Server) populateProxies(c call) (answer, error) {
	var in []proxyInput
	var views []proxyView
	err := c.read(&in)
	if err == nil {
		views, err = s.populate(c.ctx, in)
	}
	body := struct {
		*problem
		Proxies []proxyView `json:"proxies"`
	}{Proxies: views}
	status := http.StatusCreated
	if err != nil {
		body.problem = asProblem(err)
		status = body.Status
	}
	return answer{status: status, json: body}, nil
}

func (s *Server) showProxy(c call) (answer, error) {
	return answer{status: http.StatusOK, json: c.entry.view()}, nil
}

func (s *Server) updateProxy(c call) (answer, error) {
	var in proxyInput
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	v, err := s.update(c.ctx, c.entry, in)
	return answer{status: http.StatusOK, json: v}, err
}

func (s *Server) deleteProxy(c call) (answer, error) {
	return answer{status: http.StatusNoContent}, c.entry.change(func() error { c.entry.delete(); return nil })
}

func (s *Server) resetProxy(c call) (answer, error) {
	return answer{status: http.StatusNoContent}, s.reset(c.ctx, c.entry)
}

// resetAll resets every proxy, whatever becomes of the others, and tells of the
// first that cannot be started.
func (s *Server) resetAll(c call) (answer, error) {
	var first error
	for _, e := range s.shown() {
		if err := s.reset(c.ctx, e); err != nil && !errors.Is(err, errProxyNotFound) {
			first = cmp.Or(first, err)
		}
	}
	return answer{status: http.StatusNoContent}, first
}

func (s *Server) listToxics(c call) (answer, error) {
	return answer{status: http.StatusOK, json: c.entry.view().Toxics}, nil
}

func (s *Server) createToxic(c call) (answer, error) {
	var in toxicInput
	if err := c.read(&in); err != nil {
		return answer{}, err
	}
	var v toxicView
	err := c.entry.change(func() error {
		t, err := newToxic(c.entry.protocol, in)
		if err != nil {
			return err
		}
		if err := c.entry.add(t, in.TTL); err != nil {
			return err
		}
		v = t.view()
		return nil
	})
	return answer{status: http.StatusOK, json: v}, err
}

func (s *Server) showToxic(c call) (answer, error) {
	for _, v := range c.entry.view().Toxics {
		if v.Name == c.toxic {
			return answer{status: http.StatusOK, json: v}, nil
		}
	}
	return answer{}, errToxicNotFound
}

func (s *Server) updateToxic(c call) (answer, error) {
	e := c.entry // a lease that it begins must not keep the request
	var in toxicInput
	readErr := c.read(&in)
	var v toxicView
	err := e.change(func() error {
		t := e.toxic(c.toxic)
		if t == nil {
			return errToxicNotFound
		}
		if readErr != nil {
			return readErr
		}
		u, err := t.updated(e.protocol, in)
		if err != nil {
			return err
		}
		u.lease = s.renewed(t.lease, in.TTL, func(l *lease) { e.expire(t.name, l) })
		v = u.view()
		return e.replace(t, u)
	})
	return answer{status: http.StatusOK, json: v}, err
}

func (s *Server) deleteToxic(c call) (answer, error) {
	return answer{status: http.StatusNoContent}, c.entry.change(func() error {
		t := c.entry.toxic(c.toxic)
		if t == nil {
			return errToxicNotFound
		}
		c.entry.drop(t)
		return nil
	})
}
