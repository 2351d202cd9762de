package main

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/lease"
)

// lookForHalt is how often a load looks whether it is told to halt.
const lookForHalt = 200 * time.Millisecond

// haltable makes a load known to the machine, and returns a context that ends
// when the machine's runs are told to halt. It holds nothing that would have to
// be undone, and so has no guardian. A load that cannot be made known goes on,
// and says so.
//
// release returns when nothing of it is left.
func haltable(parent context.Context, name string, say func(string)) (ctx context.Context, release func()) {
	began := time.Now()
	held, err := lease.Open(lease.Options{Name: name})
	if err != nil {
		say("stormctl halt will not find this load: " + err.Error())
		return parent, func() {}
	}
	ctx, stop := context.WithCancelCause(parent)
	var looking sync.WaitGroup
	looking.Go(func() {
		ticker := time.NewTicker(lookForHalt)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			if lease.Halted(filepath.Dir(held.Journal()), began) {
				stop(chaos.Stopped{Why: "stopped by stormctl halt"})
				return
			}
		}
	})
	return ctx, func() {
		stop(nil)
		looking.Wait()
		if err := held.Close(); err != nil {
			say("take the load off the list of those that stormctl halt ends: " + err.Error())
		}
	}
}
