//go:build linux && !portable

package tcp

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/poll"
)

// TestFastPath: connections on the fast path are what they are without it. Here
// they are promoted after their first message, so each test leaves it when it asks for
// more than that.
func TestFastPath(t *testing.T) {
	if !poll.HasRing() {
		t.Skip("this kernel, or a sandbox, has no io_uring for us: there is no fast path")
	}
	testPromoteAfter = 1
	defer func() { testPromoteAfter = 0 }()
	for _, tt := range []struct {
		name string
		test func(*testing.T)
	}{
		{"bytes", TestStreamPassesBytes}, {"ends", TestStreamPassesEnds}, {"backpressure", TestStreamBackpressure},
		{"bulk", TestStreamCarriesBulk}, {"toxics in bulk", TestStreamToxicsMeetBulk}, {"delays", TestStreamDelays},
		{"bandwidth", TestStreamBandwidthMakesTheSenderWait}, {"jitter", TestStreamJitterKeepsOrder},
		{"slow close", TestStreamSlowClose}, {"timeout", TestStreamTimeoutCloses}, {"reset peer", TestStreamResetPeer},
		{"limit", TestStreamLimitData}, {"limit heals", TestStreamLimitDataHeals}, {"down", TestStreamDown},
		{"partition", TestStreamPartitionHoldsEnds}, {"half open", TestStreamHalfOpen}, {"flap", TestStreamFlapCycles},
		{"nothing is lost", TestStreamNothingIsLostWhileToxicsChange}, {"come and go", TestStreamCallersComeAndGo},
		{"redis", TestStreamRedis},
	} {
		t.Run(tt.name, tt.test)
	}
}

// onFastPath is one connection through a relay that is on the fast path. 40 bytes
// have passed each way.
func onFastPath(t *testing.T) (l *testLink, c, up *wiretest.Caller) {
	t.Helper()
	if !poll.HasRing() {
		t.Skip("this kernel, or a sandbox, has no io_uring for us: there is no fast path")
	}
	l, c, up = linked(t)
	for range 20 {
		c.Send("hi")
		up.Expect("hi")
		up.Send("ho")
		c.Expect("ho")
	}
	l.promotes(1)
	return l, c, up
}

// promotes waits until connections have been promoted so many times.
func (l *testLink) promotes(times int64) {
	l.T.Helper()
	for begin := time.Now(); l.relay.promotions.Load() < times; time.Sleep(time.Millisecond) {
		if time.Since(begin) > wiretest.Patience {
			l.T.Fatalf("promoted %d times, want %d", l.relay.promotions.Load(), times)
		}
	}
}

// TestFastPathEnds: every way to end is seen by the other side, behind what was
// sent before, and the record tells.
func TestFastPathEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		how  evidence.Ending
		end  func(t *testing.T, c, up *wiretest.Caller)
	}{
		{"half-closes", evidence.Answered, func(t *testing.T, c, up *wiretest.Caller) {
			c.Send("last")
			c.CloseWrite()
			up.Expect("last")
			if err := up.End(); err != nil {
				t.Errorf("the dependency saw %v, want a FIN", err)
			}
			up.Send("still there")
			up.CloseWrite()
			c.Expect("still there")
			if err := c.End(); err != nil {
				t.Errorf("the caller saw %v, want a FIN", err)
			}
		}},
		{"the caller resets", evidence.CallerGone, func(t *testing.T, c, up *wiretest.Caller) {
			transport.Reset(c.TCPConn)
			if err := up.End(); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the dependency saw %v, want a reset", err)
			}
		}},
		{"the dependency resets", evidence.Failed, func(t *testing.T, c, up *wiretest.Caller) {
			transport.Reset(up.TCPConn)
			if err := c.End(); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the caller saw %v, want a reset", err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, c, up := onFastPath(t)
			tt.end(t, c, up)
			l.tellsOf(tt.how, 0)
		})
	}
}

// TestFastPathToxicTakesHold of a connection that is on it, with the next byte, and
// when it is healed the connection is promoted again.
func TestFastPathToxicTakesHold(t *testing.T) {
	l, c, up := onFastPath(t)
	remove := l.AddOn(1, toxic.Both, toxic.Partition{Select: toxic.All})
	c.Send("held")
	up.Silent()
	up.Send("held, too")
	c.Silent()
	remove()
	up.Expect("held")
	c.Expect("held, too")
	for range 20 {
		c.Send("hi")
		up.Expect("hi")
	}
	l.promotes(2)
	if err := l.Close(); err != nil { // under a connection that is on it
		t.Error(err)
	}
	if err := c.End(); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the caller saw %v", err)
	}
	if x := l.tellsOf(evidence.Cut, 1<<1); x.Extra().BytesUp != 40+4+40 || x.Extra().BytesDown != 40+9 {
		t.Errorf("recorded %d bytes up and %d down", x.Extra().BytesUp, x.Extra().BytesDown)
	}
}

