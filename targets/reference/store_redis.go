package reference

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// redisStore keeps values as keys and entries as a set.
type redisStore struct {
	settings *storeSettings
	client   *redis.Client
}

const entriesKey = "entries"

// openRedis reaches one server, or the one that a sentinel says is the primary.
//
// go-redis sends a command again by itself, three times by default, writes too: a write
// that was taken for lost may then overwrite a later one. A sound store does not.
func openRedis(s *storeSettings, addr string) *redisStore {
	const noRetries = -1
	if s.driver == "sentinel" {
		return &redisStore{s, redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: s.master, SentinelAddrs: []string{addr}, MaxRetries: noRetries, PoolSize: s.pool,
			DialTimeout: s.timeout, ReadTimeout: s.timeout, WriteTimeout: s.timeout, ContextTimeoutEnabled: true,
		})}
	}
	return &redisStore{s, redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: noRetries, PoolSize: s.pool, DialerRetries: 1,
		DialTimeout: s.timeout, ReadTimeout: s.timeout, WriteTimeout: s.timeout, ContextTimeoutEnabled: true,
	})}
}

func (r *redisStore) close() { _ = r.client.Close() }

func (r *redisStore) put(ctx context.Context, key, value string) error {
	return r.replicated(ctx, func(c redis.Cmdable) error { return c.Set(ctx, "kv:"+key, value, 0).Err() })
}

func (r *redisStore) get(ctx context.Context, key string) (string, bool, error) {
	value, err := r.client.Get(ctx, "kv:"+key).Result()
	if errors.Is(err, redis.Nil) {
		return "", false, nil
	}
	return value, err == nil, err
}

func (r *redisStore) add(ctx context.Context, id string) error {
	return r.replicated(ctx, func(c redis.Cmdable) error { return c.SAdd(ctx, entriesKey, id).Err() })
}

func (r *redisStore) all(ctx context.Context) ([]string, error) {
	return r.client.SMembers(ctx, entriesKey).Result()
}

// replicated does a write and waits until as many replicas have it as are asked for: of
// the writes of one connection, WAIT knows the last.
func (r *redisStore) replicated(ctx context.Context, do func(redis.Cmdable) error) error {
	if r.settings.wait == 0 || r.settings.flaw == "no-wait" {
		return do(r.client)
	}
	conn := r.client.Conn()
	defer func() { _ = conn.Close() }() // back to the pool
	if err := do(conn); err != nil {
		return err
	}
	n, err := conn.Wait(ctx, r.settings.wait, r.settings.timeout/2).Result()
	if err == nil && int(n) < r.settings.wait {
		err = fmt.Errorf("%d of %d replicas have it", n, r.settings.wait)
	}
	return err
}
