package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos"
)

const (
	queueRoom  = 256         // lines that wait for a screen before further ones are lost
	queueExtra = 32          // room beyond that for what is said: news outlasts progress
	queueWait  = time.Second // how long the end of a run, and of the program, waits for the screen
)

// progressQueue carries what people are told to a progress, in order, on a
// goroutine of its own. Nobody who tells it something waits for the screen: one that
// takes nothing, like a full pipe or a terminal after Ctrl-S, must keep no fault
// from being healed and no result from being written. What finds no room is
// lost, and once there is room it is said how much.
//
// All methods but close may be called from different goroutines at once.
type progressQueue struct {
	to   progress
	done chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex
	more   *sync.Cond // more waits, or it is closed
	waits  []func()
	lost   int // since what was queued last
	closed bool
}

func newProgressQueue(to progress) *progressQueue {
	q := &progressQueue{to: to, done: make(chan struct{})}
	q.more = sync.NewCond(&q.mu)
	go q.show()
	return q
}

func (q *progressQueue) begin(name string) { q.put(func() { q.to.begin(name) }) }

func (q *progressQueue) watch(p chaos.Progress) { q.offer(queueRoom, func() { q.to.watch(p) }) }

func (q *progressQueue) say(line string) {
	q.offer(queueRoom+queueExtra, func() { q.to.say(line) })
}

// end tells that the run has ended and returns when nothing of it is on its way
// to the screen, after queueWait at the latest.
func (q *progressQueue) end() {
	shown := make(chan struct{})
	q.put(func() { q.to.end(); close(shown) })
	waitFor(shown)
}

// close returns when all is shown, after queueWait at the latest. Nothing
// may be told afterwards.
func (q *progressQueue) close() {
	q.mu.Lock()
	q.ownUp()
	q.closed = true
	q.more.Signal()
	q.mu.Unlock()
	waitFor(q.done)
}

func waitFor(shown <-chan struct{}) {
	timer := time.NewTimer(queueWait)
	defer timer.Stop()
	select {
	case <-shown:
	case <-timer.C:
	}
}

// offer queues what fewer than room others are before.
func (q *progressQueue) offer(room int, show func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waits) >= room {
		q.lost++
		return
	}
	q.putLocked(show)
}

// put queues what must not be lost, of which there is little.
func (q *progressQueue) put(show func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.putLocked(show)
}

func (q *progressQueue) putLocked(show func()) {
	q.ownUp()
	q.waits = append(q.waits, show)
	q.more.Signal()
}

// ownUp queues a word about what is lost, where it would have stood.
func (q *progressQueue) ownUp() {
	if lost := q.lost; lost > 0 {
		q.lost = 0
		q.waits = append(q.waits, func() { q.to.say(fmt.Sprintf("%d lines are lost here: stderr took nothing", lost)) })
	}
}

func (q *progressQueue) show() {
	defer close(q.done)
	for {
		q.mu.Lock()
		for len(q.waits) == 0 && !q.closed {
			q.more.Wait()
		}
		if len(q.waits) == 0 {
			q.mu.Unlock()
			return
		}
		show := q.waits[0]
		q.waits = q.waits[1:]
		q.mu.Unlock()
		show()
	}
}
