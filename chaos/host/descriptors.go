package host

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
)

// Descriptors leaves each process few file descriptors to open (RLIMIT_NOFILE).
// What is open stays so; opening more fails with EMFILE.
type Descriptors struct {
	Leased
	Subject Subject
	Free    int
}

func (f Descriptors) Inject(ctx context.Context) (Heal, error) {
	return f.lower(ctx, f.Subject, "nofile", func(pid int) (uint64, error) {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			return 0, err
		}
		var open []int
		for _, e := range entries {
			if n, err := strconv.Atoi(e.Name()); err == nil {
				open = append(open, n)
			}
		}
		return limitFor(open, f.Free), nil
	})
}

// limitFor is the limit below which so many numbers are not taken: a descriptor
// is the lowest free number, and must be below the limit.
func limitFor(open []int, free int) uint64 {
	slices.Sort(open)
	limit := 0
	for _, n := range open {
		if gap := n - limit; gap > free {
			break
		} else {
			free -= gap
		}
		limit = n + 1
	}
	return uint64(limit + free)
}

func (f Descriptors) String() string { return fmt.Sprintf("fd %d free", f.Free) }

func (f Descriptors) Check(context.Context) error { return checkSubject(f.Subject) }

func (f Descriptors) Plan() Plan {
	return Plan{f.Subject.String() + " and its children: soft limit of file descriptors (RLIMIT_NOFILE)", "the limit that was"}
}
