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
	ended  bool
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

func (l *lives) Ended() bool { return l.ended }

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
			watchTarget(ctx, l, func(at time.Time, err error) {
				said = append(said, fmt.Sprintf("%v after %v", err, at.Sub(begin).Round(watchEvery)))
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

// A target that ends just before the run does is told of after it, by a supervisor
// that had to end what the target had started: it is waited for, and the end is noted
// as before that of the run. One that runs, or was killed, keeps nobody waiting.
func TestLastEndIsSaid(t *testing.T) {
	for _, c := range []struct {
		name  string
		ended bool          // as the kernel has it, when the run ends
		told  time.Duration // so long after; 0 means it is not
		want  string
		waits time.Duration
	}{
		{"runs", false, 0, "", 0},
		{"told 20 ms after", true, 20 * time.Millisecond, "life 1 after 1s", 20 * time.Millisecond},
		{"told 2 s after", true, 2 * time.Second, "life 1 after 1s", 2 * time.Second},
		{"never told", true, 0, "life 1 after 1s", lastLook},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				l, begin, said := &lives{}, time.Now(), ""
				l.start()
				var watched sync.WaitGroup
				watched.Go(func() {
					watchTarget(ctx, l, func(at time.Time, err error) { said += fmt.Sprintf("%v after %v", err, at.Sub(begin)) })
				})
				time.Sleep(time.Second)
				l.ended = c.ended
				if c.told > 0 {
					time.AfterFunc(c.told, l.end)
				}
				stop()
				watched.Wait()
				if waited := time.Since(begin) - time.Second; said != c.want || waited != c.waits {
					t.Errorf("said %q after waiting for %v, want %q, %v", said, waited, c.want, c.waits)
				}
			})
		})
	}
}
