package reference

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// store answers
//
//	PUT  /kv/KEY      {"v": "VALUE"}            keeps a value
//	GET  /kv/KEY      {"v": "VALUE"}, or 404    what is kept
//	POST /entry/ID                              adds an entry
//	GET  /entries     {"count": N, "ids": [..]} all of them
//	/healthz                                    whether its database answers
//
// over a database that it reaches by its links: primary, where it writes, and replica,
// where it may read. A link that is its only one is primary, whatever its name: so there
// may be several stores. Of etcd and the sentinels of redis there is one link alone.
//
// A sound store answers 200 once its database has acknowledged what was asked of it, as
// far as it is set to wait for that, and 503 for whatever else becomes of it: whether it
// was done is then not known. It never sends a write twice.
type store struct {
	settings *storeSettings
	db       database
	replica  database // nil reads where it writes
	cache    *storeCache
	life     context.Context
	pending  sync.WaitGroup // of the flaw acks-before-store
}

// database is what keeps values and entries. Its methods may be called at once.
type database interface {
	put(ctx context.Context, key, value string) error
	get(ctx context.Context, key string) (value string, found bool, err error)
	add(ctx context.Context, id string) error
	all(ctx context.Context) ([]string, error)
	close()
}

// storeSettings configure a store.
type storeSettings struct {
	driver  string
	read    string
	cache   string
	ttl     time.Duration
	wait    int
	pool    int
	timeout time.Duration
	master  string
	user    string
	dbname  string
	flaw    string
}

var storeKeys = []key[storeSettings]{
	oneOf("driver", "redis", "what its links lead to; sentinel is redis by the sentinel that primary leads to, etcd its JSON gateway",
		[]string{"redis", "sentinel", "postgres", "etcd"}, func(s *storeSettings) *string { return &s.driver }),
	oneOf("read", "primary", "where values are read", []string{"primary", "replica"}, func(s *storeSettings) *string { return &s.read }),
	oneOf("cache", "none", "aside keeps what was read for ttl, and forgets what is written", []string{"none", "aside"},
		func(s *storeSettings) *string { return &s.cache }),
	wait("ttl", "1s", "cache", "how long a value is kept in the cache", time.Millisecond, never,
		func(s *storeSettings) *time.Duration { return &s.ttl }),
	whole("wait", "0", "", "replicas of redis that must have a write before it is acknowledged", 0, 10,
		func(s *storeSettings) *int { return &s.wait }),
	whole("pool", "32", "", "connections to each database at most", 1, 1000, func(s *storeSettings) *int { return &s.pool }),
	wait("timeout", "1s", "", "bound of one request, connecting included", time.Millisecond, never,
		func(s *storeSettings) *time.Duration { return &s.timeout }),
	text("master", "main", "of sentinel: the name that sentinels know the primary by", func(s *storeSettings) *string { return &s.master }),
	text("user", "postgres", "of postgres: the user", func(s *storeSettings) *string { return &s.user }),
	text("database", "postgres", "of postgres: the database, where it makes its tables",
		func(s *storeSettings) *string { return &s.dbname }),
	flawOf("makes it careless in one way", func(s *storeSettings) *string { return &s.flaw }),
}

// text is any word without white space.
func text[S any](name, def, meaning string, at func(*S) *string) key[S] {
	return key[S]{
		Setting: Setting{name, def, "a word", meaning},
		set: func(s *S, v string) error {
			if v == "" || len(strings.Fields(v)) != 1 {
				return errors.New("must be a word")
			}
			*at(s) = v
			return nil
		},
	}
}

func parseStore(with map[string]string) (*storeSettings, error) {
	s, err := parseFlawed("store", storeKeys, storeFlaws, with)
	if err != nil {
		return nil, err
	}
	return s, s.check()
}

