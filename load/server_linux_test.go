package load

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/load/arrivals"
)

// everyTransport are those that this machine has, for a test that runs on each.
// It skips the test where TestTransports would have it run again.
func everyTransport(t *testing.T) []string {
	t.Helper()
	if os.Getenv(transportVariable) != "" {
		t.Skip("it runs on every transport by itself")
	}
	return slices.DeleteFunc(Transports(), func(name string) bool { return name == IOURing && !ringAllowed() })
}

func TestMain(m *testing.M) {
	make, err := transportOf(cmp.Or(os.Getenv(transportVariable), Transports()[0]))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	systemTransports[""] = make
	goleak.VerifyTestMain(m)
}

func TestTransports(t *testing.T) {
	if testing.Short() || os.Getenv(transportVariable) != "" {
		t.Skip("the other transports take as long again each")
	}
	for _, name := range Transports()[1:] {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == IOURing && !ringAllowed() {
				t.Skip("this kernel, or a sandbox, has no io_uring for us")
			}
			child := exec.Command(os.Args[0], "-test.timeout=4m")
			child.Env = append(os.Environ(), transportVariable+"="+name)
			if out, err := child.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// peer is a server of which the tests decide every byte.
type peer struct {
	addr     string
	accepted atomic.Int64
}

// listen serves each connection by one call of serve, which must return when
// its connection is closed. All are closed and waited for at the end.
func listen(t testing.TB, serve func(net.Conn)) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{addr: l.Addr().String()}
	var (
		mu     sync.Mutex
		conns  []net.Conn
		closed bool
		wg     sync.WaitGroup
	)
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.accepted.Add(1)
			mu.Lock()
			conns = append(conns, c)
			if closed {
				c.Close()
			}
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		closed = true
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return p
}

// each calls answer for every request on a connection until it returns false.
func each(answer func(c net.Conn, r *http.Request) bool) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			if !answer(c, r) {
				return
			}
		}
	}
}

// says answers every request with the same bytes.
func says(text string) func(net.Conn) {
	return each(func(c net.Conn, _ *http.Request) bool {
		_, err := io.WriteString(c, text)
		return err == nil
	})
}

// saysAndCloses answers one request and closes.
func saysAndCloses(text string) func(net.Conn) {
	return each(func(c net.Conn, _ *http.Request) bool {
		io.WriteString(c, text)
		return false
	})
}

// saysAnything answers whatever it reads, and allocates nothing.
func saysAnything(c net.Conn) {
	buf, answer := make([]byte, 4096), []byte(okAnswer)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// hang answers nothing until the connection is closed.
func hang(c net.Conn) { io.Copy(io.Discard, c) }

// fullBacklog is an address where dials neither succeed nor fail: the queue of
// connections nobody accepts is full, and Linux then ignores what comes.
func fullBacklog(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*unix.SockaddrInet4).Port}).String()
	for {
		c, err := net.DialTimeout("tcp", addr, 50*time.Millisecond)
		if err != nil {
			return addr // it is full
		}
		t.Cleanup(func() { c.Close() })
	}
}

// at is a schedule of given times.
func at(times ...time.Duration) arrivals.Schedule { return listed(times) }

// collect runs a plan and returns its samples by id. It fails the test if an
// arrival is observed twice.
func collect(t testing.TB, ctx context.Context, p Plan, start time.Time) (map[uint64]Sample, error) {
	t.Helper()
	shards := make([][]Sample, Shards(p))
	err := Run(ctx, p, start, func(k int, s Sample) { shards[k] = append(shards[k], s) })
	samples := map[uint64]Sample{}
	for _, shard := range shards {
		for _, s := range shard {
			if old, twice := samples[s.ID]; twice {
				t.Errorf("arrival %d was observed twice: %+v and %+v", s.ID, old, s)
			}
			samples[s.ID] = s
			checkSample(t, p, s)
		}
	}
	return samples, err
}

// checkSample checks what holds for every sample.
func checkSample(t testing.TB, p Plan, s Sample) {
	t.Helper()
	answered := s.Outcome.Answered()
	switch {
	case s.ID == 0 || s.Route < 0 || s.Route >= len(p.Routes) || s.Outcome >= outcomes:
		t.Errorf("impossible: %+v", s)
	case s.Done < s.Intended || s.Outcome == Unsent && s.Sent != 0:
		t.Errorf("times: %+v", s)
	case s.Outcome != Unsent && (s.Sent < s.Intended || s.Done < s.Sent):
		t.Errorf("times: %+v", s)
	case answered != (s.Status != 0) || answered && s.Outcome != Wrong && OutcomeOf(s.Status) != s.Outcome:
		t.Errorf("status does not fit the outcome: %+v", s)
	}
}

// mustCollect is collect for a run that goes to its end: arrivals 1..n are all
// there.
func mustCollect(t testing.TB, p Plan) []Sample {
	t.Helper()
	byID, err := collect(t, context.Background(), p, time.Now())
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	n := 0
	for range p.Schedule.Arrivals() {
		n++
	}
	if len(byID) != n {
		t.Errorf("%d arrivals observed, %d were due", len(byID), n)
	}
	samples := make([]Sample, n)
	for i := range samples {
		s, ok := byID[uint64(i+1)]
		if !ok {
			t.Fatalf("arrival %d was not observed", i+1)
		}
		samples[i] = s
	}
	return samples
}
