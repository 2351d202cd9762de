package load

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"

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
	if loops <= 0 {
		loops = runtime.GOMAXPROCS(0)
	}
	return min(loops, maxConns(p))
}

func maxConns(p Plan) int {
	if p.MaxConns <= 0 {
		return defaultMaxConns
	}
	return p.MaxConns
}

// program is a Plan made ready to run: requests encoded, addresses parsed,
// defaults filled in. It is read-only and shared by all loops.
type program struct {
	schedule Schedule
	pick     picker
	routes   []way
	addrs    []netip.AddrPort // different addresses; a loop has a pool for each
	timeouts []time.Duration  // different timeouts; a loop has a line for each
	shards   int
	maxConns int           // per address, over all loops
	end      time.Duration // when everything still unfinished is given up
	grace    time.Duration
}

// way is a route made ready.
type way struct {
	request *wire.Template
	addr    int // index into program.addrs
	timeout int // index into program.timeouts
}

func prepare(p Plan) (*program, error) {
	if p.Schedule == nil {
		return nil, errors.New("load: plan has no schedule")
	}
	if len(p.Routes) == 0 {
		return nil, errors.New("load: plan has no routes")
	}
	g := &program{schedule: p.Schedule, shards: Shards(p), maxConns: maxConns(p), grace: p.Grace}
	longest := time.Duration(0)
	for i, r := range p.Routes {
		w, err := g.prepare(r, p)
		if err != nil {
			return nil, fmt.Errorf("load: route %d %q: %w", i, r.Name, err)
		}
		g.routes = append(g.routes, w)
		longest = max(longest, g.timeouts[w.timeout])
	}
	if g.grace <= 0 {
		g.grace = longest
	}
	g.end = p.Schedule.Duration() + g.grace
	g.pick = newPicker(p.Seed, p.Routes)
	return g, nil
}

func (g *program) prepare(r Route, p Plan) (way, error) {
	if !(r.Weight >= 0 && r.Weight < 1e300) { // NaN too
		return way{}, fmt.Errorf("weight %v is not a share", r.Weight)
	}
	addr, err := netip.ParseAddrPort(r.Addr)
	if err != nil {
		return way{}, fmt.Errorf("address %q is not ip:port: %w", r.Addr, err)
	}
	host := r.Host
	if host == "" {
		host = r.Addr
	}
	request, err := wire.Encode(r.Method, r.Path, host, r.Headers, r.Body, p.IDHeader, p.Run)
	if err != nil {
		return way{}, err
	}
	timeout := r.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return way{request: request, addr: indexOf(&g.addrs, addr), timeout: indexOf(&g.timeouts, timeout)}, nil
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
func (g *program) connsOf(k int) int {
	return g.maxConns*(k+1)/g.shards - g.maxConns*k/g.shards
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
