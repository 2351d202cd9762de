package evidence

import "sync"

// beside is a cache of what was computed from a run, by key.
type beside struct {
	mu   sync.Mutex
	kept map[any]*workedOut
}

// workedOut is one entry of it, and what that was computed from.
type workedOut struct {
	mu    sync.Mutex // locked while it is computed: a second caller waits and gets the same
	of    any
	thing any
}

// Beside returns what work computes from a run, and caches it in the run by key:
// claims that need the same share it, so it must not be changed. It may be called
// by many goroutines at once. of names the slices and figures that the result is
// computed from: if it differs from the one of the cached result, work is called
// again, as tests change a run between two rulings. key and of must be comparable.
// work may call Beside for other keys, as long as they do not need this one.
func Beside[T any](r *Run, key, of any, work func() T) T {
	r.beside.mu.Lock()
	if r.beside.kept == nil {
		r.beside.kept = map[any]*workedOut{}
	}
	w := r.beside.kept[key]
	if w == nil {
		w = &workedOut{}
		r.beside.kept[key] = w
	}
	r.beside.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.thing == nil || w.of != of {
		w.of, w.thing = of, work()
	}
	return w.thing.(T)
}
