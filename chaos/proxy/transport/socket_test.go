package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// sockets is a socket and who is at its other end.
func sockets(t *testing.T) (s *socket, peer *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s, peer = NewSocket(accepted.(*net.TCPConn)), dialled.(*net.TCPConn)
	t.Cleanup(func() { s.Close(); peer.Close() })
	return s, peer
}

// TestSocketEnds: a read ends as one of net.TCPConn does.
func TestSocketEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(s *socket, peer *net.TCPConn)
		want error
	}{
		{"a FIN", func(_ *socket, peer *net.TCPConn) { peer.Close() }, io.EOF},
		{"a reset", func(_ *socket, peer *net.TCPConn) { Reset(peer) }, syscall.ECONNRESET},
		{"a deadline that comes", func(s *socket, _ *net.TCPConn) { s.SetReadDeadline(time.Now().Add(10 * time.Millisecond)) }, os.ErrDeadlineExceeded},
		{"a deadline in the past", func(s *socket, _ *net.TCPConn) { s.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		{"a close of ours", func(s *socket, _ *net.TCPConn) { s.Close() }, net.ErrClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, peer := sockets(t)
			ended := make(chan error, 1)
			go func() {
				n, err := s.Read(make([]byte, 100))
				if n != 0 {
					t.Errorf("%d bytes came", n)
				}
				ended <- err
			}()
			c.end(s, peer)
			if err := <-ended; !errors.Is(err, c.want) {
				t.Errorf("read: %v, want %v", err, c.want)
			}
		})
	}
}

// TestSocketWriteStops: a write that its deadline stops says how much the
// kernel took, so that who goes on from there loses no byte and sends none twice.
func TestSocketWriteStops(t *testing.T) {
	s, peer := sockets(t)
	sent := make([]byte, 16<<20) // more than both buffers hold
	for i := range sent {
		sent[i] = byte(i % 251)
	}
	stopped := 0
	written := make(chan error, 1)
	first := make(chan struct{})
	go func() {
		for left := sent; len(left) > 0; {
			_ = s.SetWriteDeadline(time.Now().Add(5 * time.Millisecond))
			n, err := s.Write(left)
			left = left[n:]
			if err == nil && len(left) > 0 {
				err = io.ErrShortWrite
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				if stopped++; stopped == 1 {
					close(first)
				}
				continue
			}
			if err != nil {
				written <- err
				return
			}
		}
		written <- s.CloseWrite()
	}()
	<-first // nobody has read yet
	got, err := io.ReadAll(peer)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came, which are not the %d that were sent", len(got), len(sent))
	}
}

// TestSocketWriteToNobody: who has reset the connection takes nothing more.
func TestSocketWriteToNobody(t *testing.T) {
	s, peer := sockets(t)
	Reset(peer)
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("read: %v", err)
	}
	if _, err := s.Write([]byte("hello")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write: %v, want %v", err, syscall.EPIPE)
	}
}

// TestSocketAllocates: nothing for what passes.
func TestSocketAllocates(t *testing.T) {
	s, peer := sockets(t)
	p, q := make([]byte, 100), make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := peer.Write(p); err != nil {
			t.Fatal(err)
		}
		n, err := s.Read(q)
		if err == nil {
			_, err = s.Write(q[:n])
		}
		if err == nil {
			_, err = io.ReadFull(peer, p[:n])
		}
		if err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for each read and write", n)
	}
}
