package agents

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
)

// A spool keeps on disk what an agent hands over, until its end: the broker may be away
// for a while, and afterwards the whole of it is compared with what came. One goroutine
// writes, another reads.
type spool struct {
	file *os.File

	mu    sync.Mutex // of what follows
	size  int64      // of whole frames
	offer int64      // of those that who reads is told of
	ended bool
	grown chan struct{} // has something if there may be more to read
	sum   hash.Hash
	err   error // of the first write that failed; nothing is written after it
}

func newSpool(path string) (*spool, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return &spool{file: f, grown: make(chan struct{}, 1), sum: sha256.New()}, nil
}

// write appends a frame, which is handed over once who reads is told.
func (s *spool) write(frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(frame)))
	_, err := s.file.WriteAt(head, s.size)
	if err == nil {
		_, err = s.file.WriteAt(frame, s.size+int64(len(head)))
	}
	if err != nil {
		s.err = fmt.Errorf("write what is to be handed over: %w", err)
		return
	}
	s.size += int64(len(head) + len(frame))
	s.sum.Write(head)
	s.sum.Write(frame)
}

// tell tells who reads of all that was written.
func (s *spool) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.offer < s.size || s.err != nil {
		s.offer = s.size
		s.wake()
	}
}

// end says that no frame follows.
func (s *spool) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.offer = true, s.size
	s.wake()
}

func (s *spool) wake() {
	select {
	case s.grown <- struct{}{}:
	default:
	}
}

// mostAtOnce is how many bytes of frames go together, unless one is longer: it is well
// below what a message may have.
const mostAtOnce = 1 << 19

// next reads whole frames, as they are in the file, from an offset on; nil if there are
// none yet, io.EOF if there will be none.
func (s *spool) next(at int64) (frames []byte, after int64, err error) {
	s.mu.Lock()
	size, ended, failed := s.offer, s.ended, s.err
	s.mu.Unlock()
	if at >= size {
		if ended || failed != nil {
			return nil, at, errors.Join(io.EOF, failed)
		}
		return nil, at, nil
	}
	frames = make([]byte, min(size-at, mostAtOnce))
	if _, err := s.file.ReadAt(frames, at); err != nil {
		return nil, at, err
	}
	rest := frames
	for whole := true; whole; {
		_, rest, whole = cutFrame(rest)
	}
	if n := len(frames) - len(rest); n > 0 {
		return frames[:n], at + int64(n), nil
	}
	frames = make([]byte, frameHead+binary.BigEndian.Uint32(frames))
	if _, err := s.file.ReadAt(frames, at); err != nil {
		return nil, at, err
	}
	return frames, at + int64(len(frames)), nil
}

// frameHead is how many bytes stand before a frame: its length.
const frameHead = 4

// cutFrame cuts the first frame off; whole is false, and rest what it was, if there is none
// that is whole.
func cutFrame(b []byte) (frame, rest []byte, whole bool) {
	if len(b) < frameHead {
		return nil, b, false
	}
	n := uint64(binary.BigEndian.Uint32(b))
	if n == 0 || n > uint64(len(b)-frameHead) {
		return nil, b, false
	}
	return b[frameHead : frameHead+n], b[frameHead+n:], true
}

// all reads all of it, after end.
func (s *spool) all() io.Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return io.NewSectionReader(s.file, 0, s.size)
}

// close closes it, and removes it where it is not needed any more.
func (s *spool) close(needed bool) error {
	err := s.file.Close()
	if !needed {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	return err
}
