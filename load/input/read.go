package input

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Read returns what is in a file of a kind: all of it, as text unless the kind
// is binary (see Plain). It does not wait for anybody. The error is an
// *fs.PathError, and names the file.
func Read(name string, k Kind) ([]byte, error) {
	data, err := read(name, k)
	if err == nil && !k.Binary {
		data, err = Plain(data)
	}
	if err == nil {
		return data, nil
	}
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: at.Err}
	}
	return nil, &fs.PathError{Op: "read", Path: name, Err: err}
}

func read(name string, k Kind) ([]byte, error) {
	// To open a device or a FIFO may do something: it rewinds a tape, and lets a
	// writer go on that then finds nobody there.
	if info, err := os.Stat(name); err != nil {
		return nil, err
	} else if err := regular(info.Mode()); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO may have taken its place meanwhile
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readOpen(f, k)
}

// readOpen reads a file that was opened without waiting.
func readOpen(f *os.File, k Kind) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := regular(info.Mode()); err != nil {
		return nil, err
	}
	if info.Size() > k.MaxSize {
		return nil, k.tooLarge()
	}
	if info.Size() == 0 { // as those of /proc are, of which some wait for news
		_ = f.SetReadDeadline(time.Now().Add(time.Second)) // others cannot, and need not
	}
	data, err := io.ReadAll(io.LimitReader(f, k.MaxSize+1)) // it may grow, or not say its size
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > k.MaxSize:
		return nil, k.tooLarge()
	}
	return data, nil
}

// regular says what is there instead of a regular file; nil if it is one.
func regular(mode fs.FileMode) error {
	what := "something else"
	switch {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return errors.New("it is a directory, not a file")
	case mode&fs.ModeNamedPipe != 0:
		what = "a FIFO"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	case mode&fs.ModeDevice != 0:
		what = "a device"
	}
	return fmt.Errorf("it is %s, not a regular file: write what it gives into a file, and name that", what)
}

func (k Kind) tooLarge() error {
	return fmt.Errorf("it is larger than %s, the most that %s may have", size(k.MaxSize), k.Name)
}

// size is a number of bytes in the largest unit that has a whole number of it.
func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// Parse gives a file of a kind to what reads it. Errors name the file.
func Parse[T any](name string, k Kind, read Reader[T]) (v T, err error) {
	data, err := Read(name, k)
	if err != nil {
		return v, err
	}
	return parsed(name, data, read)
}

// Reader makes something of a file's content.
type Reader[T any] = func(io.Reader) (T, error)

func parsed[T any](name string, data []byte, read Reader[T]) (v T, err error) {
	if v, err = read(bytes.NewReader(data)); err != nil {
		return v, fmt.Errorf("%s: %w", name, err)
	}
	return v, nil
}

// KeyPair reads a certificate and its key, which may be in one file.
func KeyPair(cert, key string) (tls.Certificate, error) {
	c, err := Read(cert, PEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	k, err := Read(key, PEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(c, k)
}
