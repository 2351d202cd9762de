package chaos

import (
	"context"

	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/targets"
)

// Heal undoes one injection. It works after the context of the injection is
// done, may be called again after an error, and returns when the fault is
// gone.
type Heal func(ctx context.Context) error

// Fault is something that goes wrong on purpose.
type Fault interface {
	// Inject returns when the fault is in force. It does not block for long:
	// other faults of the timeline wait for it.
	Inject(ctx context.Context) (Heal, error)
	String() string
}

// onLink is a toxic in a link's relay.
type onLink struct {
	relay *proxy.Relay
	index int
	toxic proxy.Toxic
}

func (f onLink) Inject(context.Context) (Heal, error) {
	remove := f.relay.Add(f.index, f.toxic)
	return func(context.Context) error { remove(); return nil }, nil
}

func (f onLink) String() string { return f.toxic.String() }

// onStream is a toxic in the relay of a link that knows connections.
type onStream struct {
	relay     *proxy.Relay
	index     int
	direction proxy.Direction
	toxic     proxy.Stream
}

func (f onStream) Inject(context.Context) (Heal, error) {
	remove := f.relay.AddStream(f.index, f.direction, f.toxic)
	return func(context.Context) error { remove(); return nil }, nil
}

func (f onStream) String() string { return f.toxic.String() }

// restart kills a process target; its heal starts it again and returns when
// it is ready.
type restart struct {
	target *targets.Running
}

func (f restart) Inject(context.Context) (Heal, error) {
	if err := f.target.Kill(); err != nil {
		return nil, err
	}
	return f.target.Restart, nil
}

func (f restart) String() string { return "restart" }

// pause stops a process target where it stands; its heal lets it go on.
type pause struct {
	target *targets.Running
}

func (f pause) Inject(context.Context) (Heal, error) {
	resume, err := f.target.Pause()
	if err != nil {
		return nil, err
	}
	return func(context.Context) error { return resume() }, nil
}

func (f pause) String() string { return "pause" }
