package tcp

import (
	"container/heap"
	"math"
	"time"
)

const never = time.Duration(math.MaxInt64)

// timers are the times at which sessions have to be looked at, in a heap. One that
// has been replaced by an earlier one, or whose session is over, is skipped when it
// comes out.
type timers []timer

type timer struct {
	at         time.Duration
	session    *session
	generation int32
}

func (a timers) Len() int           { return len(a) }
func (a timers) Less(i, j int) bool { return a[i].at < a[j].at }
func (a timers) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *timers) Push(x any)        { *a = append(*a, x.(timer)) }

func (a *timers) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	(*a)[last] = timer{}
	*a = (*a)[:last]
	return x
}

// set makes p be looked at no later than at.
func (a *timers) set(p *session, at time.Duration) {
	if at >= p.due {
		return
	}
	p.due = at
	heap.Push(a, timer{at, p, p.generation})
}

// next is when the first rings.
func (a timers) next() time.Duration {
	if len(a) == 0 {
		return never
	}
	return a[0].at
}

// due returns a session whose time has come; nil if there is none.
func (a *timers) due(now time.Duration) *session {
	for len(*a) > 0 && (*a)[0].at <= now {
		x := heap.Pop(a).(timer)
		if x.generation == x.session.generation && x.at == x.session.due {
			x.session.due = never
			return x.session
		}
	}
	return nil
}
