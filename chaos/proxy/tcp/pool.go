package tcp

import (
	"slices"
	"sync"

	"github.com/stormctl/stormctl/load/poll"
)

// pool is the loops of this process. There are as many as cores at most, each is made
// for a relay that needs it, and ends with its last relay: a thousand relays are not a
// thousand threads.
type pool struct {
	mu    sync.Mutex
	loops []*loop
}

// loops are what all relays share.
var loops pool

// join returns a loop for one more relay: a new one while there are fewer than cores,
// and then the one with the fewest relays. One that has failed gets no more.
func (s *pool) join() (*loop, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var best *loop
	sound := 0
	for _, l := range s.loops {
		select {
		case <-l.done:
			continue
		default:
		}
		sound++
		if best == nil || l.members < best.members {
			best = l
		}
	}
	if sound < poll.Cores() {
		l, err := newLoop()
		if err != nil && best == nil {
			return nil, err
		}
		if err == nil { // otherwise there are no descriptors for one more, and others do
			s.loops = append(s.loops, l)
			go l.run()
			best = l
		}
	}
	best.members++
	return best, nil
}

// leave is the end of join. With the last relay the loop ends, which it waits for.
func (s *pool) leave(l *loop) {
	s.mu.Lock()
	l.members--
	last := l.members == 0
	if last {
		s.loops = slices.DeleteFunc(s.loops, func(other *loop) bool { return other == l })
	}
	s.mu.Unlock()
	if last {
		l.closing.Store(true)
		l.poller.Wake()
		<-l.done
		l.poller.Close()
	}
}
