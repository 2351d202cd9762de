package load

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/load/poll"
	"github.com/stormctl/stormctl/load/wire"
)

const (
	defaultMaxConns = 1024
	defaultTimeout  = 10 * time.Second
)

// Shards is the number of event loops that Run uses for p, and so of the
// shards that Observe is called for: 0 to Shards(p)−1. There are never more
// than connections allowed, so that each loop may have one.
func Shards(p Plan) int {
	loops := p.Loops
	if p.Stripes.Of > 0 {
		return loops // as many as were dealt to it
	}
	if loops <= 0 {
		if loops = poll.Cores(); p.Closed != nil && beside(p.Routes) {
			loops = max(1, loops/2)
		}
	}
	return min(loops, maxConns(p))
}

// beside reports whether all routes lead to this machine. A closed model keeps its
// loops busy all the time, and who answers needs cores as well: as many, since a
// request costs a server about what it costs us (docs/load.md, How many event loops).
func beside(routes []Route) bool {
	for _, r := range routes {
		e, err := parseEndpoint(r.Addr)
		if err != nil || e.path == "" && !e.addr.Addr().Unmap().IsLoopback() {
			return false
		}
	}
	return true
}

func maxConns(p Plan) int {
	switch {
	case p.Closed != nil && p.Closed.Connections > 0:
		return p.Closed.Connections
	case p.Closed != nil || p.MaxConns <= 0:
		return defaultMaxConns
	default:
		return p.MaxConns
	}
}

// program is a Plan made ready to run: requests encoded, addresses parsed,
// defaults filled in. It is read-only and shared by all loops.
type program struct {
	Plan
	pick        picker
	routes      []preparedRequest
	endpoints   []endpoint      // different ones; a loop has a pool for each
	timeouts    []time.Duration // different ones; a loop has a timeoutList for each
	alpnConfigs []alpnConfig
	transport   func(*loop) (transport, error)
	shards      int
	end         time.Duration // when everything still unfinished is given up
	grace       time.Duration
	hasTLS      bool          // some endpoint has
	coalesce    bool          // see mayCoalesce
	ring        bool          // io_uring is the better transport, if it is to be had
	dialGap     time.Duration // between two dials of one loop; 0 means none
	over        atomic.Bool   // by Plan.Until
}

// preparedRequest is a request made ready: a route's, or that of one of its steps.
type preparedRequest struct {
	template       *wire.Template       // of HTTP/1.1
	streamTemplate *wire.StreamTemplate // of HTTP/2
	grpc           bool                 // over HTTP/2
	checks         *checks
	access         *access          // to data; nil if it has none
	next           *preparedRequest // the step that follows; nil if none does
	follow         *follower        // nil follows no redirects
	step           int
	after          time.Duration // see Step.After
	endpoint       int           // index into program.endpoints
	timeout        int           // index into program.timeouts
}

func prepare(p Plan) (*program, error) {
	if (p.Schedule == nil) == (p.Closed == nil) {
		return nil, errors.New("load: a plan needs a schedule or the closed model, and not both")
	}
	if len(p.Routes) == 0 {
		return nil, errors.New("load: plan has no routes")
	}
	if err := errors.Join(p.Stripes.check(p), p.Regions.check(len(p.Routes))); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	transport, err := transportOf(p.Transport)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	g := &program{Plan: p, transport: transport, shards: Shards(p), grace: p.Grace}
	longest := time.Duration(0)
	for i, r := range p.Routes {
		w, err := g.prepare(r, p)
		if err != nil {
			return nil, fmt.Errorf("load: route %d %q: %w", i, r.Name, err)
		}
		g.routes = append(g.routes, w)
		for step := &w; step != nil; step = step.next {
			longest = max(longest, g.timeouts[step.timeout])
		}
	}
	g.shareFields()
	if g.grace <= 0 {
		g.grace = longest
	}
	if p.DialRate > 0 {
		g.dialGap = time.Duration(float64(g.of()) / float64(p.DialRate) * 1e9)
	}
	last := p.Closed.end()
	if p.Closed == nil {
		last = p.Schedule.Duration()
	} else if len(g.endpoints) > 1 {
		return nil, errors.New("load: routes of the closed model go to one address, because its connections are kept busy")
	}
	g.end = last + min(g.grace, never-last)
	g.pick = pickerOf(p)
	g.coalesce = g.mayCoalesce()
	g.ring = !g.coalesce || g.Batch <= 0 && g.everBatching()
	return g, nil
}

