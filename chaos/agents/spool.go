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

// write appends a frame.
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
	s.tell()
}

// end says that no frame follows.
func (s *spool) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.tell()
}

func (s *spool) tell() {
	select {
	case s.grown <- struct{}{}:
	default:
	}
}

// next reads the frame at an offset; nil if there is none yet, io.EOF if there will be
// none.
func (s *spool) next(at int64) (frame []byte, after int64, err error) {
	s.mu.Lock()
	size, ended, failed := s.size, s.ended, s.err
	s.mu.Unlock()
	if at >= size {
		if ended || failed != nil {
			return nil, at, errors.Join(io.EOF, failed)
		}
		return nil, at, nil
	}
	var head [4]byte
	if _, err := s.file.ReadAt(head[:], at); err != nil {
		return nil, at, err
	}
	frame = make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := s.file.ReadAt(frame, at+4); err != nil {
		return nil, at, err
	}
	return frame, at + 4 + int64(len(frame)), nil
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
