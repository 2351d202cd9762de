package reference

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// cache answers
//
//	/value/KEY   by what redis has of it, or else by what its origin answers, which redis then keeps for ttl
//	/healthz     by itself
//
// One of its links leads to redis, the other to the origin:
//
//	/value/KEY ─▶ redis ── a hit ──▶ answered
//	                └──── a miss ──▶ origin ──▶ redis ──▶ answered
//
// What it fills by says who goes to the origin when many miss at once.
type cache struct {
	settings  *cacheSettings
	redis     *redis.Client
	origin    *url.URL
	call      http.RoundTripper
	transport *http.Transport

	mu      sync.Mutex
	filling map[string]*filled // by key, while somebody is at it; used by coalesce
}

// filled is one fetch that several wait for.
type filled struct {
	done  chan struct{} // closed when the rest is set
	value string
	err   error
}

// cacheSettings configure a cache.
type cacheSettings struct {
	store   string
	fill    string
	ttl     time.Duration
	beta    float64
	timeout time.Duration
	flaw    string
}

var cacheKeys = []key[cacheSettings]{
	{
		Setting: Setting{Name: "store", Default: "redis", Values: "name of a link",
			Meaning: "the link to redis, with protocol: tcp; the other leads to the origin"},
		set: func(s *cacheSettings, v string) error { s.store = v; return nil },
	},
	oneOf("fill", "coalesce", "what a miss does: aside goes to the origin by itself; coalesce waits for the one that went already; "+
		"xfetch goes by itself, and now and then before the value expires (Vattani and others, VLDB 2015)",
		[]string{"coalesce", "aside", "xfetch"},
		func(s *cacheSettings) *string { return &s.fill }),
	wait("ttl", "2s", "", "how long a value is kept", time.Millisecond, never,
		func(s *cacheSettings) *time.Duration { return &s.ttl }),
	number("beta", "1", "", "with xfetch: more than 1 goes earlier", 1, 100,
		func(s *cacheSettings) *float64 { return &s.beta }),
	wait("timeout", "2s", "", "bound of a call to redis, and of one to the origin", time.Millisecond, never,
		func(s *cacheSettings) *time.Duration { return &s.timeout }),
	flawOf("lets all through that miss at once", func(s *cacheSettings) *string { return &s.flaw }),
}

// cacheFlaws are those of a cache.
var cacheFlaws = []Flaw{
	{"stampedes", "cache", "stampede", "has every caller who misses fetch for himself, whatever fill says; the same as fill: aside"},
}

func parseCache(with map[string]string) (*cacheSettings, error) {
	s, err := parseFlawed("cache", cacheKeys, cacheFlaws, with)
	if err != nil {
		return nil, err
	}
	if s.flaw == "stampedes" {
		s.fill = "aside"
	}
	return s, nil
}

// cacheService is the reference service cache.
func cacheService() service {
	return configured(Description{
		Name: "cache", About: "answers from redis, and fills that from its origin",
		Settings: describe(cacheKeys), Flaws: slices.Clone(cacheFlaws),
	}, parseCache, nil, func(_ context.Context, s *cacheSettings, c Config) (http.Handler, error) {
		return newCache(s, c.Deps)
	})
}

func newCache(s *cacheSettings, deps map[string]string) (*cache, error) {
	if _, ok := deps[s.store]; !ok || len(deps) != 2 {
		return nil, fmt.Errorf("a cache has two links: %s to redis, and one to its origin", s.store)
	}
	c := &cache{settings: s, filling: map[string]*filled{}, transport: newTransport(s.timeout, "http1")}
	c.call = attempt{timeout: s.timeout, next: once{c.transport}}
	for name, dep := range deps {
		base, err := parseDep(name, dep)
		if err != nil {
			return nil, err
		}
		if name != s.store {
			c.origin = base
			continue
		}
		c.redis = redis.NewClient(&redis.Options{Addr: base.Host, MaxRetries: -1,
			DialTimeout: s.timeout, ReadTimeout: s.timeout, WriteTimeout: s.timeout, DisableIdentity: true})
	}
	return c, nil
}

