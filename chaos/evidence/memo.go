package evidence

import "sync"

// memo is a cache of what was computed from a run, by key.
type memo struct {
	mu   sync.Mutex
	kept map[any]*memoEntry
}

// memoEntry is one entry of it, and what that was computed from.
type memoEntry struct {
	mu    sync.Mutex // locked while it is computed: a second caller waits and gets the same
	of    any
	value any
}

// Memoized returns what work computes from a run, and caches it in the run by key:
// claims that need the same share it, so it must not be changed. It may be called
// by many goroutines at once. of names the slices and figures that the result is
// computed from: if it differs from the one of the cached result, work is called
// again, as tests change a run between two rulings. key and of must be comparable.
// work may call Memoized for other keys, as long as they do not need this one.
func Memoized[T any](r *Run, key, of any, work func() T) T {
	r.memo.mu.Lock()
	if r.memo.kept == nil {
		r.memo.kept = map[any]*memoEntry{}
	}
	w := r.memo.kept[key]
	if w == nil {
		w = &memoEntry{}
		r.memo.kept[key] = w
	}
	r.memo.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.value == nil || w.of != of {
		w.of, w.value = of, work()
	}
	return w.value.(T)
}
