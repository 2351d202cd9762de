package load

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/arrivals"
)

// TestCoalescedResponsesKeepTheirTimes: a response that the loop reads up to
// 20 ms after it came is done when it came, which is while the server wrote it.
func TestCoalescedResponsesKeepTheirTimes(t *testing.T) {
	type write struct{ before, after time.Time }
	var (
		mu     sync.Mutex
		writes []write
	)
	p := listen(t, each(func(c net.Conn, _ *http.Request) bool {
		mu.Lock() // whoever has the answer waits for us to say when it was written
		defer mu.Unlock()
		before := time.Now()
		_, err := io.WriteString(c, okAnswer)
		writes = append(writes, write{before, time.Now()})
		return err == nil
	}))
	const batch = 20 * time.Millisecond
	start := time.Now()
	got, err := collect(t, t.Context(), Plan{
		Schedule: arrivals.Constant(50, time.Second), Run: 1, Loops: 1, MaxConns: 1, Batch: batch, Transport: Epoll,
		Routes: []Route{{Addr: p.addr}},
	}, start)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 50 || len(writes) != 50 {
		t.Fatalf("%d samples of %d answers, want 50 of 50", len(got), len(writes))
	}
	late := 0
	for i, w := range writes {
		done := start.Add(got[uint64(i+1)].Done)
		// The wall clock may be slewed by 500 ppm, 10 µs in a batch.
		if done.Before(w.before.Add(-100 * time.Microsecond)) {
			t.Errorf("answer %d was done %v before it was written", i, w.before.Sub(done))
		}
		if done.Sub(w.after) > batch/4 {
			late++
		}
	}
	// A busy host may hand over what was written late; left to the end of their
	// batch, all but the few of the first and last turns would be.
	if late > 25 {
		t.Errorf("%d of 50 responses were done more than %v after they were written: when they were read, not when they came", late, batch/4)
	}
}

// TestEndsOfConnectionsAreNotCoalesced: where responses end with their
// connections, of which the kernel takes no note, none is left for the end of a
// batch, nor done before its end. A host that is late is as late to a load
// without batches, which goes on beside it.
func TestEndsOfConnectionsAreNotCoalesced(t *testing.T) {
	const n, batch, pause = 250, 40 * time.Millisecond, 5 * time.Millisecond
	var (
		mu   sync.Mutex
		ends = map[string][2]time.Time{} // by path
	)
	p := listen(t, each(func(c net.Conn, r *http.Request) bool {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nok")
		time.Sleep(pause)
		mu.Lock() // whoever has the response waits for us to say when it ended
		defer mu.Unlock()
		before := time.Now()
		_ = c.Close()
		ends[r.URL.Path] = [2]time.Time{before, time.Now()}
		return false
	}))
	start := time.Now()
	late := func(name string, batch time.Duration) (late int) {
		got, err := collect(t, t.Context(), Plan{
			Schedule: arrivals.Constant(n, time.Second), Run: 1, Loops: 1, Batch: batch, Transport: Epoll,
			Routes: []Route{{Addr: p.addr, Path: "/" + name + "/${seq}"}},
		}, start)
		mu.Lock()
		defer mu.Unlock()
		if err != nil || len(got) != n {
			t.Errorf("%s: %d samples, %v, want %d", name, len(got), err, n)
		}
		for id, s := range got {
			end, ok := ends[fmt.Sprintf("/%s/%d", name, id)]
			done := start.Add(s.Done)
			if !ok || done.Before(end[0].Add(-100*time.Microsecond)) {
				t.Errorf("%s: answer %d was done %v before it ended", name, id, end[0].Sub(done))
			}
			if done.Sub(end[1]) > 2*time.Millisecond {
				late++
			}
		}
		return late
	}
	var together sync.WaitGroup
	var batched, single int
	together.Go(func() { batched = late("batched", batch) })
	together.Go(func() { single = late("single", 0) })
	together.Wait()
	if batched > single+n/3 {
		t.Errorf("%d of %d responses were done more than 2ms after they ended, %d without batches", batched, n, single)
	}
}

func TestCanCoalesce(t *testing.T) {
	ready := func() *loop {
		return &loop{program: &program{}, clock: newClock(time.Now()), next: arrival{intended: time.Second}, pools: make([]pool, 1)}
	}
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		but     func(*loop)
		want    bool
	}{
		{"nothing waits", coalesceFor, func(*loop) {}, true},
		{"spinning", 0, func(*loop) {}, false},
		{"the next is due in a while", coalesceFor + 1, func(*loop) {}, false},
		{"but in the next batch", coalesceFor + 1, func(l *loop) { l.Batch = 2 * coalesceFor }, true},
		{"the schedule is over", coalesceFor, func(l *loop) { l.next.intended = never }, false},
		{"an arrival waits for a connection", coalesceFor, func(l *loop) { l.pools[0].queue.push(arrival{}) }, false},
		{"a connection is being dialled", coalesceFor, func(l *loop) { l.pools[0].dialling = 1 }, false},
		{"one will be", coalesceFor, func(l *loop) { l.refill = true }, false},
		{"a response has ended with its connection", coalesceFor, func(l *loop) { l.noTimestamp(true) }, false},
		{"a connection broke", coalesceFor, func(l *loop) { l.noTimestamp(false) }, false},
		{"it did long ago", coalesceFor, func(l *loop) { l.noTimestamp(false); l.turns[0] = l.coalesceAfter }, true},
		{"a response is half read", coalesceFor, func(l *loop) { l.partial = true }, false},
	} {
		l := ready()
		tt.but(l)
		if got := l.canCoalesce(tt.timeout); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
