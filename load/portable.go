package load

import (
	"context"
	"net"
	"sync"
	"time"
)

// portable is the transport on net.Conn, for systems without another. Each
// connection has a goroutine that reads and one that writes; what they have
// for the loop waits in an inbox. Its timers are Go's, which are up to a
// millisecond late.
type portable struct {
	loop  *loop
	timer *time.Timer
	bell  chan struct{} // has one if the inbox is not empty, or after wake
	done  sync.WaitGroup

	mu    sync.Mutex
	inbox []message

	reading []message // what the loop works off
}

// message is what a goroutine of a connection has for the loop.
type message struct {
	token
	peer  *goConn
	event portableEvent
	bytes []byte
	err   error
}

type portableEvent uint8

const (
	hasOpened portableEvent = iota
	hasFailed
	hasReceived
	hasEnded
	hasBroken
)

// goConn is what the goroutines of a connection work with.
type goConn struct {
	post     func(*goConn, portableEvent, []byte, error)
	cancel   context.CancelFunc
	conn     net.Conn      // set before hasOpened
	consumed chan struct{} // one for each hasReceived that the loop has worked off

	mu     sync.Mutex
	more   *sync.Cond // out is longer, or closed
	out    []byte
	closed bool
}

func newPortable(l *loop) (transport, error) {
	t := &portable{loop: l, timer: time.NewTimer(time.Hour), bell: make(chan struct{}, 1)}
	t.timer.Stop()
	return t, nil
}

func (t *portable) stop() { t.done.Wait() }

func (t *portable) wake() {
	select {
	case t.bell <- struct{}{}:
	default:
	}
}

func (t *portable) dial(c *conn) {
	p, ctx := t.newGoConn(c)
	network, addr := c.pool.addresses[c.pool.turn()].dialArgs()
	t.done.Go(func() {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			p.post(p, hasFailed, nil, err)
			return
		}
		p.mu.Lock()
		p.conn = conn
		closed := p.closed
		p.mu.Unlock()
		if closed {
			_ = conn.Close()
			return
		}
		t.done.Go(p.write)
		p.post(p, hasOpened, nil, nil)
		p.read(ctx)
	})
}

func (t *portable) adopt(c *conn, from net.Conn) error {
	p, ctx := t.newGoConn(c)
	p.conn = from
	t.done.Go(p.write)
	t.done.Go(func() { p.read(ctx) })
	return nil
}

// newGoConn makes it for a connection. The context ends when that is closed.
func (t *portable) newGoConn(c *conn) (*goConn, context.Context) {
	ctx, cancel := context.WithCancel(context.Background())
	to := token{c, c.generation}
	p := &goConn{cancel: cancel, consumed: make(chan struct{}, 1)}
	p.more = sync.NewCond(&p.mu)
	p.post = func(p *goConn, event portableEvent, bytes []byte, err error) {
		t.mu.Lock()
		t.inbox = append(t.inbox, message{to, p, event, bytes, err})
		t.mu.Unlock()
		t.wake()
	}
	c.goConn = p
	return p, ctx
}

func (p *goConn) read(ctx context.Context) {
	in := make([]byte, readSize)
	for {
		n, err := p.conn.Read(in)
		if n > 0 {
			p.post(p, hasReceived, in[:n], nil)
			select {
			case <-p.consumed:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			event := hasBroken
			if isEnd(err) {
				event = hasEnded
			}
			p.post(p, event, nil, err)
			return
		}
	}
}

func (p *goConn) write() {
	var going []byte
	for {
		p.mu.Lock()
		for len(p.out) == 0 && !p.closed {
			p.more.Wait()
		}
		if p.closed {
			p.mu.Unlock()
			return
		}
		p.out, going = going[:0], p.out
		p.mu.Unlock()
		if _, err := p.conn.Write(going); err != nil {
			return // the peer may have answered before it stopped to read: that read shows it
		}
	}
}

func (t *portable) send(c *conn, b []byte) bool {
	p := c.goConn
	p.mu.Lock()
	p.out = append(p.out, b...)
	p.mu.Unlock()
	p.more.Signal()
	return true
}

func (t *portable) close(c *conn) {
	p := c.goConn
	if p == nil {
		return
	}
	c.goConn = nil
	p.cancel()
	p.mu.Lock()
	p.closed = true
	conn := p.conn
	p.mu.Unlock()
	p.more.Signal()
	if conn != nil {
		_ = conn.Close()
	}
}

func (t *portable) wait(timeout time.Duration) (elapsed bool, err error) {
	switch {
	case timeout == 0:
		select {
		case <-t.bell:
		default:
		}
	case timeout == never || timeout < 0:
		<-t.bell
	default:
		t.timer.Reset(timeout)
		select {
		case <-t.bell:
			t.timer.Stop()
		case <-t.timer.C:
			elapsed = true
		}
	}
	return elapsed, nil
}

func (t *portable) deliver() {
	t.mu.Lock()
	t.inbox, t.reading = t.reading[:0], t.inbox
	t.mu.Unlock()
	for i := range t.reading {
		if l := &t.reading[i]; l.conn.generation == l.generation && l.conn.state != unused {
			t.open(l)
		}
		// A batch can take milliseconds: arrivals do not wait for its end.
		t.loop.sendDue()
	}
	clear(t.reading)
}

// open takes one message.
func (t *portable) open(l *message) {
	switch l.event {
	case hasOpened:
		t.loop.opened(l.conn)
	case hasFailed:
		t.loop.dialFailed(l.conn, l.err)
	case hasReceived:
		t.loop.received(l.conn, l.bytes, false)
		l.peer.consumed <- struct{}{}
	case hasEnded:
		l.conn.peerDone = true
		t.loop.ended(l.conn)
	case hasBroken:
		t.loop.broken(l.conn)
	}
}
