package chaos

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stormctl/stormctl/chaos/proxy"
)

// failing is a relay of which nothing is asked but whether it failed.
type failing struct {
	proxy.Relay
	failed chan struct{}
}

func (f failing) Failed() (<-chan struct{}, func() error) {
	return f.failed, func() error { return errors.New("epoll_pwait2: bad file descriptor") }
}

// A link that cannot go on ends the run at once, and says which it is and why.
func TestFailedLinkEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		d := &runner{stop: stop}
		sound, broken := failing{failed: make(chan struct{})}, failing{failed: make(chan struct{})}
		links := d.watchLinks(ctx, map[string]proxy.Relay{"payments": broken, "stock": sound, "http": failing{}})
		synctest.Wait()
		if ctx.Err() != nil {
			t.Fatalf("ended although no link failed: %v", context.Cause(ctx))
		}
		close(broken.failed)
		synctest.Wait()
		const want = "link payments could not go on: epoll_pwait2: bad file descriptor"
		if got := context.Cause(ctx); !errors.As(got, new(Stopped)) || got.Error() != want {
			t.Errorf("ended by %v, want %s", got, want)
		}
		links.Wait()
	})
}
