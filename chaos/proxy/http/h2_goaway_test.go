package http

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
)

// TestGoingAwayCostsNoMoreThroughALink has a service restarted again and again under
// load, as in a rolling deployment: each server says GOAWAY, answers what it has
// begun, and the next one is there already. Callers lose nothing by that, and a link
// between them loses nothing either.
func TestGoingAwayCostsNoMoreThroughALink(t *testing.T) {
	for _, tt := range []struct {
		name string
		link bool
	}{{"direct", false}, {"through a link", true}} {
		t.Run(tt.name, func(t *testing.T) {
			deployed := newDeployment(t)
			addr := deployed.addr
			if tt.link {
				l := listen(t, addr, speaks(toxic.ProtocolHTTP2))
				l.Record(time.Now(), func(evidence.Exchange) {})
				addr = l.Addr()
			}
			const requests = 1500
			var mu sync.Mutex
			outcomes := map[string]int{}
			plan := load.Plan{
				Schedule: arrivals.Constant(1000, requests*time.Millisecond), Run: 1, MaxConns: 4, Streams: 20,
				Routes: []load.Route{{Addr: addr, Protocol: load.HTTP2, Method: "POST", Body: []byte("body")}},
			}
			start := time.Now()
			plan.Stats = load.NewStats(load.Shards(plan), start)
			err := load.Run(t.Context(), plan, start, func(_ int, s load.Sample) {
				mu.Lock()
				outcomes[s.Outcome.String()]++
				mu.Unlock()
			})
			deployed.stop()
			if err != nil || outcomes["ok"] != requests {
				t.Errorf("%v, %v; want %d ok", err, outcomes, requests)
			}
			if n, conns := deployed.restarts.Load(), plan.Stats.Read().Dialled; n < 5 || conns < 5 {
				t.Errorf("%d restarts, %d connections: nothing was shown", n, conns)
			}
		})
	}
}

// deployment is a service of HTTP/2 that is restarted all the time.
type deployment struct {
	addr     string
	restarts atomic.Int64
	stop     func()
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &deployment{addr: listener.Addr().String()}
	conns := make(chan net.Conn)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				close(conns)
				return
			}
			conns <- conn
		}
	})
	quit := make(chan struct{})
	wg.Go(func() {
		defer listener.Close()
		for over := false; !over; {
			s := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				time.Sleep(5 * time.Millisecond) // so that there is always something in flight
				_, _ = io.WriteString(w, "ok")
			})}
			s.Protocols.SetUnencryptedHTTP2(true)
			now := &shift{conns: conns, over: make(chan struct{}), at: listener.Addr()}
			served := make(chan struct{})
			go func() {
				defer close(served)
				_ = s.Serve(now)
			}()
			select {
			case <-quit:
				over = true
			case <-time.After(100 * time.Millisecond):
			}
			wg.Go(func() { _ = s.Shutdown(context.Background()) })
			<-served
			d.restarts.Add(1)
		}
	})
	d.stop = func() {
		close(quit)
		for conn := range conns {
			conn.Close()
		}
		wg.Wait()
	}
	return d
}

// shift is a listener for the time of one server: the socket outlives it.
type shift struct {
	conns chan net.Conn
	once  sync.Once
	over  chan struct{}
	at    net.Addr
}

func (l *shift) Accept() (net.Conn, error) {
	select {
	case conn, ok := <-l.conns:
		if ok {
			return conn, nil
		}
	case <-l.over:
	}
	return nil, net.ErrClosed
}

func (l *shift) Close() error {
	l.once.Do(func() { close(l.over) })
	return nil
}

func (l *shift) Addr() net.Addr { return l.at }