// shareFields finds what the requests to each endpoint have in common.
func (g *program) shareFields() {
	for at := range g.endpoints {
		var templates []*wire.StreamTemplate
		for i := range g.routes {
			for step := &g.routes[i]; step != nil; step = step.next {
				if step.endpoint == at && step.streamTemplate != nil {
					templates = append(templates, step.streamTemplate)
				}
			}
		}
		wire.ShareFields(templates)
	}
}

func (g *program) prepare(r Route, p Plan) (preparedRequest, error) {
	if !(r.Weight >= 0 && r.Weight < 1e300) { // NaN too
		return preparedRequest{}, fmt.Errorf("weight %v is not a share", r.Weight)
	}
	e, err := parseEndpoint(r.Addr)
	if err == nil {
		e, err = e.with(r.Others)
	}
	if err != nil {
		return preparedRequest{}, err
	}
	if e.codec, err = r.codec(p); err != nil {
		return preparedRequest{}, err
	}
	if r.TLS != nil {
		if e.tls, err = g.tlsFor(r); err != nil {
			return preparedRequest{}, err
		}
		g.hasTLS = true
	}
	r.Host = unzoned(cmp.Or(r.Host, e.host()))
	w, err := g.prepareRequest(r, nil)
	if err != nil {
		return preparedRequest{}, err
	}
	w.endpoint = indexOf(&g.endpoints, e)
	if err = g.prepareSteps(&w, r); err == nil {
		err = g.prepareFollow(&w, r)
	}
	return w, err
}

// prepareRequest makes a request ready, but not where it goes. prev, if not nil,
// registers what is to be extracted from the response before.
func (g *program) prepareRequest(r Route, prev func(string) (int, error)) (w preparedRequest, err error) {
	if r.Timeout <= 0 {
		r.Timeout = defaultTimeout
	}
	fill := wire.Fill{Run: g.Run, Seed: g.Seed, Data: g.Data, Keys: g.Keys, Prev: prev}
	if r.isHTTP2() {
		w.grpc = r.Protocol == GRPC
		w.streamTemplate, err = r.encodeStream(g.IDHeader, fill)
	} else {
		w.template, err = wire.Encode(r.Method, r.Path, r.Host, r.Headers, r.Body, g.IDHeader, fill)
	}
	if err != nil {
		return preparedRequest{}, err
	}
	if w.checks, err = compile(r.Checks); err != nil {
		return preparedRequest{}, fmt.Errorf("check: %w", err)
	}
	if err := w.prepareAccess(r.Writes, r.Reads); err != nil {
		return preparedRequest{}, err
	}
	if w.access != nil && (g.Values == nil || r.Follow > 0) {
		return preparedRequest{}, errors.New("a route that writes or reads data needs Plan.Values, and follows no redirects")
	}
	w.timeout = indexOf(&g.timeouts, r.Timeout)
	return w, nil
}

// indexOf returns where v is in list, and appends it if it is not.
func indexOf[T comparable](list *[]T, v T) int {
	i := slices.Index(*list, v)
	if i < 0 {
		i = len(*list)
		*list = append(*list, v)
	}
	return i
}

// connsOf is how many connections per address loop k may have.
func (g *program) connsOf(k int) int { return share(maxConns(g.Plan), g.Stripes.First+k, g.of()) }

// queueOf is how many arrivals per address may queue in loop k.
func (g *program) queueOf(k int) int {
	switch {
	case g.MaxQueue < 0:
		return 0
	case g.MaxQueue == 0:
		return math.MaxInt
	default:
		return share(g.MaxQueue, g.Stripes.First+k, g.of())
	}
}

// clock counts from the start of the load, on the monotonic clock even if the
// start was given without one.
type clock struct {
	base   time.Time
	offset time.Duration // of base from the start
}

func newClock(start time.Time) clock {
	base := time.Now()
	return clock{base: base, offset: base.Sub(start)}
}

func (c clock) now() time.Duration { return c.offset + time.Since(c.base) }

// at is what the clock says at t, which time.Now has returned.
func (c clock) at(t time.Time) time.Duration { return c.offset + t.Sub(c.base) }
