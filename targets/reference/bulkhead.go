package reference

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/failsafe-go/failsafe-go/bulkhead"
)

// pool is a number of permits. A call takes one when it enters and gives it
// back when it leaves; enter never waits. Failed tells how the call ended,
// which makes no difference to a sound pool.
type pool interface {
	enter() bool
	leave(failed bool)
}

// compartment is the bulkhead's layer.
type compartment struct {
	pool   pool
	linger time.Duration
	next   http.RoundTripper
}

func (c compartment) RoundTrip(req *http.Request) (*http.Response, error) {
	if !c.pool.enter() {
		return nil, &Rejection{By: "bulkhead"}
	}
	resp, err := c.next.RoundTrip(req)
	failed := err != nil || resp.StatusCode >= 500
	if hungUp(err) {
		// The other side works on until it notices. If the permit were free at
		// once, it would see one call more than there are permits.
		time.AfterFunc(c.linger, func() { c.pool.leave(failed) })
	} else {
		c.pool.leave(failed)
	}
	return resp, err
}

// hungUp reports whether we left before the answer came.
func hungUp(err error) bool {
	return errors.Is(err, errTimeout) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// textbook is how permits are dealt out when nothing else is said: to three
// dependencies in alphabetical order, and else defaultLimit to each.
var textbook = [3]int{40, 30, 30}

const defaultLimit = 40

// limitsOf returns the permits of each dependency.
func limitsOf(s *frontendSettings, dependencies []string) map[string]int {
	result := map[string]int{}
	for i, name := range slices.Sorted(slices.Values(dependencies)) {
		switch {
		case s.limit > 0:
			result[name] = s.limit
		case len(dependencies) == len(textbook):
			result[name] = textbook[i]
		default:
			result[name] = defaultLimit
		}
	}
	maps.Copy(result, s.limits)
	return result
}

// newPools returns a pool for each dependency.
func newPools(s *frontendSettings, dependencies []string) map[string]pool {
	pools := map[string]pool{}
	for name, permits := range limitsOf(s, dependencies) {
		pools[name] = newPool(s.bulkhead, permits)
	}
	return pools
}

func newPool(library string, permits int) pool {
	switch library {
	case "failsafe":
		return failsafePool{bulkhead.New[any](uint(permits))}
	case "semaphore":
		return make(semaphore, permits)
	}
	panic("bulkhead " + library + " passed the check of settings")
}

type failsafePool struct{ bulkhead.Bulkhead[any] }

func (p failsafePool) enter() bool { return p.TryAcquirePermit() }
func (p failsafePool) leave(bool)  { p.ReleasePermit() }

// semaphore is the channel that most Go services use.
type semaphore chan struct{}

func (s semaphore) enter() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s semaphore) leave(bool) { <-s }