// check tells which settings do not go together.
func (s *storeSettings) check() error {
	var errs []error
	refuse := func(wrong bool, text string) {
		if wrong {
			errs = append(errs, errors.New("store: "+text))
		}
	}
	redis := s.driver == "redis" || s.driver == "sentinel"
	refuse(s.wait > 0 && !redis, "wait: goes with driver redis or sentinel only")
	refuse(s.flaw == "never-invalidates" && s.cache == "none", "flaw never-invalidates: there is no cache: set cache to aside")
	refuse(s.flaw == "async-commit" && s.driver != "postgres", "flaw async-commit: goes with driver postgres only")
	refuse(s.flaw == "serializable" && s.driver != "etcd", "flaw serializable: goes with driver etcd only")
	refuse(s.flaw == "no-wait" && s.wait == 0, "flaw no-wait: there is nothing to wait for: set wait to 1")
	refuse(s.read == "replica" && s.driver != "redis" && s.driver != "postgres", "read: "+s.driver+" has no link replica")
	return errors.Join(errs...)
}

// storeService is the reference service store.
func storeService() service {
	return configured(Description{
		Name: "store", About: "keeps values and entries in redis, PostgreSQL or etcd, and reads them where it is told to",
		Settings: describe(storeKeys), Flaws: slices.Clone(storeFlaws),
	}, parseStore, nil, func(life context.Context, s *storeSettings, c Config) (http.Handler, error) {
		return newStore(life, s, c.Deps)
	})
}

func newStore(life context.Context, s *storeSettings, deps map[string]string) (*store, error) {
	primary, err := storeDep(deps, "primary")
	if err != nil {
		return nil, err
	}
	st := &store{settings: s, life: life}
	if st.db, err = openDatabase(life, s, primary); err != nil {
		return nil, err
	}
	if s.read == "replica" || s.flaw == "reads-replica" {
		replica, err := storeDep(deps, "replica")
		if err == nil {
			st.replica, err = openDatabase(life, s, replica)
		}
		if err != nil {
			st.db.close()
			return nil, err
		}
	}
	if s.cache == "aside" {
		st.cache = &storeCache{ttl: s.ttl, kept: map[string]cached{}}
		if s.flaw == "never-invalidates" {
			st.cache.ttl = 1000 * time.Hour
		}
	}
	return st, nil
}

// storeDep is the host:port of a dependency.
func storeDep(deps map[string]string, name string) (string, error) {
	base, ok := deps[name]
	if name == "primary" && len(deps) == 1 {
		for only, at := range deps {
			base, ok = at, only != "replica"
		}
	}
	if !ok {
		return "", fmt.Errorf("a store needs a link %s: links: {%s: {from: STORE, to: DATABASE, protocol: tcp}}", name, name)
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("dependency %s: %q is not a URL", name, base)
	}
	return u.Host, nil
}

func openDatabase(life context.Context, s *storeSettings, addr string) (database, error) {
	switch s.driver {
	case "postgres":
		return openPostgres(life, s, addr)
	case "etcd":
		return openEtcd(s, addr), nil
	}
	return openRedis(s, addr), nil
}

func (s *store) close() {
	s.pending.Wait()
	s.db.close()
	if s.replica != nil {
		s.replica.close()
	}
}

// maxValue bounds what one request may carry.
const maxValue = 64 << 10

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), s.settings.timeout)
	defer cancel()
	key, ofKey := strings.CutPrefix(r.URL.Path, "/kv/")
	id, ofEntry := strings.CutPrefix(r.URL.Path, "/entry/")
	switch {
	case ofKey && key != "" && r.Method == http.MethodGet:
		s.serveGet(ctx, w, key)
	case ofKey && key != "" && r.Method == http.MethodPut:
		s.servePut(ctx, w, r, key)
	case ofEntry && id != "" && r.Method == http.MethodPost:
		s.answer(w, s.write(ctx, func(ctx context.Context) error { return s.db.add(ctx, id) }), map[string]any{"id": id})
	case r.URL.Path == "/entries" && r.Method == http.MethodGet:
		ids, err := s.db.all(r.Context()) // it may take longer than a request
		if ids == nil {
			ids = []string{}
		}
		s.answer(w, err, map[string]any{"count": len(ids), "ids": ids})
	case r.URL.Path == "/healthz":
		_, _, err := s.db.get(ctx, "health")
		s.answer(w, err, map[string]any{})
	default:
		http.Error(w, "there are GET and PUT /kv/KEY, POST /entry/ID, GET /entries and /healthz", http.StatusNotFound)
	}
}

