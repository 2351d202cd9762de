package tcp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// testPromoteAfter is how many small messages put a connection on the fast path; 0 is
// as in earnest.
var testPromoteAfter int

// linked is one connection through a relay of connections.
func linked(t *testing.T) (l *testLink, c, up *wiretest.Caller) {
	t.Helper()
	d := wiretest.NewDependency(t)
	l = listen(t, d.Address())
	c = l.Dial()
	return l, c, d.Take()
}

// tellsOf checks the next record.
func (l *testLink) tellsOf(how evidence.Ending, faults uint64) evidence.Exchange {
	l.T.Helper()
	x := l.Next()
	if x.Ending != how || x.Faults != faults {
		l.T.Errorf("recorded %v with faults %b, want %v with %b", x.Ending, x.Faults, how, faults)
	}
	return x
}

func TestStreamPassesBytes(t *testing.T) {
	l, c, up := linked(t)
	up.Send("220 who speaks first\r\n")
	c.Expect("220 who speaks first\r\n")
	c.Send("EHLO\r\n")
	up.Expect("EHLO\r\n")
	if n := l.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	c.CloseWrite()
	if err := up.End(); err != nil {
		t.Errorf("the dependency saw the half-close as %v, want a FIN", err)
	}
	up.Send("still there\r\n")
	c.Expect("still there\r\n")
	up.CloseWrite()
	if err := c.End(); err != nil {
		t.Errorf("the caller saw the end as %v, want a FIN", err)
	}
	x := l.tellsOf(evidence.Answered, 0)
	if x.Conn != 1 || x.Seq != 1 || x.InFlight != 1 || x.End < x.Begin || x.Extra().BytesUp != 6 || x.Extra().BytesDown != 35 {
		t.Errorf("recorded %+v", x)
	}
	if n := l.Connections(); n != 0 {
		t.Errorf("%d connections, want none", n)
	}
	if up, down := l.Bytes(toxic.Upstream), l.Bytes(toxic.Downstream); up != 6 || down != 35 || l.Bytes(toxic.Both) != 41 {
		t.Errorf("%d and %d bytes, want 6 and 35", up, down)
	}
}

// TestStreamPassesEnds: how one side ends is how the other sees it end.
func TestStreamPassesEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(c, up *wiretest.Caller)
		want error // what the other side reads
		who  func(c, up *wiretest.Caller) *wiretest.Caller
		how  evidence.Ending
	}{
		{"caller resets", func(c, up *wiretest.Caller) { transport.Reset(c.TCPConn) }, syscall.ECONNRESET, func(c, up *wiretest.Caller) *wiretest.Caller { return up }, evidence.CallerGone},
		{"dependency resets", func(c, up *wiretest.Caller) { transport.Reset(up.TCPConn) }, syscall.ECONNRESET, func(c, up *wiretest.Caller) *wiretest.Caller { return c }, evidence.Failed},
		{"caller closes", func(c, up *wiretest.Caller) { c.Close(); up.End(); up.Close() }, nil, nil, evidence.Answered},
		{"dependency closes", func(c, up *wiretest.Caller) { up.Close(); c.End(); c.Close() }, nil, nil, evidence.Answered},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, c, up := linked(t)
			c.Send("a")
			up.Expect("a")
			tt.end(c, up)
			if tt.who != nil {
				if err := tt.who(c, up).End(); !errors.Is(err, tt.want) {
					t.Errorf("the other side saw %v, want %v", err, tt.want)
				}
			}
			l.tellsOf(tt.how, 0)
		})
	}
}

// TestStreamBackpressure: who does not read makes the sender wait, and a RST
// passes all the same.
func TestStreamBackpressure(t *testing.T) {
	l, c, up := linked(t)
	much := make([]byte, 64<<20)
	c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	if n, err := c.Write(much); err == nil {
		t.Errorf("%d bytes found room somewhere", n)
	}
	transport.Reset(c.TCPConn)
	for err := error(nil); err == nil; {
		if _, err = up.Read(make([]byte, 1<<20)); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the dependency saw %v, want a reset", err)
		}
	}
	l.tellsOf(evidence.CallerGone, 0)
}

// TestStreamDependencyRefuses: a caller that is let in already is reset, or reads an
// end where its link is told so.
func TestStreamDependencyRefuses(t *testing.T) {
	for _, fin := range []bool{false, true} {
		t.Run(fmt.Sprintf("fin=%v", fin), func(t *testing.T) {
			d := wiretest.NewDependency(t)
			d.Close()
			l := listen(t, d.Address(), func(c *Config) { c.UnreachableFIN = fin })
			conn, err := net.Dial("tcp", l.Addr())
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
				conn.Close()
			}
			want := error(syscall.ECONNRESET)
			if fin {
				want = io.EOF
			}
			if !errors.Is(err, want) {
				t.Errorf("the caller saw %v, want %v", err, want)
			}
			l.tellsOf(evidence.Failed, 0)
		})
	}
}

// TestStreamDialsNames: a name is looked up for each dial, without keeping others
// from being accepted.
func TestStreamDialsNames(t *testing.T) {
	d := wiretest.NewDependency(t)
	_, port, _ := net.SplitHostPort(d.Address())
	l := listen(t, net.JoinHostPort("localhost", port))
	c := l.Dial()
	up := d.Take()
	c.Send("a")
	up.Expect("a")
	c.Close()
	up.End()
	up.Close()
	l.tellsOf(evidence.Answered, 0)
}

