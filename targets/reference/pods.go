package reference

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// connPool answers
//
//	/work      by one query over a connection of its pool
//	/healthz   by 200 once it has filled its pool and started; 503 before
//
// It fills its pool as it starts, as services do that want no caller to wait for a
// connection, and gives back what it does not need.
type connPool struct {
	settings *poolSettings
	conns    *pgxpool.Pool
	started  atomic.Bool
	end      context.CancelFunc
	filling  sync.WaitGroup
}

// poolSettings configure a pool.
type poolSettings struct {
	size  int
	warm  int           // connections that it opens as it starts
	idle  time.Duration // how long it keeps one that it does not need; 0 is for ever
	boot  time.Duration // how long it takes to start once its pool is filled
	waits time.Duration // for a connection
	query time.Duration // how long one query takes in the database
	flaw  string
}

var poolKeys = []key[poolSettings]{
	whole("size", "20", "", "most connections that it has to the database", 1, 1000,
		func(s *poolSettings) *int { return &s.size }),
	whole("warm", "20", "", "connections that it opens at once as it starts", 0, 1000,
		func(s *poolSettings) *int { return &s.warm }),
	wait("idle", "500ms", "", "how long it keeps a connection that it does not need", 10*time.Millisecond, orNone,
		func(s *poolSettings) *time.Duration { return &s.idle }),
	wait("boot", "0s", "", "how long it takes to be ready once its pool is filled", 0, never,
		func(s *poolSettings) *time.Duration { return &s.boot }),
	wait("waits", "1s", "", "how long a request waits for a connection", time.Millisecond, never,
		func(s *poolSettings) *time.Duration { return &s.waits }),
	wait("query", "0s", "", "how long a query takes in the database", 0, never,
		func(s *poolSettings) *time.Duration { return &s.query }),
	flawOf("makes it greedy in one way", func(s *poolSettings) *string { return &s.flaw }),
}

// poolFlaws are those of a pool.
var poolFlaws = []Flaw{
	{"no-idle-timeout", "pool", "connections", "keeps every connection that it has ever opened"},
}

func parsePool(with map[string]string) (*poolSettings, error) {
	s, err := parseFlawed("pool", poolKeys, poolFlaws, with)
	if err == nil && s.warm > s.size {
		err = fmt.Errorf("pool: warm %d: its size is %d", s.warm, s.size)
	}
	if err != nil {
		return nil, err
	}
	if s.flaw == "no-idle-timeout" {
		s.idle = 0
	}
	return s, nil
}

// poolService is the reference service pool.
func poolService() service {
	return configured(Description{
		Name: "pool", About: "asks a PostgreSQL for each request, over a pool of connections that it fills as it starts",
		Settings: describe(poolKeys), Flaws: slices.Clone(poolFlaws),
	}, parsePool, nil, func(life context.Context, s *poolSettings, c Config) (http.Handler, error) {
		return newConnPool(life, s, c.Deps)
	})
}

func newConnPool(life context.Context, s *poolSettings, deps map[string]string) (*connPool, error) {
	if len(deps) != 1 {
		return nil, errors.New("a pool has connections to one database: give it one link, with protocol: tcp")
	}
	p := &connPool{settings: s}
	life, p.end = context.WithCancel(life)
	for name, dep := range deps {
		base, err := parseDep(name, dep)
		if err != nil {
			return nil, err
		}
		config, err := pgxpool.ParseConfig("postgres://postgres@" + base.Host + "/postgres?sslmode=disable")
		if err != nil {
			return nil, err
		}
		config.MaxConns, config.MinConns = int32(s.size), 0
		config.MaxConnIdleTime, config.HealthCheckPeriod = s.idle, max(s.idle/4, 10*time.Millisecond)
		if s.idle == 0 {
			config.MaxConnIdleTime, config.HealthCheckPeriod = math.MaxInt64, time.Hour
		}
		// A pooler that gives each transaction another connection knows no prepared statements.
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
		if p.conns, err = pgxpool.NewWithConfig(life, config); err != nil {
			return nil, err
		}
	}
	p.filling.Go(func() { p.start(life) })
	return p, nil
}

// start fills the pool: it has all connections at once before it gives the first back.
// One that it does not get it does without.
func (p *connPool) start(life context.Context) {
	var opening sync.WaitGroup
	got := make([]*pgxpool.Conn, p.settings.warm)
	for i := range got {
		opening.Go(func() {
			var err error
			if got[i], err = p.conns.Acquire(life); err != nil {
				fmt.Fprintf(os.Stderr, "fill the pool: %v\n", err)
			}
		})
	}
	opening.Wait()
	for _, c := range got {
		if c != nil {
			c.Release()
		}
	}
	select {
	case <-time.After(p.settings.boot):
		p.started.Store(true)
	case <-life.Done():
	}
}

func (p *connPool) close() {
	p.end()
	p.filling.Wait()
	p.conns.Close()
}

func (p *connPool) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		if !p.started.Load() {
			http.Error(w, "it is starting", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ok\n")
	case "/work":
		if err := p.work(r.Context()); err != nil && r.Context().Err() == nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "done\n")
	default:
		http.Error(w, "there are /work and /healthz", http.StatusNotFound)
	}
}

// work asks the database for something.
func (p *connPool) work(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.settings.waits+p.settings.query)
	defer cancel()
	_, err := p.conns.Exec(ctx, fmt.Sprintf("select pg_sleep(%g)", p.settings.query.Seconds()))
	return err
}