// TestFastPathLimits: a limit counts from the byte on that came after it.
func TestFastPathLimits(t *testing.T) {
	l, c, up := onFastPath(t)
	l.AddOn(2, toxic.Upstream, toxic.LimitData{Bytes: 3, Select: toxic.All})
	c.Send("abcdef")
	up.Expect("abc")
	up.End()
	if x := l.tellsOf(evidence.Broken, 1<<2); x.Extra().BytesUp != 40+3 {
		t.Errorf("recorded %d bytes up", x.Extra().BytesUp)
	}
}

// TestFastPathBackpressure: what finds no room waits, and the sender with it.
func TestFastPathBackpressure(t *testing.T) {
	l, c, up := onFastPath(t)
	up.SetReadBuffer(4 << 10)
	message, sent := make([]byte, 3000), 0
	c.SetWriteDeadline(time.Now().Add(2 * time.Second))
	for sent < 64<<20 { // more than all buffers on the way
		fill(message, 3, sent)
		n, err := c.Write(message)
		if sent += n; err != nil {
			break
		}
		if sent < 8<<20 {
			time.Sleep(10 * time.Microsecond) // so that the relay sees small messages until there is no room
		}
	}
	c.CloseWrite()
	up.SetReadBuffer(4 << 20)
	if n, err := arrives(up.In, 3); err != nil || n != sent || sent == 64<<20 {
		t.Errorf("%d bytes arrived of %d, %v", n, sent, err)
	}
	up.Close()
	c.End()
	if x := l.tellsOf(evidence.Answered, 0); x.Extra().BytesUp != uint64(40+sent) || l.Bytes(toxic.Upstream) != x.Extra().BytesUp {
		t.Errorf("%d bytes were sent, recorded %d, counted %d", 40+sent, x.Extra().BytesUp, l.Bytes(toxic.Upstream))
	}
}

// TestFastPathSlowReader: a receiver that has room now and then gets all in order.
func TestFastPathSlowReader(t *testing.T) {
	l, c, up := onFastPath(t)
	// Room for one segment of the loopback's 64 KiB at the least: with less, the sender's
	// kernel takes the window for silly and waits for its persist timer, 200 ms for each 4 KiB.
	up.SetReadBuffer(128 << 10)
	const messages = 8000
	var wg sync.WaitGroup
	wg.Go(func() {
		rng := rand.New(rand.NewPCG(9, 9))
		message, sent := make([]byte, 3000), 0
		for range messages {
			n := 1 + rng.IntN(len(message))
			fill(message[:n], 5, sent)
			if _, err := c.Write(message[:n]); err != nil {
				t.Error(err)
				return
			}
			sent += n
			time.Sleep(10 * time.Microsecond)
		}
		c.CloseWrite()
	})
	if n, err := arrives(slowly{up.In}, 5); err != nil {
		t.Errorf("after %d bytes: %v", n, err)
	}
	wg.Wait()
	up.Close()
	l.tellsOf(evidence.Answered, 0)
}

// slowly reads some, and waits.
type slowly struct{ io.Reader }

func (s slowly) Read(b []byte) (int, error) {
	time.Sleep(100 * time.Microsecond)
	return s.Reader.Read(b[:min(len(b), 12_000)])
}

// TestFastPathResetUnderWay: a reset is one, whether the relay hears of it by what
// it receives or by what it sends.
func TestFastPathResetUnderWay(t *testing.T) {
	for range 100 {
		l, c, up := onFastPath(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			for err := error(nil); err == nil; {
				_, err = c.Write([]byte("more"))
			}
		})
		up.Expect("more")
		transport.Reset(up.TCPConn)
		l.tellsOf(evidence.Failed, 0)
		wg.Wait()
	}
}

