package proxy

import (
	"container/heap"
	"math"
	"time"
)

const never = time.Duration(math.MaxInt64)

// alarms are the times at which connections have to be looked at. One that is
// not wanted any more is left to ring; nobody listens.
type alarms []alarm

type alarm struct {
	at         time.Duration
	pair       *pair
	generation int32
}

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].at < a[j].at }
func (a alarms) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *alarms) Push(x any)        { *a = append(*a, x.(alarm)) }

func (a *alarms) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	(*a)[last] = alarm{}
	*a = (*a)[:last]
	return x
}

// set makes p be looked at no later than at.
func (a *alarms) set(p *pair, at time.Duration) {
	if at >= p.alarm {
		return
	}
	p.alarm = at
	heap.Push(a, alarm{at, p, p.generation})
}

// next is when the first rings.
func (a alarms) next() time.Duration {
	if len(a) == 0 {
		return never
	}
	return a[0].at
}

// ring returns a pair whose time has come; nil if there is none.
func (a *alarms) ring(now time.Duration) *pair {
	for len(*a) > 0 && (*a)[0].at <= now {
		x := heap.Pop(a).(alarm)
		if x.generation == x.pair.generation && x.at == x.pair.alarm {
			x.pair.alarm = never
			return x.pair
		}
	}
	return nil
}
