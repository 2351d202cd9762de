package hist

import "sync"

// Collector merges the shards of a load. Each shard records into its own
// Recorder; one goroutine calls Delta, mostly once a second.
type Collector struct {
	recorders    []*Recorder
	delta, total *Set

	mu    sync.Mutex // of added
	added *Set       // by Add, since the last Delta; nil before the first
}

// NewCollector returns a collector for this many routes and shards. For each of
// 2·routes + 2 kinds of times it takes 0.6 KiB, and 0.4 KiB per shard; more with the
// times that differ.
func NewCollector(routes, shards int) *Collector {
	c := &Collector{delta: NewSet(routes), total: NewSet(routes)}
	for range shards {
		c.recorders = append(c.recorders, NewRecorder(routes))
	}
	return c
}

// Recorder is where this shard records.
func (c *Collector) Recorder(shard int) *Recorder { return c.recorders[shard] }

// Add adds what was recorded elsewhere, of as many routes, to what Delta returns next.
// Any goroutine may call it.
func (c *Collector) Add(s *Set) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.added == nil {
		c.added = NewSet(len(s.Response))
	}
	c.added.merge(s)
}

// Delta returns what was recorded since the last call, or since the
// start. The set is valid until the next call.
func (c *Collector) Delta() *Set {
	c.delta.Reset()
	for _, r := range c.recorders {
		r.Take(c.delta, c.total)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.added != nil {
		c.delta.merge(c.added)
		c.total.merge(c.added)
		c.added.Reset()
	}
	return c.delta
}

// Total is all that Delta has returned so far. The set goes on growing with
// Delta; the same goroutine may read it.
func (c *Collector) Total() *Set { return c.total }
