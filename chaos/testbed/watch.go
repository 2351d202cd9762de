package testbed

import (
	"context"
	"sync"
	"time"
)

// Watch calls say whenever a target ends by itself, with when and how it did, until ctx is
// done. The WaitGroup is done once say was called for every end before that.
func (b *Testbed) Watch(ctx context.Context, say func(target string, at time.Time, err error)) *sync.WaitGroup {
	var wg sync.WaitGroup
	for name, r := range b.running {
		wg.Go(func() { watchTarget(ctx, r, func(at time.Time, err error) { say(b.targetOf(name), at, err) }) })
	}
	return &wg
}

// Down reports whether a target of ours has ended by itself and was not started again.
func (b *Testbed) Down(target string) bool {
	r := b.running[target]
	return r != nil && r.Ended()
}

// watchEvery is how soon a target that was started again is watched anew: its
// end is not noted later than that. A start takes longer.
const watchEvery = 50 * time.Millisecond

// lastLook is how long an end that the kernel knows of may take to be told, while
// what the target had started is ended too.
const lastLook = 5 * time.Second

// A watchable target says how it ended by itself, as targets.Running does.
type watchable interface {
	Watch() (exited <-chan struct{}, how func() error)
	Ended() bool // it ended by itself: what Watch returned is closed soon
}

// watchTarget says every end that nobody asked for, also of one that a fault has
// started again since, and when it had ended. What ends just before ctx is done is
// told after that, and was before it all the same.
func watchTarget(ctx context.Context, r watchable, say func(time.Time, error)) {
	again := time.NewTicker(watchEvery)
	defer again.Stop()
	exited, how := r.Watch()
	waiting := exited // nil once its end is said
	look := func() {
		select {
		case <-waiting:
			waiting = nil
			say(time.Now(), how())
		default:
		}
	}
	for {
		select {
		case <-waiting:
		case <-again.C:
		case <-ctx.Done():
			if look(); waiting == nil || !r.Ended() {
				return
			}
			by := time.Now()
			select {
			case <-waiting:
			case <-time.After(lastLook):
			}
			if r.Ended() { // and was not killed meanwhile
				say(by, how())
			}
			return
		}
		look()
		if next, nextHow := r.Watch(); next != exited {
			look() // it may have ended just before it was started again
			exited, waiting, how = next, next, nextHow
		}
	}
}
