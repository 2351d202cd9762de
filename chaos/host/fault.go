package host

import (
	"context"
	crand "crypto/rand"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/lease"
)

// Heal undoes one injection, as timeline.Heal does.
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

// Leased is what every fault has: the lease that it is made under, and the name
// by which it is told.
type Leased struct {
	Lease *lease.Lease
	Name  string // of the event
}

func (l Leased) underLease(ctx context.Context, undo []lease.Undo, inject func(context.Context, *lease.Injection) error) (Heal, error) {
	return l.Lease.Inject(ctx, l.Name, undo, inject)
}

// mark is part of the names of what we make, so that two runs do not share one.
func mark() string { return crand.Text()[:8] }

// writable reports whether we may write to a path, without doing it.
func writable(path string) error {
	err := unix.Access(path, unix.W_OK)
	if errors.Is(err, os.ErrPermission) {
		return errNotAllowed
	}
	return err
}

var errNotAllowed = errors.New("this user may not write there")
