package timeline

import "context"

// Heal undoes one injection. It works after the context of the injection is
// done, may be called again after an error, and returns when the fault is
// gone.
type Heal = func(ctx context.Context) error

// Fault is something that goes wrong on purpose.
type Fault interface {
	// Inject returns when the fault is in force. It does not block for long:
	// other faults of the timeline wait for it.
	Inject(ctx context.Context) (Heal, error)
	String() string
}
