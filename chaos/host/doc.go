// Package host has the faults that happen outside our own process: to processes
// of targets, to file systems, in network namespaces, and whatever a command
// does. All are made under a lease, so that none outlives the run.
//
//	Fault ──Check──▶ what is missing, before anything is started
//	      ──Plan───▶ what it would touch, and its undo
//	      ──Inject─▶ lease.Make: journal, then break ──▶ heal
//
// # Design
//
// A fault knows its undo before it does anything: what it has to remember (the
// limit that was, the cgroup that a process came from) it reads first.
//
// Each fault touches what it names and nothing else, and refuses rather than
// guesses: a process that limits do not allow, a file system that others lean
// on, a device that somebody has shaped already.
//
// Where the kernel or a tool lacks what a fault needs, Check says which piece,
// and what would do instead. Nothing falls back by itself: cpu by cgroup and cpu
// by SIGSTOP are different faults, and which one a claim was tried with must
// stand in the experiment.
package host

import (
	"context"
	crand "crypto/rand"
	"errors"
	"os"

	"github.com/stormctl/stormctl/chaos/lease"
)

// Heal undoes one injection, as chaos.Heal does.
type Heal = func(ctx context.Context) error

// Plan is what a fault would do, for people.
type Plan struct {
	Touches string
	Undo    string
}

// Fault is one of this package's.
type Fault interface {
	Inject(ctx context.Context) (Heal, error)
	String() string
	Check(ctx context.Context) error // names the missing piece
	Plan() Plan
}

// Held is what every fault has: the lease that it is made under, and the name
// by which it is told.
type Held struct {
	Lease *lease.Lease
	Name  string // of the event
}

func (h Held) hold(ctx context.Context, undo []lease.Undo, inject func(context.Context, *lease.Making) error) (Heal, error) {
	return h.Lease.Make(ctx, h.Name, undo, inject)
}

// mark is part of the names of what we make, so that two runs do not share one.
func mark() string { return crand.Text()[:8] }

// writable tells whether we may write to a path, without doing it.
func writable(path string) error {
	err := accessible(path)
	if errors.Is(err, os.ErrPermission) {
		return errNotAllowed
	}
	return err
}

var errNotAllowed = errors.New("this user may not write there")
