package evidence

import "sync"

// beside is what was worked out of a run, by what it is.
type beside struct {
	mu   sync.Mutex
	kept map[any]*workedOut
}

// workedOut is one such thing, and what it was worked out of.
type workedOut struct {
	mu    sync.Mutex // locked while it is worked out: a second caller waits and gets the same
	of    any
	thing any
}

// Beside is what work makes of a run. It is kept with the run, by key, so that
// all claims share it: it must not be changed. They may ask at the same time. It
// is worked out again if of is another one than it was kept with: that is for
// what names the slices and figures it was made of, as runs of tests change
// between two rulings. key and of must be comparable; work may ask for other
// keys, though not around in a circle.
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
