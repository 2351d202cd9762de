package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos"
)

const (
	courierRoom    = 256         // lines that wait for a screen before further ones are lost
	courierBreath  = 32          // room beyond that for what is said: news outlasts progress
	courierWaiting = time.Second // how long the end of a run, and of the program, waits for the screen
)

// courier carries what people are told to a progress, in order, on a goroutine
// of its own. Nobody who tells it something waits for the screen: one that
// takes nothing, like a full pipe or a terminal after Ctrl-S, must keep no fault
// from being healed and no result from being written. What finds no room is
// lost, and once there is room it is said how much.
//
// All methods but close may be called from different goroutines at once.
type courier struct {
	to   progress
	done chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex
	more   *sync.Cond // queue is longer, or closed
	queue  []func()
	lost   int // since what was queued last
	closed bool
}

func newCourier(to progress) *courier {
	c := &courier{to: to, done: make(chan struct{})}
	c.more = sync.NewCond(&c.mu)
	go c.carry()
	return c
}

func (c *courier) begin(name string) { c.put(func() { c.to.begin(name) }) }

func (c *courier) watch(p chaos.Progress) { c.offer(courierRoom, func() { c.to.watch(p) }) }

func (c *courier) say(line string) {
	c.offer(courierRoom+courierBreath, func() { c.to.say(line) })
}

// end tells that the run has ended and returns when nothing of it is on its way
// to the screen, after courierWaiting at the latest.
func (c *courier) end() {
	shown := make(chan struct{})
	c.put(func() { c.to.end(); close(shown) })
	waitFor(shown)
}

// close returns when all is shown, after courierWaiting at the latest. Nothing
// may be told afterwards.
func (c *courier) close() {
	c.mu.Lock()
	c.ownUp()
	c.closed = true
	c.more.Signal()
	c.mu.Unlock()
	waitFor(c.done)
}

func waitFor(shown <-chan struct{}) {
	timer := time.NewTimer(courierWaiting)
	defer timer.Stop()
	select {
	case <-shown:
	case <-timer.C:
	}
}

// offer queues what fewer than room others are before.
func (c *courier) offer(room int, show func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) >= room {
		c.lost++
		return
	}
	c.putLocked(show)
}

// put queues what must not be lost, of which there is little.
func (c *courier) put(show func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putLocked(show)
}

func (c *courier) putLocked(show func()) {
	c.ownUp()
	c.queue = append(c.queue, show)
	c.more.Signal()
}

// ownUp queues a word about what is lost, where it would have stood.
func (c *courier) ownUp() {
	if lost := c.lost; lost > 0 {
		c.lost = 0
		c.queue = append(c.queue, func() { c.to.say(fmt.Sprintf("%d lines are lost here: stderr took nothing", lost)) })
	}
}

func (c *courier) carry() {
	defer close(c.done)
	for {
		c.mu.Lock()
		for len(c.queue) == 0 && !c.closed {
			c.more.Wait()
		}
		if len(c.queue) == 0 {
			c.mu.Unlock()
			return
		}
		show := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()
		show()
	}
}
