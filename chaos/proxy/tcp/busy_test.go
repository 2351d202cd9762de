package tcp

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

var (
	busyFor   = flag.Duration("busy", 3*time.Second, "how long toxics change under busy connections; from 10s on, the times of changes are judged too")
	busyConns = flag.Int("busy-connections", 100, "how many")
)

// talkers is the environment variable that makes this program the callers and
// the dependency of TestStreamNothingIsLostWhileToxicsChange: how many
// connections, and for how long. They are another process, as they are in
// earnest, so that what is measured is the relay's process alone.
const talkers = "STORMCTL_TEST_TALKERS"

func TestMain(m *testing.M) {
	if what := os.Getenv(talkers); what != "" {
		if err := talk(what); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// talk tells where its dependency listens, reads where to dial, and moves bytes
// both ways on every connection. What arrives has to be what was sent, in its
// order.
func talk(what string) error {
	var conns int
	var lasts time.Duration
	if _, err := fmt.Sscan(what, &conns, (*int64)(&lasts)); err != nil {
		return err
	}
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Println(server.Addr())
	var relay string
	if _, err := fmt.Scan(&relay); err != nil {
		return err
	}
	ends := make([]*net.TCPConn, 0, 2*conns)
	for range conns {
		conn, err := net.Dial("tcp", relay)
		if err != nil {
			return err
		}
		up, err := server.Accept() // before the next is dialled: so it is known whose it is
		if err != nil {
			return err
		}
		ends = append(ends, conn.(*net.TCPConn), up.(*net.TCPConn))
	}
	fmt.Println("all connected")
	end := time.Now().Add(lasts)
	var wg sync.WaitGroup
	var sent, arrived, wrong atomic.Int64
	for i, conn := range ends {
		stream := uint64(i)
		conn.SetDeadline(end.Add(3 * wiretest.Patience))
		wg.Go(func() {
			n, err := sendUntil(conn, stream, end)
			sent.Add(int64(n))
			if err != nil {
				wrong.Add(1)
				fmt.Printf("stream %d at %d: %v\n", stream, n, err)
			}
		})
		wg.Go(func() {
			n, err := arrives(conn, stream^1)
			arrived.Add(int64(n))
			if err != nil {
				wrong.Add(1)
				fmt.Println(err)
			}
		})
	}
	wg.Wait()
	for _, conn := range ends {
		conn.Close()
	}
	if n := wrong.Load(); n > 0 || sent.Load() != arrived.Load() {
		return fmt.Errorf("%d streams went wrong; %d bytes were sent and %d arrived", n, sent.Load(), arrived.Load())
	}
	fmt.Println("moved", sent.Load())
	return nil
}

// sendUntil sends messages of all sizes, some streams larger ones, until the end.
func sendUntil(conn *net.TCPConn, stream uint64, end time.Time) (at int, err error) {
	rng := rand.New(rand.NewPCG(7, stream))
	chunk := make([]byte, 2<<20) // that is in bulk
	for time.Now().Before(end) {
		n := []int{1, 40, 700}[rng.IntN(3)]
		if stream%16 == 0 {
			n = []int{100, 5_000, len(chunk)}[rng.IntN(3)]
		}
		fill(chunk[:n], stream, at)
		if _, err := conn.Write(chunk[:n]); err != nil {
			return at, err
		}
		at += n
		time.Sleep(time.Duration(rng.IntN(int(20*time.Millisecond))) * time.Duration(1+n/100_000))
	}
	return at, conn.CloseWrite()
}

// TestStreamNothingIsLostWhileToxicsChange moves bytes both ways on many
// connections, while toxics that hold, delay, cut and narrow come and go 1,000
// times a second.
func TestStreamNothingIsLostWhileToxicsChange(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", talkers, *busyConns, *busyFor))
	cmd.Stderr = os.Stderr
	in, _ := cmd.StdinPipe()
	pipe, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewScanner(pipe)
	out.Scan()
	l := listen(t, out.Text())
	fmt.Fprintln(in, l.Addr())
	if out.Scan(); out.Text() != "all connected" {
		t.Fatal(out.Text())
	}

	some := toxic.Select{Share: 0.5}
	toxics := []toxic.Toxic{
		toxic.Latency{Delay: 3 * time.Millisecond, Jitter: 3 * time.Millisecond, Select: toxic.All},
		toxic.Latency{Delay: 10 * time.Millisecond, Select: some},
		toxic.Bandwidth{Rate: 100_000, Select: some},
		toxic.Slicer{Size: 300, Variation: 200, Delay: 50 * time.Microsecond, Select: some},
		toxic.Partition{Select: some},
		toxic.Timeout{Select: some},
		toxic.Flap{Up: 2 * time.Millisecond, Down: time.Millisecond, Select: some},
		// These are there, but have nothing to do meanwhile.
		toxic.LimitData{Bytes: 1 << 50, Select: some},
		toxic.SlowClose{Delay: 5 * time.Millisecond, Select: toxic.All},
		toxic.SlowConnect{Delay: hour, Select: toxic.All},
	}
	const busy = 7
	var changes, slow, slowest atomic.Int64
	change := func(do func()) {
		begin := time.Now()
		do()
		took := time.Since(begin)
		changes.Add(1)
		if took > 100*time.Millisecond {
			slow.Add(1)
		}
		for w := slowest.Load(); int64(took) > w && !slowest.CompareAndSwap(w, int64(took)); w = slowest.Load() {
		}
	}
	const rate = 1000 // changes per second, of all together
	begin := time.Now()
	var wg sync.WaitGroup
	for i, tx := range toxics {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(8, uint64(i)))
			for n := 0; time.Since(begin) < *busyFor; n += 2 {
				time.Sleep(time.Until(begin.Add(time.Duration(n*len(toxics)+i) * time.Second / rate)))
				var remove func()
				change(func() { remove = l.AddOn(i, toxic.Direction(rng.IntN(3)), tx) })
				time.Sleep(time.Until(begin.Add(time.Duration((n+1)*len(toxics)+i) * time.Second / rate)))
				change(remove)
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	for out.Scan() {
		t.Log(out.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	for range *busyConns {
		l.recordedAs(evidence.Answered)
	}
	for i, tx := range toxics[:busy] {
		if l.Hit(i) == 0 {
			t.Errorf("%v hit nothing: this has shown nothing about it", tx)
		}
	}
	perSecond := float64(changes.Load()) / took.Seconds()
	t.Logf("%d changes in %v (%.0f/s) under %d connections, the slowest took %v", changes.Load(), took, perSecond, *busyConns, time.Duration(slowest.Load()))
	if *busyFor < 10*time.Second {
		return
	}
	if n := slow.Load(); n > 0 {
		t.Errorf("%d changes took longer than 100 ms", n)
	}
	if perSecond < 0.95*rate {
		t.Errorf("%.0f changes a second, want %d: this has not shown enough", perSecond, rate)
	}
}

func (l *testLink) recordedAs(how evidence.Ending) {
	l.T.Helper()
	if x := l.Next(); x.Ending != how {
		l.T.Errorf("recorded %v, want %v", x.Ending, how)
	}
}

// TestStreamCallersComeAndGo opens and ends connections in every way, under
// toxics that end them too, and closes the relay under them: each is recorded
// once.
func TestStreamCallersComeAndGo(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var servers sync.WaitGroup
	servers.Go(func() {
		for i := 0; ; i++ {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			servers.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(wiretest.Patience))
				switch i % 4 {
				case 0:
					transport.Reset(conn.(*net.TCPConn))
				case 1:
					io.ReadFull(conn, make([]byte, 10))
				default:
					io.Copy(conn, conn)
				}
			})
		}
	})
	r, err := Listen(Config{Config: wiretest.ConfigOf(server.Addr().String())})
	if err != nil {
		t.Fatal(err)
	}
	r.Serve()
	var observed atomic.Uint64
	r.Record(time.Now(), func(evidence.Exchange) { observed.Add(1) })
	var stop atomic.Bool
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := 0; !stop.Load(); j++ {
				conn, err := net.Dial("tcp", r.Addr())
				if err != nil {
					if !isGone(err) {
						t.Error(err)
					}
					continue
				}
				conn.SetDeadline(time.Now().Add(wiretest.Patience))
				conn.Write(make([]byte, 1+j%20*1000))
				if j%3 == 0 {
					io.ReadFull(conn, make([]byte, 10))
				}
				if (i+j)%2 == 0 {
					transport.Reset(conn.(*net.TCPConn))
				}
				conn.Close()
			}
		})
	}
	for i, tx := range []toxic.Toxic{
		toxic.Down{Select: toxic.Select{Share: 0.2}}, toxic.Down{Select: toxic.All}, toxic.ResetPeer{Select: toxic.Select{Share: 0.1}}, toxic.LimitData{Bytes: 1000, Select: toxic.Select{Share: 0.5}},
		toxic.HalfOpen{Select: toxic.Select{Share: 0.1}}, toxic.Timeout{After: time.Millisecond, Select: toxic.Select{Share: 0.3}},
		toxic.SlowConnect{Delay: time.Millisecond, Select: toxic.Select{Share: 0.5}}, toxic.Slicer{Size: 100, Select: toxic.Select{Share: 0.5}},
	} {
		wg.Go(func() {
			for !stop.Load() {
				remove, err := r.Add(i, tx, toxic.Both)
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(2 * time.Millisecond)
				remove()
				time.Sleep(time.Duration(5+i) * time.Millisecond)
			}
		})
	}
	for begin := time.Now(); observed.Load() < 2000 && time.Since(begin) < wiretest.Patience; {
		time.Sleep(time.Millisecond)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	stop.Store(true)
	wg.Wait()
	if got, want := observed.Load(), r.Began(); got != want || got < 2000 {
		t.Errorf("%d connections observed of %d, want 2000 at least", got, want)
	}
	if n := r.InFlight() + r.Connections(); n != 0 {
		t.Errorf("%d in flight or open", n)
	}
	server.Close()
	servers.Wait()
}

// isGone reports whether nobody listens, or who did has left.
func isGone(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET)
}
