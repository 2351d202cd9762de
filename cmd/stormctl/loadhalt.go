//go:build unix

package main

import (
	"context"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/lease"
)

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
	looking := chaos.WatchStopFiles(ctx, "", held, began, func(s chaos.Stopped) { stop(s) })
	return ctx, func() {
		stop(nil)
		looking.Wait()
		if err := held.Close(); err != nil {
			say("take the load off the list of those that stormctl halt ends: " + err.Error())
		}
	}
}
