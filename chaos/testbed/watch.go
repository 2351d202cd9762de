package testbed

import (
	"context"
	"sync"
	"time"
)

// Watch says when a target ends by itself, until ctx is done. Then the WaitGroup
// is, too.
func (b *Testbed) Watch(ctx context.Context, say func(target string, err error)) *sync.WaitGroup {
	var wg sync.WaitGroup
	for name, r := range b.running {
		wg.Go(func() { watchTarget(ctx, r, func(err error) { say(name, err) }) })
	}
	return &wg
}

// watchEvery is how soon a target that was started again is watched anew: its
// end is not noted later than that. A start takes longer.
const watchEvery = 50 * time.Millisecond

// A watchable target says how it ended by itself, as targets.Running does.
type watchable interface {
	Watch() (exited <-chan struct{}, how func() error)
}

// watchTarget says every end that nobody asked for, also of one that a fault has
// started again since.
func watchTarget(ctx context.Context, r watchable, say func(error)) {
	again := time.NewTicker(watchEvery)
	defer again.Stop()
	exited, how := r.Watch()
	waiting := exited // nil once its end is said
	look := func() {
		select {
		case <-waiting:
			waiting = nil
			say(how())
		default:
		}
	}
	for {
		select {
		case <-waiting:
		case <-again.C:
		case <-ctx.Done():
			look()
			return
		}
		look()
		if next, nextHow := r.Watch(); next != exited {
			look() // it may have ended just before it was started again
			exited, waiting, how = next, next, nextHow
		}
	}
}