func (c *cache) close() {
	c.transport.CloseIdleConnections()
	_ = c.redis.Close() // nothing is under way any more
}

func (c *cache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, isValue := strings.CutPrefix(r.URL.Path, "/value/")
	switch {
	case r.URL.Path == "/healthz":
		io.WriteString(w, "ok\n")
		return
	case !isValue || key == "":
		http.Error(w, "there are /value/KEY and /healthz", http.StatusNotFound)
		return
	}
	value, err := c.get(r, key)
	switch {
	case err == nil:
		io.WriteString(w, value)
	case errors.Is(err, context.Canceled):
		// The caller has gone.
	default:
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

// entry is what redis keeps.
type entry struct {
	Value   string
	Took    time.Duration // the fetch
	Expires time.Time
}

// early reports whether the value is to be fetched although it has not expired: the
// more likely the sooner it does, and the longer a fetch takes.
func (e entry) early(beta float64, now time.Time) bool {
	ahead := time.Duration(-float64(e.Took) * beta * math.Log(1-rand.Float64()))
	return !now.Add(ahead).Before(e.Expires)
}

func (c *cache) get(r *http.Request, key string) (string, error) {
	text, err := c.redis.Get(r.Context(), key).Bytes()
	var e entry
	switch {
	case errors.Is(err, redis.Nil):
		return c.miss(r, key)
	case err != nil:
		return "", fmt.Errorf("redis: %w", err)
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return "", fmt.Errorf("redis has something else of %s: %w", key, err)
	}
	if c.settings.fill == "xfetch" && e.early(c.settings.beta, time.Now()) {
		return c.fetch(r, key)
	}
	return e.Value, nil
}

// miss gets a value that is not there.
func (c *cache) miss(r *http.Request, key string) (string, error) {
	if c.settings.fill != "coalesce" {
		return c.fetch(r, key)
	}
	c.mu.Lock()
	f := c.filling[key]
	first := f == nil
	if first {
		f = &filled{done: make(chan struct{})}
		c.filling[key] = f
	}
	c.mu.Unlock()
	if !first {
		select {
		case <-f.done:
			return f.value, f.err
		case <-r.Context().Done():
			return "", r.Context().Err()
		}
	}
	// Somebody may have filled it between our look and our turn.
	f.value, f.err = c.again(r, key)
	c.mu.Lock()
	delete(c.filling, key)
	c.mu.Unlock()
	close(f.done)
	return f.value, f.err
}

// again looks once more, and fetches what is still not there. Others wait for it, so
// that it goes on when its caller has gone.
func (c *cache) again(r *http.Request, key string) (string, error) {
	r = r.WithContext(context.WithoutCancel(r.Context()))
	text, err := c.redis.Get(r.Context(), key).Bytes()
	var e entry
	if err == nil && json.Unmarshal(text, &e) == nil {
		return e.Value, nil
	}
	return c.fetch(r, key)
}

// fetch gets a value from the origin, and has redis keep it.
func (c *cache) fetch(r *http.Request, key string) (string, error) {
	began := time.Now()
	target := c.origin.JoinPath("value", key)
	out := (&http.Request{
		Method: http.MethodGet, URL: target, Host: target.Host, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(r.Context())
	passOn(out.Header, r.Header, "X-Request-Id")
	resp, err := c.call.RoundTrip(out)
	if err != nil {
		return "", fmt.Errorf("origin: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		return "", fmt.Errorf("origin: status %d", resp.StatusCode)
	}
	now := time.Now()
	e := entry{Value: "value of " + key + "\n", Took: now.Sub(began), Expires: now.Add(c.settings.ttl)}
	text, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	if err := c.redis.Set(r.Context(), key, text, c.settings.ttl).Err(); err != nil {
		return "", fmt.Errorf("redis: %w", err)
	}
	return e.Value, nil
}
