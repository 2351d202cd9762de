package testbed

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lives is a target that is started again and again.
type lives struct {
	mu     sync.Mutex
	n      int
	exited chan struct{}
}

func (l *lives) Watch() (<-chan struct{}, func() error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.n
	return l.exited, func() error { return fmt.Errorf("life %d", n) }
}

func (l *lives) start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n, l.exited = l.n+1, make(chan struct{})
}

func (l *lives) end() { close(l.exited) }

// Each end by itself is said once and soon, also of a target that runs again at
// once; one that a fault ended, whose channel stays open, is not.
func TestEveryEndIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var said []string
		l, begin := &lives{}, time.Now()
		l.start()
		var watched sync.WaitGroup
		watched.Go(func() {
			watchTarget(ctx, l, func(err error) {
				said = append(said, fmt.Sprintf("%v after %v", err, time.Since(begin).Round(watchEvery)))
			})
		})
		time.Sleep(time.Second)
		l.end()
		l.start() // in the same instant
		time.Sleep(time.Second)
		l.start() // by a fault
		time.Sleep(100 * time.Millisecond)
		l.end()
		time.Sleep(time.Second)
		stop()
		watched.Wait()
		if want := []string{"life 1 after 1s", "life 3 after 2.1s"}; !slices.Equal(said, want) {
			t.Errorf("said %q, want %q", said, want)
		}
	})
}
