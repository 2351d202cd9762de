package reference

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// postgresStore keeps values and entries in a table each, which it makes.
type postgresStore struct {
	pool *pgxpool.Pool
	made sync.Mutex
	done bool // the tables are there
}

// openPostgres does not connect yet: that is done when it is needed, and again when a
// connection was lost.
func openPostgres(ctx context.Context, s *storeSettings, addr string) (*postgresStore, error) {
	config, err := pgxpool.ParseConfig(fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable&pool_max_conns=%d", s.user, addr, s.dbname, s.pool))
	if err != nil {
		return nil, err
	}
	config.ConnConfig.ConnectTimeout = s.timeout
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // what poolers know too
	if s.flaw == "async-commit" {
		config.ConnConfig.RuntimeParams["synchronous_commit"] = "off"
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &postgresStore{pool: pool}, nil
}

func (p *postgresStore) close() { p.pool.Close() }

// tables makes the tables, once.
func (p *postgresStore) tables(ctx context.Context) error {
	p.made.Lock()
	defer p.made.Unlock()
	if p.done {
		return nil
	}
	_, err := p.pool.Exec(ctx, "create table if not exists kv (k text primary key, v text not null)")
	if err == nil {
		_, err = p.pool.Exec(ctx, "create table if not exists entries (id text primary key)")
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "25006" { // a replica: they come from the primary
		err = nil
	}
	p.done = err == nil
	return err
}

func (p *postgresStore) put(ctx context.Context, key, value string) error {
	if err := p.tables(ctx); err != nil {
		return err
	}
	_, err := p.pool.Exec(ctx, "insert into kv (k, v) values ($1, $2) on conflict (k) do update set v = excluded.v", key, value)
	return err
}

func (p *postgresStore) get(ctx context.Context, key string) (value string, found bool, err error) {
	if err := p.tables(ctx); err != nil {
		return "", false, err
	}
	err = p.pool.QueryRow(ctx, "select v from kv where k = $1", key).Scan(&value)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	return value, err == nil, err
}

func (p *postgresStore) add(ctx context.Context, id string) error {
	if err := p.tables(ctx); err != nil {
		return err
	}
	_, err := p.pool.Exec(ctx, "insert into entries (id) values ($1)", id)
	return err
}

func (p *postgresStore) all(ctx context.Context) ([]string, error) {
	if err := p.tables(ctx); err != nil {
		return nil, err
	}
	rows, err := p.pool.Query(ctx, "select id from entries")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
