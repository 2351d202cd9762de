package reference

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// effects counts how often each request was processed, in bounded memory: the
// oldest ids are forgotten when there are too many. Ids that differ in the last
// three bits alone are counted in one group, because those of a load do and come
// one after the other: a group is looked up once for eight of them. Of each group a
// 64-bit hash is kept, and two of a million share one with a chance of 10^12/2^65,
// less than one in ten million. All methods may be called at once.
type effects struct {
	seed      maphash.Seed
	anonymous atomic.Uint64 // without an id
	refused   atomic.Uint64 // not processed
	shards    [256]effectShard
}

type effectShard struct {
	mu           sync.Mutex
	numbers      map[uint64]uint64 // of groups, by hash
	groups       []effectGroup     // a ring, as long as a power of two: number n is at n modulo that
	oldest, next uint64            // numbers of the groups that are remembered, and of the one to come
	last         uint64            // number of the group that was counted in last
	ids, room    int               // that are remembered, and at most
	processed    uint64
	duplicates   uint64
	forgotten    uint64
	most         uint32
	_            [20]byte // shards share no cache line's lock
}

// effectGroup is how often each of eight ids was processed.
type effectGroup struct {
	hash  uint64
	times [8]uint32
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
		e.shards[i].numbers = map[uint64]uint64{}
		e.shards[i].groups = make([]effectGroup, 1)
		e.shards[i].room = per
	}
	return e
}

// place is where an id, which is not empty, is counted: in a shard, in the group of a
// hash, there as which of eight.
func (e *effects) place(id string) (s *effectShard, hash uint64, at int) {
	last := id[len(id)-1]
	hash = maphash.String(e.seed, id[:len(id)-1]) + uint64(last>>3)*0x9e37_79b9_7f4a_7c15 // an odd number: 2^64 by the golden ratio
	return &e.shards[hash%uint64(len(e.shards))], hash, int(last & 7)
}

// group returns the group of a hash; nil if none is remembered. mu is locked.
func (s *effectShard) group(hash uint64) *effectGroup {
	if g := s.at(s.last); s.last >= s.oldest && s.last < s.next && g.hash == hash {
		return g
	}
	n, known := s.numbers[hash]
	if !known {
		return nil
	}
	s.last = n
	return s.at(n)
}

func (s *effectShard) at(n uint64) *effectGroup { return &s.groups[n%uint64(len(s.groups))] }

// add begins a group. mu is locked.
func (s *effectShard) add(hash uint64) *effectGroup {
	if s.next-s.oldest == uint64(len(s.groups)) {
		more := make([]effectGroup, 2*len(s.groups))
		for n := s.oldest; n < s.next; n++ {
			more[n%uint64(len(more))] = *s.at(n)
		}
		s.groups = more
	}
	s.last, s.numbers[hash] = s.next, s.next
	g := s.at(s.next)
	*g = effectGroup{hash: hash}
	s.next++
	return g
}

// forget drops the oldest group. mu is locked.
func (s *effectShard) forget() {
	g := s.at(s.oldest)
	for _, times := range g.times {
		if times > 0 {
			s.ids--
			s.forgotten++
		}
	}
	delete(s.numbers, g.hash)
	s.oldest++
}

// count adds one effect; id "" means that none is known.
func (e *effects) count(id string) {
	if id == "" {
		e.anonymous.Add(1)
		return
	}
	s, hash, at := e.place(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processed++
	g := s.group(hash)
	if g == nil {
		g = s.add(hash)
	}
	g.times[at]++
	s.most = max(s.most, g.times[at])
	if g.times[at] > 1 {
		s.duplicates++
		return
	}
	for s.ids++; s.ids > s.room; {
		s.forget()
	}
}

// of returns how often an id was processed; 0 if it was forgotten.
func (e *effects) of(id string) uint32 {
	if id == "" {
		return 0
	}
	s, hash, at := e.place(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.group(hash); g != nil {
		return g.times[at]
	}
	return 0
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
