//go:build !portable

package load

import (
	"os"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/arrivals"
)

// TestBestTransport: epoll where a loop may let responses wait, and io_uring, if
// it is to be had, where it may not or arrivals are dense.
func TestBestTransport(t *testing.T) {
	if os.Getenv(transportVariable) != "" {
		t.Skip("here the best one is forced")
	}
	ring := Epoll
	if ringAllowed() {
		ring = IOURing
	}
	for _, tt := range []struct {
		name string
		plan Plan
		want string
	}{
		{"sparse", Plan{Schedule: arrivals.Constant(1000, time.Second)}, Epoll},
		{"dense", Plan{Schedule: arrivals.Constant(100_000, time.Second)}, ring},
		{"dense, in batches", Plan{Schedule: arrivals.Constant(100_000, time.Second), Batch: time.Millisecond}, Epoll},
		{"pipelined", Plan{Schedule: arrivals.Constant(1000, time.Second), Pipeline: 2}, ring},
		{"closed", Plan{Closed: &Closed{Connections: 1, Duration: time.Second}}, ring},
		{"forced", Plan{Schedule: arrivals.Constant(1000, time.Second), Transport: Portable}, Portable},
	} {
		tt.plan.Run, tt.plan.Loops, tt.plan.Routes = 1, 1, []Route{{Addr: "127.0.0.1:1"}}
		if got := TransportName(tt.plan); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if tt.plan.Transport != "" {
			continue
		}
		g, err := prepare(tt.plan)
		if err != nil {
			t.Fatal(err)
		}
		g.transport = newBest
		l, err := newLoop(g, 0, newClock(time.Now()), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, isEpoll := l.net.(*epoll); isEpoll != (tt.want == Epoll) {
			t.Errorf("%s: its loop has a %T, want %s", tt.name, l.net, tt.want)
		}
		l.close()
	}
}
