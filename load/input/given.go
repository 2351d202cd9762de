package input

import (
	"errors"
	"io/fs"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// givenWithin is how long what writes to a pipe may take.
const givenWithin = 30 * time.Second

// descriptor is how a shell names what a command of its writes: <(command).
var descriptor = regexp.MustCompile(`^(?:/dev/fd|/proc/self/fd)/(\d{1,6})$`)

// Given reads what an argument of the command line names: a file as Read does,
// and besides a pipe that the shell has opened for us: "-" is standard input,
// /dev/fd/N what <(command) becomes. A pipe is read once, to the most that its kind
// may have, and waited for at most 30 s. called is what the file is to be called, and
// begins with its folder: that of a pipe is the working folder.
//
// What a file names that was read is never a pipe: it may be read again in the
// middle of a run.
func Given(name string, k Kind) (data []byte, called string, err error) {
	return given(name, k, givenWithin)
}

func given(name string, k Kind, within time.Duration) (data []byte, called string, err error) {
	fd, called, ok := piped(name)
	if !ok {
		data, err = Read(name, k)
		return data, name, err
	}
	data, err = readPipe(fd, k, within)
	if err == nil && !k.Binary {
		data, err = Plain(data)
	}
	if err != nil {
		return nil, called, &fs.PathError{Op: "read", Path: called, Err: err}
	}
	return data, called, nil
}

// piped is the descriptor that a name stands for, if it is one that cannot be read
// by its name.
func piped(name string) (fd int, called string, ok bool) {
	if name == "-" {
		return 0, "stdin", true
	}
	m := descriptor.FindStringSubmatch(name)
	if m == nil {
		return 0, "", false
	}
	fd, _ = strconv.Atoi(m[1]) // it has but digits, and few
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO && st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return 0, "", false
	}
	return fd, "fd" + m[1], true
}

var errSlowPipe = errors.New("what writes to it has not ended within 30 s: write it into a file, and name that")

func readPipe(fd int, k Kind, within time.Duration) (data []byte, err error) {
	buf := make([]byte, 64<<10)
	for end := time.Now().Add(within); ; {
		left := time.Until(end)
		if left <= 0 {
			return nil, errSlowPipe
		}
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return nil, err
		}
		if ready < 1 {
			continue
		}
		n, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return nil, err
		case n == 0:
			return data, nil
		case int64(len(data)+n) > k.Most:
			return nil, k.tooLarge()
		}
		data = append(data, buf[:n]...)
	}
}

// ParseGiven gives what an argument of the command line names to what reads it, as
// Parse does a file.
func ParseGiven[T any](name string, k Kind, read Reader[T]) (v T, err error) {
	data, called, err := Given(name, k)
	if err != nil {
		return v, err
	}
	return parsed(called, data, read)
}
