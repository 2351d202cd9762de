package api

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/stormctl/stormctl/chaos/guard"
)

// maxBody bounds what a request may send.
const maxBody = 1 << 20

// route is one thing that the API can be asked for. A segment in braces stands
// for any name.
type route struct {
	methods string // separated by spaces
	path    string
	changes bool // proxies or toxics
	handle  func(*Server, call) (answer, error)
}

var routes = []route{
	{"GET", "/version", false, (*Server).showVersion},
	{"GET", "/metrics", false, (*Server).showMetrics},
	{"POST", "/reset", true, (*Server).resetAll},
	{"POST", "/populate", true, (*Server).populateProxies},
	{"GET", "/proxies", false, (*Server).listProxies},
	{"POST", "/proxies", true, (*Server).createProxy},
	{"GET", "/proxies/{proxy}", false, (*Server).showProxy},
	{"POST PATCH", "/proxies/{proxy}", true, (*Server).updateProxy},
	{"DELETE", "/proxies/{proxy}", true, (*Server).deleteProxy},
	{"POST", "/proxies/{proxy}/reset", true, (*Server).resetProxy},
	{"GET", "/proxies/{proxy}/toxics", false, (*Server).listToxics},
	{"POST", "/proxies/{proxy}/toxics", true, (*Server).createToxic},
	{"GET", "/proxies/{proxy}/toxics/{toxic}", false, (*Server).showToxic},
	{"POST PATCH", "/proxies/{proxy}/toxics/{toxic}", true, (*Server).updateToxic},
	{"DELETE", "/proxies/{proxy}/toxics/{toxic}", true, (*Server).deleteToxic},
}

// ServeHTTP makes Server an http.Handler. A request without the token learns
// nothing, and neither does a web page in a browser, which could reach what
// listens on loopback only.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	guard.Headers(w.Header())
	w.Header().Set("Server", "stormctl")
	if !s.admit(w, r) {
		return
	}
	found, c, allowed := match(r)
	switch {
	case allowed == "":
		http.Error(w, "404 page not found", http.StatusNotFound)
		return
	case found == nil:
		w.Header().Set("Allow", allowed)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("X-Toxiproxy-Request-Id", strings.ToLower(rand.Text()[:20]))
	if refusal := s.guard.Page(r); refusal != nil {
		refusal.Answer(w)
		return
	}
	if found.changes {
		if err := s.begin(); err != nil {
			fail(w, asProblem(err))
			return
		}
		defer s.ops.Done()
	}
	c.ctx, c.body = r.Context(), http.MaxBytesReader(w, r.Body, maxBody)
	var a answer
	var err error
	if c.proxy != "" {
		c.entry, err = s.get(c.proxy)
	}
	if err == nil {
		a, err = found.handle(s, c)
	}
	if err != nil {
		fail(w, asProblem(err))
		return
	}
	a.write(w)
}

// match finds the route of a request; nil if there is none for its method.
// allowed is the methods that there are for its path; "" if there are none.
func match(r *http.Request) (found *route, c call, allowed string) {
	path := strings.Split(r.URL.EscapedPath(), "/")
	var methods []string
	for i := range routes {
		in, ok := capture(strings.Split(routes[i].path, "/"), path)
		if !ok {
			continue
		}
		for _, method := range strings.Fields(routes[i].methods) {
			methods = append(methods, method)
			if method == r.Method {
				found, c = &routes[i], in
			}
		}
	}
	return found, c, strings.Join(methods, ", ")
}

// capture matches a path with a pattern, segment by segment.
func capture(pattern, path []string) (c call, ok bool) {
	if len(pattern) != len(path) {
		return c, false
	}
	for i, want := range pattern {
		got, err := url.PathUnescape(path[i])
		if err != nil {
			return c, false
		}
		switch {
		case want == "{proxy}" && got != "":
			c.proxy = got
		case want == "{toxic}" && got != "":
			c.toxic = got
		case want != got:
			return c, false
		}
	}
	return c, true
}

func (a answer) write(w http.ResponseWriter) {
	body, typ := a.raw, a.typ
	if a.json != nil {
		var err error
		if body, err = json.Marshal(a.json); err != nil {
			fail(w, asProblem(err))
			return
		}
		typ = "application/json"
	}
	if typ != "" {
		w.Header().Set("Content-Type", typ)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // fails only if the client is gone
}

// fail answers a problem: as text/plain, as toxiproxy does.
func fail(w http.ResponseWriter, p *problem) {
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte(`{"error":"encode the error","status":500}`)
	}
	http.Error(w, string(body), p.Status)
}
