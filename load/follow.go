package load

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/load/wire"
)

// follower is how a request is redirected, see Route.Follow.
//
//	request ──307, 308──▶ same ──307, 308──▶ same ...
//	   │                   │ 301, 302, 303
//	   └──301, 302, 303──▶ get ──────any───▶ get ...
type follower struct {
	most      int      // redirects in a row
	scheme    string   // of the route
	hosts     []string // its names, as origin has them
	path      *wire.Template
	get, same *preparedRequest
}

// redirects reports whether a status asks to send the request elsewhere.
func redirects(status int) bool {
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308
}

// prepareFollow makes the requests ready that follow a redirect of w.
func (g *program) prepareFollow(w *preparedRequest, r Route) (err error) {
	switch {
	case r.Follow == 0:
		return nil
	case r.Follow < 0:
		return fmt.Errorf("follow %d: it is a number of redirects", r.Follow)
	case r.Protocol == GRPC:
		return errors.New("follow: a gRPC call is not redirected")
	case len(r.Then) > 0:
		return errors.New("follow: a route with steps follows no redirects")
	}
	f := follower{most: r.Follow, scheme: "http"}
	if r.TLS != nil {
		f.scheme = "https"
	}
	f.hosts = []string{origin(f.scheme, r.Host)}
	for _, h := range r.Headers {
		if strings.EqualFold(h[0], "Host") {
			f.hosts = append(f.hosts, origin(f.scheme, h[1]))
		}
	}
	f.path, err = wire.Encode(r.Method, r.Path, r.Host, nil, r.Body, g.IDHeader, wire.Fill{Run: g.Run, Seed: g.Seed, Data: g.Data})
	if err != nil {
		return err
	}
	r.Path = "${prev.header:Location}"
	if f.same, err = g.redirected(r, w.endpoint); err != nil {
		return err
	}
	if r.Method != "HEAD" {
		r.Method = "GET"
	}
	r.Body = nil
	r.Headers = slices.DeleteFunc(slices.Clone(r.Headers), func(h [2]string) bool { // they are about the body
		return strings.HasPrefix(strings.ToLower(h[0]), "content-")
	})
	if f.get, err = g.redirected(r, w.endpoint); err != nil {
		return err
	}
	got := f
	got.same = f.get
	f.get.follow, f.same.follow = &got, &f
	w.looksForLocation()
	w.follow = &f
	return nil
}

// redirected is a request to where a redirect leads.
func (g *program) redirected(r Route, endpoint int) (*preparedRequest, error) {
	w, err := g.prepareRequest(r, func(string) (int, error) { return 0, nil })
	w.endpoint = endpoint
	w.looksForLocation()
	return &w, err
}

func (w *preparedRequest) looksForLocation() {
	if w.checks == nil {
		w.checks = &checks{}
	}
	w.checks.fields, w.checks.location = true, true
}

// origin is a host as it is compared: in lower case, and without the port that is the
// scheme's.
func origin(scheme, host string) string {
	host = strings.ToLower(host)
	if scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// follow sends an arrival to where its response redirects it, and reports false if that
// is nowhere it may go. Its time goes on.
func (l *loop) follow(e *exchange, status int) bool {
	f, before := e.prepared.follow, redirected{first: e.sent}
	from := ""
	if e.resend != nil && e.resend.redirects > 0 {
		before, from = e.resend.redirected, e.extracted[0]
	}
	if before.redirects == f.most {
		l.stats.unfollowed.add(fmt.Sprintf("it is redirect %d in a row, to %s", before.redirects+1, e.check.location))
		return false
	}
	if from == "" {
		from = f.pathOf(e.seq())
	}
	to, err := f.target(from, e.check.location)
	if err != nil {
		l.stats.unfollowed.add(err.Error())
		return false
	}
	next := f.same
	if status <= 303 {
		next = f.get
	}
	before.redirects++
	before.received += e.received
	c, a := e.conn, e.arrival
	a.resend = &resend{prepared: next, extracted: []string{to}, redirected: before}
	p := c.pool
	l.leave(e)
	count(&l.stats.followed)
	l.requeue(p, a, l.clock.now())
	l.release(c)
	return true
}

// pathOf is the path that the route's own request has asked for.
func (f *follower) pathOf(seq uint64) string {
	_, rest, _ := bytes.Cut(f.path.Append(nil, seq), []byte(" "))
	path, _, _ := bytes.Cut(rest, []byte(" "))
	return string(path)
}

// target is where a redirect of a request for from leads, as a request has it.
func (f *follower) target(from, location string) (string, error) {
	base, err := url.Parse(f.scheme + "://" + f.hosts[0] + from)
	if err != nil {
		return "", err
	}
	to, err := base.Parse(location)
	switch {
	case err != nil:
		return "", fmt.Errorf("the Location %q cannot be read", location)
	case to.Scheme != f.scheme:
		return "", fmt.Errorf("%s is not %s", location, f.scheme)
	case !slices.Contains(f.hosts, origin(to.Scheme, to.Host)):
		return "", fmt.Errorf("%s is on another host", location)
	}
	return to.RequestURI(), nil
}
