//go:build unix

package input

import (
	"errors"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// descriptor is how a shell names what a command of its writes: <(command).
var descriptor = regexp.MustCompile(`^(?:/dev/fd|/proc/self/fd)/(\d{1,6})$`)

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
		case int64(len(data)+n) > k.MaxSize:
			return nil, k.tooLarge()
		}
		data = append(data, buf[:n]...)
	}
}
