package link

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// Life is what begins with a relay and is over when it is closed.
type Life struct {
	WG  sync.WaitGroup  // every goroutine of the relay
	Ctx context.Context // done when it is closing

	cancel  context.CancelFunc
	mu      sync.Mutex // orders Close and what it is to wait for
	closing atomic.Bool
}

// Start begins it.
func (l *Life) Start() { l.Ctx, l.cancel = context.WithCancel(context.Background()) }

// Closing reports whether it is over.
func (l *Life) Closing() bool { return l.closing.Load() }

// Close ends it, and reports whether it had not ended before. It waits for nothing.
func (l *Life) Close() (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
	return !l.closing.Swap(true)
}

// Inject puts a toxic in force by turn, now, and returns what takes it out. If
// cycle is not nil the toxic comes and goes by turns meanwhile. When remove returns
// it is out for good.
func (l *Life) Inject(cycle *toxic.Cycle, turn func(on bool)) (remove func()) {
	start := time.Now()
	turn(true)
	still := l.cycle(cycle, start, turn)
	return sync.OnceFunc(func() {
		still()
		turn(false)
	})
}

func (l *Life) cycle(c *toxic.Cycle, start time.Time, turn func(on bool)) (still func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c == nil || l.closing.Load() {
		return func() {}
	}
	ctx, stop := context.WithCancel(l.Ctx)
	done := make(chan struct{})
	l.WG.Go(func() {
		defer close(done)
		runCycle(ctx, *c, start, turn)
	})
	return func() {
		stop()
		<-done
	}
}

// runCycle calls turn with every change of c after an injection at start, until ctx is
// done. A change that is overdue is skipped if the next is due as well.
func runCycle(ctx context.Context, c toxic.Cycle, start time.Time, turn func(on bool)) {
	on, until := c.At(0)
	timer := time.NewTimer(time.Until(start.Add(until)))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		was := on
		on, until = c.At(max(time.Since(start), until))
		if on != was {
			turn(on)
		}
		timer.Reset(time.Until(start.Add(until)))
	}
}
