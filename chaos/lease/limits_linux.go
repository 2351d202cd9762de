package lease

import "golang.org/x/sys/unix"

// resources are the numbers of those in limited.
var resources = map[string]int{"nofile": unix.RLIMIT_NOFILE, "as": unix.RLIMIT_AS, "fsize": unix.RLIMIT_FSIZE}

// ReadLimit reads a limit of a process; its error is ESRCH if that has ended.
func ReadLimit(pid int, resource string) (Limit, error) {
	var now unix.Rlimit
	err := unix.Prlimit(pid, resources[resource], nil, &now)
	return Limit{now.Cur, now.Max}, err
}

// SetLimit sets it, with the error of ReadLimit.
func SetLimit(pid int, resource string, l Limit) error {
	return unix.Prlimit(pid, resources[resource], &unix.Rlimit{Cur: l.Soft, Max: l.Max}, nil)
}
