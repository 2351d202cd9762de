//go:build linux && !portable

package tcp

import (
	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/proxy/link"
)

// pipe carries the bytes of a direction in bulk from socket to socket without
// bringing them to us.
type pipe struct {
	r, w  int
	fill  int // bytes in it
	small int // how many times in a row little was to be had
}

// pipes are those that are not in use.
type pipes []*pipe

const (
	pipeSize    = 1 << 20 // what an unprivileged process may ask for
	sparePipes  = 16
	spliceBatch = 4        // pipes full that one direction moves before others have their turn
	bulkLeast   = 16 << 10 // less than that at a time, bulkAfter times in a row, is not bulk any more
)

// get returns an empty pipe, nil if there is none to be had.
func (s *pipes) get() *pipe {
	if n := len(*s); n > 0 {
		p := (*s)[n-1]
		*s = (*s)[:n-1]
		return p
	}
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		return nil
	}
	_, _ = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize) // it works with the usual size, too
	return &pipe{r: fds[0], w: fds[1]}
}

// put takes a pipe back; what is in it is lost.
func (s *pipes) put(p *pipe) {
	if p.fill > 0 || len(*s) >= sparePipes {
		p.close()
		return
	}
	p.small = 0
	*s = append(*s, p)
}

func (s *pipes) close() {
	for _, p := range *s {
		p.close()
	}
	*s = nil
}

func (p *pipe) close() {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}

// splice moves bytes in bulk. It reports whether the session is still there.
func (p *session) splice(dir link.Direction) bool {
	f, src, dst, l := &p.directions[dir], &p.peers[dir], &p.peers[1-dir], p.loop
	for n := 0; ; {
		if !f.backlog.empty() { // from before it was in bulk, or the end
			if !p.flush(dir) {
				return false
			}
			if !f.backlog.empty() {
				return true
			}
		}
		for f.pipe.fill > 0 {
			if !dst.writable {
				return true
			}
			moved, errno := moveBytes(f.pipe.r, dst.fd, f.pipe.fill)
			switch errno {
			case 0:
				f.pipe.fill -= moved
				p.count(dir, moved)
			case unix.EINTR:
			case unix.EAGAIN:
				dst.writable = false
			default:
				return p.unwritable(dir)
			}
		}
		if f.ended || !src.readable {
			return true
		}
		if n++; n > spliceBatch {
			p.goOnLater(dir)
			return true
		}
		moved, errno := moveBytes(src.fd, f.pipe.w, pipeSize)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			src.readable = false
		case errno == unix.EINVAL: // not with these sockets
			l.pipes.put(f.pipe)
			f.pipe = nil
			return true
		case errno != 0:
			src.broken, src.readable = true, false
			p.endFlow(dir, endRST, nil)
		case moved == 0:
			src.readable = false
			p.endFlow(dir, endOf(src), nil)
		default:
			p.relay.Got(dir, moved)
			f.pipe.fill = moved
			f.pipe.small++
			if moved >= bulkLeast {
				f.pipe.small = 0
			}
		}
		if f.pipe.fill == 0 && f.pipe.small >= bulkAfter {
			l.pipes.put(f.pipe)
			f.pipe = nil
			p.goOnLater(dir)
			return true
		}
	}
}

// unsplice takes what is in the pipe into the backlog: it has come through
// before whatever ends the bulk.
func (p *session) unsplice(dir link.Direction) {
	f, l := &p.directions[dir], p.loop
	for f.pipe.fill > 0 {
		n, err := unix.Read(f.pipe.r, l.buf)
		if n > 0 {
			f.backlog.push(piece{at: l.now}, l.buf[:n])
			f.pipe.fill -= n
		} else if err != unix.EINTR {
			break // it holds as much as we have put there: this does not happen
		}
	}
	l.pipes.put(f.pipe)
	f.pipe = nil
}

// moveBytes moves up to n bytes between a socket and a pipe without blocking.
func moveBytes(from, to, n int) (moved int, errno unix.Errno) {
	r, _, e := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}
