package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Memory bounds what processes take from now on: what they have stays charged to
// the group that they had it in.
type Memory struct {
	Leased
	Subject Subject
	Free    unit.Size
	High    bool // past the bound they are slowed down and reclaimed from; otherwise the kernel kills one of them
}

func (f Memory) Inject(ctx context.Context) (Heal, error) {
	return f.limit(ctx, f.Subject, "memory", func(v1 bool) ([]setting, error) {
		bytes := strconv.FormatInt(int64(f.Free), 10)
		switch {
		case v1 && f.High:
			return nil, errHighV1
		case v1:
			return []setting{{"memory.limit_in_bytes", bytes}}, nil
		case f.High:
			return []setting{{"memory.high", bytes}}, nil
		}
		return []setting{{"memory.max", bytes}}, nil
	})
}

var errHighV1 = errors.New("the memory controller is bound to cgroup v1, which has no memory.high: by: max has what it needs")

func (f Memory) String() string {
	if f.High {
		return fmt.Sprintf("memory high at %v more", f.Free)
	}
	return fmt.Sprintf("memory at most %v more", f.Free)
}

func (f Memory) Check(context.Context) error {
	err := checkLimit(f.Subject, "memory")
	if err == nil && f.High {
		if p, e := cgroups.find(os.Getpid(), "memory"); e == nil && p.v1 {
			err = errHighV1
		}
	}
	if err != nil {
		return fmt.Errorf("%w; by: rlimit needs no cgroup", err)
	}
	return nil
}

func (f Memory) Plan() Plan { return planLimit(f.Subject, f.String(), "memory") }

// AddressSpace bounds the address space of each process (RLIMIT_AS): past it
// allocations fail with ENOMEM. Children that are started meanwhile inherit the
// bound.
type AddressSpace struct {
	Leased
	Subject Subject
	Free    unit.Size
}

func (f AddressSpace) Inject(ctx context.Context) (Heal, error) {
	return f.lower(ctx, f.Subject, "as", func(pid int) (uint64, error) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			return 0, err
		}
		pages, err := strconv.ParseUint(strings.Fields(string(text) + " x")[0], 10, 64)
		return pages*uint64(os.Getpagesize()) + uint64(f.Free), err
	})
}

func (f AddressSpace) String() string {
	return fmt.Sprintf("memory at most %v more address space", f.Free)
}

func (f AddressSpace) Check(context.Context) error { return checkSubject(f.Subject) }

func (f AddressSpace) Plan() Plan {
	return Plan{f.Subject.String() + " and its children: soft limit of address space (RLIMIT_AS)", "the limit that was"}
}

// lower sets a soft limit of each process of a subject to what value says, where
// that is less than it is.
func (l Leased) lower(ctx context.Context, s Subject, resource string, value func(pid int) (uint64, error)) (Heal, error) {
	all, err := family(s)
	if err != nil {
		return nil, err
	}
	var undo []lease.Undo
	for i := range all {
		set, err := value(all[i].Pid)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			return nil, err
		}
		now, err := lease.ReadLimit(all[i].Pid, resource)
		if err != nil {
			return nil, fmt.Errorf("read the limits of process %d: %w", all[i].Pid, err)
		}
		if set < now.Soft {
			undo = append(undo, lease.Undo{Kind: lease.Rlimit, Process: &all[i], Resource: resource, Was: now.Soft, Set: set})
		}
	}
	if len(undo) == 0 {
		return nil, fmt.Errorf("the limit %s of every process is lower already", resource)
	}
	return l.underLease(ctx, undo, func(context.Context, *lease.Injection) error {
		for _, u := range undo {
			now, err := lease.ReadLimit(u.Process.Pid, resource)
			if err == nil && now.Soft != u.Was {
				return fmt.Errorf("the limit %s of process %d has changed meanwhile", resource, u.Process.Pid)
			}
			if err == nil {
				err = lease.SetLimit(u.Process.Pid, resource, lease.Limit{Soft: u.Set, Max: now.Max})
			}
			if err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("limit process %d: %w", u.Process.Pid, err)
			}
		}
		return nil
	})
}