// TestFastPathChanges: connections that are promoted and demoted all the time, for toxics
// and for bulk, lose nothing.
func TestFastPathChanges(t *testing.T) {
	if !poll.HasRing() {
		t.Skip("this kernel, or a sandbox, has no io_uring for us: there is no fast path")
	}
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	const conns, messages = 8, 400
	var wg sync.WaitGroup
	for i := range uint64(conns) {
		c := l.Dial()
		up := d.Take()
		for way, ends := range [][2]*wiretest.Caller{{c, up}, {up, c}} {
			stream := 2*i + uint64(way)
			wg.Go(func() {
				if err := chatters(ends[0], stream, messages); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if n, err := arrives(ends[1].In, stream); err != nil {
					t.Errorf("after %d bytes: %v", n, err)
				}
			})
		}
	}
	over := make(chan struct{})
	var toxics sync.WaitGroup
	toxics.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-over:
				return
			case <-time.After(time.Duration(1+i%50) * time.Millisecond):
			}
			l.AddOn(0, toxic.Direction(i%3), toxic.Slicer{Size: 100, Select: toxic.All})()
		}
	})
	wg.Wait()
	close(over)
	toxics.Wait()
	if n := l.relay.promotions.Load(); n < 5*conns {
		t.Errorf("promoted %d times: this has not shown enough", n)
	}
	for range conns {
		l.recordedAs(evidence.Answered)
	}
}

// chatters sends messages, most of them small, and the end.
func chatters(c *wiretest.Caller, stream uint64, messages int) error {
	rng := rand.New(rand.NewPCG(9, stream))
	chunk, sent := make([]byte, 300_000), 0
	for n := range messages {
		size := 1 + rng.IntN(2000)
		if n%100 == 99 {
			size = len(chunk)
		}
		fill(chunk[:size], stream, sent)
		if _, err := c.Write(chunk[:size]); err != nil {
			return err
		}
		sent += size
		time.Sleep(time.Duration(rng.IntN(3)) * time.Millisecond)
	}
	return c.CloseWrite()
}

// TestFastPathSendIsOver once it is handed over, however long nothing is sent to
// that side again: the numbers of entries come round, in hours where there is
// much to send to others.
func TestFastPathSendIsOver(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := &loop{}
	f, p := &l.fast, &session{loop: l, relay: &Relay{}, fast: true}
	f.loop, l.sessions = l, []*session{p}
	if !f.open() {
		t.Skip("this kernel, or a sandbox, has no io_uring for us: there is no fast path")
	}
	defer f.close()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	to := &p.peers[dependencySide]
	to.fd = fds[0]
	f.pass(p, callerSide, 0, 5)
	if !to.sends {
		t.Error("a message is said to be sent before it was handed over")
	}
	if _, err := f.enter(0, true); err != nil {
		t.Fatal(err)
	}
	if to.sends || len(f.lent) > 0 {
		t.Errorf("a message that was handed over is said to be on its way (%t), and holds %d buffers", to.sends, len(f.lent))
	}
	var got [6]byte
	if n, errno := poll.Receive(fds[1], got[:]); n != 5 || errno != 0 {
		t.Errorf("%d bytes came, %v", n, errno)
	}
}

// TestFastPathRingBreaks: a ring that nothing can be handed over to any more is an
// error of the next wait, and keeps nobody, however much there was to hand over.
func TestFastPathRingBreaks(t *testing.T) {
	over := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		l := &loop{}
		l.fast.loop = l
		if !l.fast.open() {
			over <- nil
			return
		}
		defer l.fast.close()
		if err := breakRings(); err != nil {
			over <- nil
			t.Error(err)
			return
		}
		for range 2 * fastEntries {
			l.fast.next().Opcode = poll.OpPollAdd
		}
		_, err := l.fast.enter(0, true)
		over <- err
	}()
	select {
	case err := <-over:
		if err == nil && poll.HasRing() {
			t.Error("nothing is said of a broken ring")
		}
	case <-time.After(wiretest.Patience):
		t.Fatal("it waits for a broken ring")
	}
}

// breakRings puts something else in the place of this process's rings.
func breakRings() error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	const fds = "/proc/self/fd/"
	entries, err := os.ReadDir(fds)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if to, err := os.Readlink(fds + e.Name()); err != nil || to != "anon_inode:[io_uring]" {
			continue
		}
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return err
		}
		if err := unix.Dup3(int(null.Fd()), fd, unix.O_CLOEXEC); err != nil {
			return err
		}
	}
	return nil
}

// A ring that could not be had is asked for again.
func TestRingIsAskedForAgain(t *testing.T) {
	if !poll.HasRing() {
		t.Skip("this kernel, or a sandbox, has no io_uring for us: there is no fast path")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := &loop{now: time.Second}
	f := &l.fast
	f.loop, f.retry = l, l.now+ringPause // as after a failure
	defer f.close()
	if f.open() {
		t.Error("it is asked for at once")
	}
	l.now += ringPause
	if !f.open() {
		t.Error("it is not asked for again")
	}
}
