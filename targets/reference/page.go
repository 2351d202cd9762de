package reference

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// page answers
//
//	/page      by what its dependencies have of items=N things
//	/healthz   by itself
//
// A sound page makes the same calls however many items there are: one for their
// list and, once that is there, side by side one for all of them and so many others
// as it is set to.
//
//	/list?items=N ─▶ ┬ /items?items=N
//	                 ├ /part/1
//	                 └ /part/2 ...
//
// The list and the items are asked of the first dependency by name, the parts of
// the others in turn. A page of which a call fails is 502, or 504 if that timed out.
type page struct {
	settings  *pageSettings
	bases     []*url.URL // of the dependencies, by their names
	call      http.RoundTripper
	transport *http.Transport
	hoard     hoard
}

// pageSettings configure a page.
type pageSettings struct {
	items    int // of a request that does not say how many
	calls    int // parts: beside the call for the list and the one for the items
	timeout  time.Duration
	idHeader string
	flaw     string
}

// mostItems bounds what one request can cause.
const mostItems = 1000

var pageKeys = []key[pageSettings]{
	whole("items", "10", "", "items of a page whose query does not say items=N", 0, mostItems,
		func(s *pageSettings) *int { return &s.items }),
	whole("calls", "4", "", "calls of a page beside the one for its list and the one for its items", 0, mostItems,
		func(s *pageSettings) *int { return &s.calls }),
	wait("timeout", "5s", "", "bound of one call, its whole answer included", time.Millisecond, orNone,
		func(s *pageSettings) *time.Duration { return &s.timeout }),
	header("id_header", "X-Request-Id", "header passed on to the dependencies; traceparent, X-Request-Id and Idempotency-Key always are",
		func(s *pageSettings) *string { return &s.idHeader }),
	flawOf("makes it chatty, or grow, in one way", func(s *pageSettings) *string { return &s.flaw }),
}

func parsePage(with map[string]string) (*pageSettings, error) {
	return parseFlawed("page", pageKeys, pageFlaws, with)
}

// pageService is the reference service page.
func pageService() service {
	return configured(Description{
		Name: "page", About: "makes the calls of a page for each request, as many for one item as for a thousand",
		Settings: describe(pageKeys), Flaws: slices.Clone(pageFlaws),
	}, parsePage, nil, func(_ context.Context, s *pageSettings, c Config) (http.Handler, error) {
		return newPage(s, c.Deps)
	})
}

func newPage(s *pageSettings, deps map[string]string) (*page, error) {
	if len(deps) == 0 {
		return nil, errors.New("a page calls its dependencies: give it a link to one, or make it a dependency")
	}
	p := &page{settings: s, transport: newTransport(s.timeout, "http1")}
	p.call = attempt{timeout: s.timeout, next: once{p.transport}}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(deps)) {
		base, err := parseDep(name, deps[name])
		p.bases, errs = append(p.bases, base), append(errs, err)
	}
	return p, errors.Join(errs...)
}

func (p *page) close() {
	p.transport.CloseIdleConnections()
	p.hoard.drop()
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		io.WriteString(w, "ok\n")
		return
	case "/page":
	default:
		http.Error(w, "there are /page and /healthz", http.StatusNotFound)
		return
	}
	items := p.settings.items
	if v := r.URL.Query().Get("items"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > mostItems {
			http.Error(w, fmt.Sprintf("items %.20q: must be a whole number from 0 to %d", v, mostItems), http.StatusBadRequest)
			return
		}
		items = n
	}
	if p.settings.flaw == "hoards" {
		p.hoard.keep()
	}
	err := p.compose(r, items)
	switch {
	case err == nil:
		fmt.Fprintf(w, "a page of %d items\n", items)
	case errors.Is(err, context.Canceled):
		// The caller has gone.
	case errors.Is(err, errTimeout):
		http.Error(w, err.Error(), http.StatusGatewayTimeout)
	default:
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

// compose makes the calls of one page.
func (p *page) compose(r *http.Request, items int) error {
	if err := p.get(r, ask{path: "/list", query: "items=" + strconv.Itoa(items)}, 0); err != nil {
		return err
	}
	rows := flawRows(p.settings.flaw, items, p.rows(items))
	errs := make([]error, len(rows))
	var all sync.WaitGroup
	for i, row := range rows {
		all.Go(func() {
			for _, c := range row {
				if errs[i] = p.get(r, c.ask, c.of); errs[i] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// pageCall is one call of a page, and which dependency it is of.
type pageCall struct {
	ask
	of int
}

// rows are the calls that follow the list: those of a row one after another, the
// rows side by side.
func (p *page) rows(items int) [][]pageCall {
	rows := [][]pageCall{{{ask{path: "/items", query: "items=" + strconv.Itoa(items)}, 0}}}
	for n := range p.settings.calls {
		of := 0
		if others := len(p.bases) - 1; others > 0 {
			of = 1 + n%others
		}
		rows = append(rows, []pageCall{{ask{path: "/part/" + strconv.Itoa(n+1)}, of}})
	}
	return rows
}

// get calls a dependency for a page.
func (p *page) get(r *http.Request, a ask, of int) error {
	target := p.bases[of].JoinPath(strings.TrimPrefix(a.path, "/"))
	target.RawQuery = a.query
	out := (&http.Request{
		Method: http.MethodGet, URL: target, Host: target.Host, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(r.Context())
	passOn(out.Header, r.Header, p.settings.idHeader)
	resp, err := p.call.RoundTrip(out)
	if err != nil {
		return fmt.Errorf("call %s: %w", target.Path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		return fmt.Errorf("call %s: status %d", target.Path, resp.StatusCode)
	}
	return nil
}
