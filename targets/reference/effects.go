package reference

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// effects counts how often each request was processed, in bounded memory: of
// each id a 64-bit hash is kept, the oldest of which is forgotten when there
// are too many. Two of a million ids share a hash with a chance of
// 10^12/2^65, less than one in ten million. All methods may be called at once.
type effects struct {
	seed      maphash.Seed
	anonymous atomic.Uint64 // without an id
	refused   atomic.Uint64 // not processed
	shards    [256]effectShard
}

type effectShard struct {
	mu         sync.Mutex
	times      map[uint64]uint32
	order      []uint64 // ring of the ids in times, oldest at next once it is full
	next       int      // negative: minus the ids that still fit; else the oldest in order
	processed  uint64
	duplicates uint64
	forgotten  uint64
	most       uint32
	_          [24]byte // shards share no cache line's lock
}

// effectTotals is the answer to GET /effects.
type effectTotals struct {
	Requests   uint64 `json:"requests"`   // processed, with and without id
	IDs        uint64 `json:"ids"`        // different ids among them
	Anonymous  uint64 `json:"anonymous"`  // without id
	Duplicates uint64 `json:"duplicates"` // processed again for an id that was processed before
	MaxPerID   uint32 `json:"max_per_id"` // most times one id was processed
	Refused    uint64 `json:"refused"`    // answered with an error status that the query asked for
	Forgotten  uint64 `json:"forgotten"`  // ids that would no longer be recognised
}

// newEffects remembers about that many ids and never more, but at least one
// per shard: a shard that gets more than its part forgets while others have room.
func newEffects(remember int) *effects {
	e := &effects{seed: maphash.MakeSeed()}
	per := max(1, remember/len(e.shards))
	for i := range e.shards {
		e.shards[i].times = map[uint64]uint32{}
		e.shards[i].order = make([]uint64, 0, min(per, 64))
		e.shards[i].next = -per
	}
	return e
}

func (e *effects) shard(id string) (*effectShard, uint64) {
	hash := maphash.String(e.seed, id)
	return &e.shards[hash%uint64(len(e.shards))], hash
}

// count adds one effect; id "" means that none is known.
func (e *effects) count(id string) {
	if id == "" {
		e.anonymous.Add(1)
		return
	}
	s, hash := e.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processed++
	times, known := s.times[hash]
	times++
	s.times[hash] = times
	s.most = max(s.most, times)
	switch {
	case known:
		s.duplicates++
	case s.next < 0:
		s.order = append(s.order, hash)
		s.next++
	default:
		delete(s.times, s.order[s.next])
		s.forgotten++
		s.order[s.next] = hash
		s.next = (s.next + 1) % len(s.order)
	}
}

// of returns how often an id was processed; 0 if it was forgotten.
func (e *effects) of(id string) uint32 {
	s, hash := e.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.times[hash]
}

func (e *effects) totals() effectTotals {
	t := effectTotals{Anonymous: e.anonymous.Load(), Refused: e.refused.Load()}
	t.Requests = t.Anonymous
	for i := range e.shards {
		s := &e.shards[i]
		s.mu.Lock()
		t.Requests += s.processed
		t.IDs += s.processed - s.duplicates
		t.Duplicates += s.duplicates
		t.MaxPerID = max(t.MaxPerID, s.most)
		t.Forgotten += s.forgotten
		s.mu.Unlock()
	}
	return t
}
