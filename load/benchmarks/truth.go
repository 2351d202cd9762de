package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/stormctl/stormctl/load/benchmarks/bench"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/meter"
	"github.com/stormctl/stormctl/load/poll"
)

// behaviour is what a target does that is known exactly: how long it takes for
// its n-th request, which comes at a time since the start, and whether it closes
// the connection instead of answering.
type behaviour struct {
	name     string
	rates    []int
	takes    func(n int64, at time.Duration) time.Duration
	refuses  func(n int64) bool
	expected func(duration time.Duration) quantiles // for arrivals that are even, in ms
	failing  float64                                // share of requests, in percent
}

const (
	knownConns = 64 // of each program at most

	stallEvery = 10 * time.Second
	stallFor   = 100 * time.Millisecond
)

var behaviours = []behaviour{
	{
		name: "1 ms, always", rates: []int{200, 2000},
		takes:    func(int64, time.Duration) time.Duration { return time.Millisecond },
		expected: func(time.Duration) quantiles { return quantiles{p50: 1, p99: 1, p999: 1, max: 1} },
	},
	{
		// An even share of the arrivals comes into the stall, and waits for the
		// rest of it: of all, the share stallFor/stallEvery waits for a time that
		// is uniform up to stallFor. 100 ms in 10 s is 1%: the p99 is where it
		// begins, the p99.9 is 90% into it.
		name: "0.2 ms, stalls 100 ms every 10 s", rates: []int{200, 2000},
		takes: func(_ int64, at time.Duration) time.Duration {
			rest := stallFor - (at+stallEvery/2)%stallEvery // in the middle of each ten seconds
			return max(200*time.Microsecond, rest)
		},
		expected: func(time.Duration) quantiles {
			return quantiles{p50: 0.2, p99: 0.2, p999: 90, max: 100}
		},
	},
	{
		name: "1 ms, and 20 ms one time in 50", rates: []int{200, 2000},
		takes: func(n int64, _ time.Duration) time.Duration {
			if n%50 == 0 {
				return 20 * time.Millisecond
			}
			return time.Millisecond
		},
		expected: func(time.Duration) quantiles { return quantiles{p50: 1, p99: 20, p999: 20, max: 20} },
	},
	{
		name: "1 ms, closes without an answer one time in 1,000", rates: []int{2000},
		takes:    func(int64, time.Duration) time.Duration { return time.Millisecond },
		refuses:  func(n int64) bool { return n%1000 == 0 },
		expected: func(time.Duration) quantiles { return quantiles{p50: 1, p99: 1, p999: 1, max: 1} },
		failing:  0.1,
	},
}

// known is a server with a behaviour. Each connection has a thread, because a
// thread's sleep ends within microseconds and a timer of Go's within a
// millisecond.
type known struct {
	behaviour
	listener net.Listener
	start    time.Time
	count    atomic.Int64
	serving  sync.WaitGroup

	mu   sync.Mutex
	took *hist.Histogram // what it really took, from the request's last byte to the answer
}

func serve(b behaviour) (*known, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &known{behaviour: b, listener: l, start: time.Now(), took: hist.New()}
	k.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			k.serving.Go(func() { k.connection(c) })
		}
	})
	return k, nil
}

func (k *known) connection(c net.Conn) {
	runtime.LockOSThread() // for good: its timer slack is its own
	poll.MinimizeTimerSlack()
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		came := time.Now()
		n := k.count.Add(1)
		if k.refuses != nil && k.refuses(n) {
			return
		}
		takes := k.takes(n, came.Sub(k.start))
		for left := takes; left > 0; left = takes - time.Since(came) { // a signal ends a sleep
			poll.Sleep(left) // truth has enough Ps
		}
		k.note(time.Since(came))
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil || r.Close {
			return
		}
	}
}

func (k *known) note(took time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.took.Record(took)
}

// Requests is how many have come.
func (k *known) Requests() (int64, error) { return k.count.Load(), nil }

// CPU is that of this process, which it is a part of.
func (k *known) CPU() (time.Duration, error) { return meter.CPUTime(), nil }

// truth has each program measure each behaviour and prints the medians of what
// it says beside what is so.
func truth(ctx context.Context, stormctl string, rounds int, duration time.Duration, only string) error {
	if stormctl == "" {
		return errors.New("-stormctl PROGRAM is missing; `make bench-truth` gives it")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(knownConns + 8)) // see connection
	dir, err := os.MkdirTemp("", "bench-truth")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "target\trate\tprogram\tp50 ms\tp99 ms\tp99.9 ms\tmax ms\t")
	for _, b := range behaviours {
		for _, rate := range b.rates {
			e := b.expected(duration)
			fmt.Fprintf(w, "%s\t%d/s\tthe truth\t%s\n", b.name, rate, latencies(e.p50, e.p99, e.p999, e.max))
			s := setup{dir: dir, conns: knownConns, duration: duration, rate: rate}
			peers := installed(s, stormctl, only)
			var took hist.Summary
			results, err := inRounds(rounds, fmt.Sprintf("%s %d/s ", b.name, rate), peers, func(p peer) (m bench.Measurement, err error) {
				m, took, err = tell(ctx, s, b, p)
				return m, err
			}, func(m bench.Measurement) string {
				return fmt.Sprintf("%s; the target took p50 %v p99 %v p99.9 %v max %v", text(m), took.P50, took.P99, took.P999, took.Max)
			})
			if err != nil {
				return err
			}
			for i, p := range peers {
				m := medians(results[i])
				fmt.Fprintf(w, "\t\t%s\t%s\n", p.name, latencies(m[p50], m[p99], m[p999], m[longest]))
			}
		}
	}
	return w.Flush()
}

// latencies are cells of the table.
func latencies(ms ...float64) (cells string) {
	for _, ms := range ms {
		cells += latencyText(ms) + "\t"
	}
	return cells
}

// tell has a program measure a behaviour; took is what it really was.
func tell(ctx context.Context, s setup, b behaviour, p peer) (m bench.Measurement, took hist.Summary, err error) {
	k, err := serve(b)
	if err != nil {
		return m, took, err
	}
	defer k.serving.Wait()
	defer k.listener.Close()
	s.target, s.addr = k, k.listener.Addr().String()
	m, err = measure(ctx, s, p)
	k.mu.Lock()
	defer k.mu.Unlock()
	return m, k.took.Summary(), err
}
