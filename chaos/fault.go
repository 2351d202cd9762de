package chaos

import (
	"context"

	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/chaos/toxic"
)

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

// onLink is a toxic in a link's relay.
type onLink struct {
	relay     proxy.Relay
	index     int
	toxic     toxic.Toxic
	direction toxic.Direction
}

func (f onLink) Inject(context.Context) (Heal, error) {
	remove, err := f.relay.Add(f.index, f.toxic, f.direction)
	if err != nil {
		return nil, err
	}
	return func(context.Context) error { remove(); return nil }, nil
}

func (f onLink) String() string { return f.toxic.String() }
