package reference

import (
	"container/heap"
	"time"
)

// byDue is a heap of requests that wait, the first to be answered first.
type byDue []*stream

func (w byDue) Len() int           { return len(w) }
func (w byDue) Less(i, j int) bool { return w[i].due.Before(w[j].due) }
func (w byDue) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }
func (w *byDue) Push(s any)        { *w = append(*w, s.(*stream)) }
func (w *byDue) Pop() any {
	last := len(*w) - 1
	s := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	return s
}

// delay has a request answered after its wait.
func (c *h2c) delay(s *stream) {
	if c.alarm == nil {
		a, err := newAlarm()
		if err != nil { // too many open files
			c.forget(s)
			c.out = appendReset(c.room(), s.id, refusedStream)
			return
		}
		c.alarm = a
		c.finisher.Go(c.finish)
	}
	s.due = time.Now().Add(s.reply.wait)
	heap.Push(&c.waiting, s)
	if c.waiting[0] == s {
		_ = c.alarm.set(s.reply.wait)
	}
}

// finish answers requests as they become due, until the connection has ended
// and none waits.
func (c *h2c) finish() {
	for c.alarm.wait() == nil {
		c.mu.Lock()
		c.date.update()
		for len(c.waiting) > 0 {
			if left := time.Until(c.waiting[0].due); left > 0 {
				_ = c.alarm.set(left)
				break
			}
			c.answer(heap.Pop(&c.waiting).(*stream))
		}
		c.flush()
		if c.ended && len(c.waiting) == 0 {
			c.alarm.close()
		}
		c.mu.Unlock()
	}
}
