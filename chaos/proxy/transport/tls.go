package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a TCP connection, with TLS on it or not.
type Conn interface {
	net.Conn
	CloseWrite() error
	SetLinger(sec int) error // of the TCP connection
	SyscallConn() (syscall.RawConn, error)
}

// handshakeTimeout bounds a handshake, with the caller and with the dependency.
const handshakeTimeout = 10 * time.Second

// TLSConn is a transport with TLS on it. It differs from tls.Conn in that a
// Write which its deadline ends does no harm: writing the same bytes again
// goes on where it stopped.
//
//	Write ──▶ tls.Conn ──▶ records (what does not fit yet) ──▶ TCP
type TLSConn struct {
	*tls.Conn
	records *recordBuffer

	writing sync.Mutex
	taken   int // bytes of what is to be written again that are in records already
}

// Handshake puts TLS on a connection, as its server or as its client. It closes
// the connection if that fails.
func Handshake(ctx context.Context, tcp *net.TCPConn, config *tls.Config, on func(net.Conn, *tls.Config) *tls.Conn) (*TLSConn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	r := &recordBuffer{TCPConn: tcp, direct: true}
	conn := on(r, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = tcp.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	r.direct = false
	return &TLSConn{Conn: conn, records: r}, nil
}

func (s *TLSConn) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF // a FIN is a FIN
	}
	return n, err
}

func (s *TLSConn) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	for n := 0; ; {
		if err := s.records.flush(); err != nil {
			return n, err
		}
		n += min(s.taken, len(p)-n)
		s.taken = 0
		if n == len(p) {
			return n, nil
		}
		taken, err := s.Conn.Write(p[n:min(n+maxRecords, len(p))])
		if err != nil {
			return n, err
		}
		s.taken = taken
	}
}

// maxRecords is how many bytes are made records of at a time.
const maxRecords = 32 << 10

func (s *TLSConn) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// SetWriteDeadline is for Write alone; TLS's own writes go to memory.
func (s *TLSConn) SetWriteDeadline(t time.Time) error { return s.records.TCPConn.SetWriteDeadline(t) }

func (s *TLSConn) SetLinger(sec int) error {
	s.records.hard.Store(sec == 0)
	return s.records.SetLinger(sec)
}

func (s *TLSConn) SyscallConn() (syscall.RawConn, error) { return s.records.SyscallConn() }

// CloseWrite says so in TLS and by a FIN.
func (s *TLSConn) CloseWrite() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return errors.Join(s.Conn.CloseWrite(), s.records.flush(), s.records.CloseWrite())
}

// Close never waits. What the kernel does not take at once is dropped.
func (s *TLSConn) Close() error {
	if s.records.hard.Load() || !s.writing.TryLock() {
		return s.records.TCPConn.Close()
	}
	defer s.writing.Unlock()
	return s.Conn.Close() // which closes records
}

// recordBuffer are the TLS records of a connection. Once the handshake is over they
// go to memory, to be flushed.
type recordBuffer struct {
	*net.TCPConn
	direct bool        // during the handshake
	hard   atomic.Bool // it is to be closed by a RST

	mu      sync.Mutex
	pending []byte
}

func (r *recordBuffer) Write(p []byte) (int, error) {
	if r.direct {
		return r.TCPConn.Write(p)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = append(r.pending, p...)
	return len(p), nil
}

// SetWriteDeadline is what TLS says before an alert.
func (r *recordBuffer) SetWriteDeadline(time.Time) error { return nil }

// flush writes what is pending. What its deadline leaves stays pending. One
// goroutine at a time may call it.
func (r *recordBuffer) flush() error {
	for {
		r.mu.Lock()
		p := r.pending
		r.pending = nil
		r.mu.Unlock()
		if len(p) == 0 {
			return nil
		}
		n, err := r.TCPConn.Write(p)
		r.mu.Lock()
		switch {
		case n < len(p):
			r.pending = append(p[n:], r.pending...)
		case r.pending == nil:
			r.pending = p[:0]
		}
		r.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// Close gives the kernel what is pending, as far as it takes it now.
func (r *recordBuffer) Close() error {
	r.mu.Lock()
	p := r.pending
	r.pending = nil
	r.mu.Unlock()
	if raw, err := r.SyscallConn(); err == nil && len(p) > 0 {
		_ = r.TCPConn.SetWriteDeadline(time.Time{}) // fails only if closed
		_ = raw.Write(func(fd uintptr) bool {
			_, _ = unix.Write(int(fd), p)
			return true
		})
	}
	return r.TCPConn.Close()
}