func (s *store) serveGet(ctx context.Context, w http.ResponseWriter, key string) {
	value, found := s.cache.get(key)
	if !found {
		db := s.db
		if s.replica != nil {
			db = s.replica
		}
		began := time.Now()
		var err error
		if value, found, err = db.get(ctx, key); err != nil {
			s.answer(w, err, nil)
			return
		}
		if found {
			s.cache.put(key, value, began)
		}
	}
	if !found {
		http.Error(w, "nothing is kept there", http.StatusNotFound)
		return
	}
	s.answer(w, nil, map[string]any{"v": value})
}

func (s *store) servePut(ctx context.Context, w http.ResponseWriter, r *http.Request, key string) {
	var body struct {
		V string `json:"v"`
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, maxValue))
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil {
		http.Error(w, `the body must be {"v": "VALUE"}`, http.StatusBadRequest)
		return
	}
	s.cache.lock(key)
	err = s.write(ctx, func(ctx context.Context) error { return s.db.put(ctx, key, body.V) })
	if s.settings.flaw == "never-invalidates" {
		s.cache.unlock(key)
	} else {
		s.cache.forget(key)
	}
	s.answer(w, err, map[string]any{"v": body.V})
}

// write does what is to be acknowledged.
func (s *store) write(ctx context.Context, do func(context.Context) error) error {
	if s.settings.flaw != "acks-before-store" {
		return do(ctx)
	}
	s.pending.Go(func() {
		ctx, cancel := context.WithTimeout(s.life, s.settings.timeout)
		defer cancel()
		_ = do(ctx) // nobody learns of it, which is the flaw
	})
	return nil
}

func (s *store) answer(w http.ResponseWriter, err error, body map[string]any) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // the caller has gone if it fails
}

// storeCache keeps what was read, beside the database. What is being written is not
// kept meanwhile: a read that began before a write could bring its old value back.
type storeCache struct {
	ttl  time.Duration
	mu   sync.Mutex
	kept map[string]cached
}

type cached struct {
	value   string
	until   time.Time // it is kept; zero is not
	writing int       // how many writes of it are under way
	written time.Time // when the last one had ended
}

func (c *storeCache) get(key string) (string, bool) {
	if c == nil {
		return "", false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.kept[key]
	return k.value, k.until.After(time.Now())
}

// put keeps what a read that began then has found.
func (c *storeCache) put(key, value string, began time.Time) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.kept[key]; k.writing == 0 && !k.written.After(began) {
		k.value, k.until = value, time.Now().Add(c.ttl)
		c.kept[key] = k
	}
}

// lock keeps a key from being kept until it is unlocked or forgotten.
func (c *storeCache) lock(key string) { c.change(key, +1, false) }

func (c *storeCache) unlock(key string) { c.change(key, -1, false) }

func (c *storeCache) forget(key string) { c.change(key, -1, true) }

func (c *storeCache) change(key string, writing int, forget bool) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.kept[key]
	k.writing += writing
	if forget {
		k.until, k.written = time.Time{}, time.Now()
	}
	c.kept[key] = k
}

// storeFlaws are those of a store.
var storeFlaws = []Flaw{
	{"reads-replica", "read", "linearizable", "reads values from the replica"},
	{"never-invalidates", "cache", "fresh", "keeps a cached value for ever, also one that was written since"},
	{"acks-before-store", "store", "durable", "acknowledges a write before its database has"},
	{"async-commit", "store", "durable", "has PostgreSQL acknowledge writes before they are on disk (synchronous_commit off)"},
	{"no-wait", "store", "durable", "does not wait for replicas"},
	{"serializable", "read", "linearizable", "reads from the node it asks alone (etcd: serializable)"},
}