// TestStreamCarriesBulk sends much both ways at once: in bulk and back to small
// messages, it is what was sent.
func TestStreamCarriesBulk(t *testing.T) {
	l, c, up := linked(t)
	const size = 32 << 20
	var wg sync.WaitGroup
	for i, way := range [][2]*wiretest.Caller{{c, up}, {up, c}} {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(7, uint64(i)))
			chunk := make([]byte, 1<<20)
			for sent := 0; sent < size; {
				n := min([]int{1, 100, 70_000, len(chunk)}[rng.IntN(4)], size-sent)
				fill(chunk[:n], uint64(i), sent)
				if _, err := way[0].Write(chunk[:n]); err != nil {
					t.Error(err)
					return
				}
				sent += n
			}
			way[0].CloseWrite()
		})
		wg.Go(func() {
			if n, err := arrives(way[1].In, uint64(i)); err != nil || n != size {
				t.Errorf("%v; got %d bytes, want %d", err, n, size)
			}
		})
	}
	wg.Wait()
	l.tellsOf(evidence.Answered, 0)
	if l.Bytes(toxic.Both) != 2*size {
		t.Errorf("counted %d bytes, want %d", l.Bytes(toxic.Both), 2*size)
	}
}

// TestStreamToxicsMeetBulk: what is in the relay's pipe when a toxic comes goes on
// before what comes behind it.
func TestStreamToxicsMeetBulk(t *testing.T) {
	for _, tx := range []toxic.Toxic{
		toxic.Latency{Delay: time.Millisecond, Select: toxic.All}, toxic.LimitData{Bytes: 1 << 40, Select: toxic.All},
		toxic.Slicer{Size: 60_000, Select: toxic.All},
	} {
		t.Run(tx.String(), func(t *testing.T) {
			l, c, up := linked(t)
			var wg sync.WaitGroup
			const size = 40 << 20 // more than all buffers on the way
			wg.Go(func() {
				piece := make([]byte, 1<<20)
				for at := 0; at < size; at += len(piece) {
					fill(piece, 1, at)
					if _, err := c.Write(piece); err != nil {
						t.Errorf("%v: %s", err, c.State())
						break
					}
				}
				c.CloseWrite()
			})
			// Nobody reads, until nothing has moved for a while.
			for last := ^uint64(0); l.Bytes(toxic.Upstream) != last || last == 0; time.Sleep(50 * time.Millisecond) {
				last = l.Bytes(toxic.Upstream)
			}
			remove := l.AddOn(0, toxic.Upstream, tx)
			first := make([]byte, 10<<20)
			if _, err := io.ReadFull(up.In, first); err == nil {
				want := make([]byte, len(first))
				if fill(want, 1, 0); !bytes.Equal(first, want) {
					t.Error("the first bytes are not those that were sent")
				}
			} else {
				t.Errorf("%v: %s", err, up.State())
			}
			remove()
			rest, err := io.ReadAll(up.In)
			want := make([]byte, len(rest))
			if fill(want, 1, len(first)); err != nil || len(rest) != size-len(first) || !bytes.Equal(rest, want) {
				t.Errorf("%d bytes followed, %v; want the %d others: %s", len(rest), err, size-len(first), up.State())
			}
			wg.Wait()
			up.Close()
			c.End()
			var faults uint64 = 1
			if _, never := tx.(toxic.LimitData); never {
				faults = 0 // it is not reached
			}
			l.tellsOf(evidence.Answered, faults)
		})
	}
}

// static is what streams consist of: its length has nothing in common with
// that of any buffer.
var babble = func() []byte {
	b := make([]byte, 1<<16+1)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}()

// fill makes each byte depend on where it is in its stream.
func fill(b []byte, stream uint64, from int) {
	for at := (from + int(wire.Mix(stream)>>40)) % len(babble); len(b) > 0; at = 0 {
		b = b[copy(b, babble[at:]):]
	}
}

// arrives reads to the end, and checks that each byte is where it was sent to.
func arrives(r io.Reader, stream uint64) (at int, err error) {
	got, want := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := r.Read(got)
		fill(want[:n], stream, at)
		if !bytes.Equal(got[:n], want[:n]) {
			return at, fmt.Errorf("stream %d: wrong bytes between %d and %d", stream, at, at+n)
		}
		at += n
		if err == io.EOF {
			return at, nil
		}
		if err != nil {
			return at, fmt.Errorf("stream %d at %d: %w", stream, at, err)
		}
	}
}

// TestStreamDialsDoNotBlock: while the dependency does not answer dials, callers
// are accepted, toxics change, and who leaves is let go.
func TestStreamDialsDoNotBlock(t *testing.T) {
	// A listener whose backlog is full: the kernel drops further SYNs.
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	err = errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0))
	name, e := unix.Getsockname(fd)
	if err = errors.Join(err, e); err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	for {
		conn, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			break
		}
		defer conn.Close()
	}
	l := listen(t, addr)
	var callers []*wiretest.Caller
	for range 5 {
		callers = append(callers, l.Dial())
	}
	wiretest.Eventually(t, "5 connections", func() bool { return l.Connections() == 5 })
	remove := l.AddOn(0, toxic.Both, toxic.Partition{Select: toxic.All})
	remove()
	transport.Reset(callers[0].TCPConn)
	l.tellsOf(evidence.CallerGone, 1)
	l.AddOn(1, toxic.Both, toxic.ResetPeer{Select: toxic.All})
	for _, c := range callers[1:] {
		if err := c.End(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a caller saw %v, want a reset", err)
		}
		l.tellsOf(evidence.Broken, 0b11)
	}
}
