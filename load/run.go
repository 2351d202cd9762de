package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/stormctl/stormctl/load/poll"
)

// Run sends what the plan's schedule wants sent, when it wants it sent, and
// returns when the outcome of every arrival has been observed. Times in
// samples count from start, which should be now or soon: arrivals that are due
// already are sent at once.
//
// Every arrival that fell due is observed exactly once, also when ctx ends:
//
//   - An arrival that is due takes an idle connection, or dials one, or, when
//     MaxConns are open, queues with its intended time. It waits there until a
//     connection comes free or the run ends; it is never dropped before that.
//   - Grace after the schedule's end whatever is still queued is Unsent, and
//     dials and requests still in progress are TimedOut, though their own
//     timeout may not have passed: Done says how long they were waited for.
//   - When ctx ends nothing more is sent. Arrivals that are due but wait for a
//     connection, one being dialled included, are Unsent at once; requests in
//     flight get Grace and are then TimedOut; arrivals that have not fallen due
//     are not observed.
//
// What follows an arrival, by Route.Then, is observed when it falls due: see
// Step.
//
// Run returns the cause of ctx's end if that came first, ErrLapsed if Plan.Until did,
// and otherwise an error only if it could not run: what the service does is a Sample, not
// an error.
func Run(ctx context.Context, p Plan, start time.Time, observe Observe) error {
	program, err := prepare(p)
	if err != nil {
		return err
	}
	raiseFileLimit()
	defer poll.Spare(program.shards)()
	clock := newClock(start)

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	loops := make([]*loop, 0, program.shards)
	defer func() {
		for _, l := range loops {
			l.close()
		}
	}()
	for k := range program.shards {
		l, err := newLoop(program, k, clock, observe)
		if err != nil {
			return fmt.Errorf("load: start event loop %d: %w", k, err)
		}
		loops = append(loops, l)
	}

	var running sync.WaitGroup
	errs := make([]error, len(loops))
	for k, l := range loops {
		running.Go(func() {
			// Never unlocked: the thread's timer slack is ours, so it ends with us.
			runtime.LockOSThread()
			if errs[k] = l.run(); errs[k] != nil {
				errs[k] = fmt.Errorf("load: event loop %d: %w", k, errs[k])
				cancel(errs[k])
			}
		})
	}
	woken := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		defer close(woken)
		for _, l := range loops {
			l.halt()
		}
	})
	running.Wait()
	if !unwatch() {
		<-woken // it must not touch a loop that is closed
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, l := range loops {
		if l.halting {
			return cmp.Or(context.Cause(ctx), ErrLapsed)
		}
	}
	return nil
}
