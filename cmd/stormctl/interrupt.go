package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/stormctl/stormctl/chaos"
)

// interruptible returns a context that ends at the first SIGINT, SIGTERM or
// SIGHUP, with a chaos.Stopped that names the signal. None of them ends the
// process: faults that are in force must be healed, however impatient the
// person is. Later signals only say so. A broken pipe, because the reader of
// our output has gone, does not end the process for the same reason.
//
// say is called by one goroutine, once the context has ended; it must not
// block, or later signals are not taken.
//
// release gives the signals their usual effect back.
func interruptible(parent context.Context, say func(string)) (ctx context.Context, release func()) {
	return interruptibleIn(parent, untilHealed, say)
}

// ending is what the person at the terminal is told.
type ending struct {
	first string // after the name of the signal
	again string // after the second signal
}

var untilHealed = ending{
	first: "stopping, healing everything, then ruling on what was seen",
	again: "still healing: stormctl ends when nothing that it injected is left",
}

// interruptibleIn is interruptible, in other words.
func interruptibleIn(parent context.Context, words ending, say func(string)) (ctx context.Context, release func()) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// Ignoring SIGPIPE would pass it on to the targets as ignored; a channel
	// that is not read does not.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)

	ctx, stop := untilSignal(parent, signals, words, say)
	return ctx, func() {
		signal.Stop(signals)
		signal.Stop(pipe)
		stop()
	}
}

// untilSignal does it for any source of signals. stop returns when nothing
// more will be said.
func untilSignal(parent context.Context, signals <-chan os.Signal, words ending, say func(string)) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	released := make(chan struct{})
	var listening sync.WaitGroup
	listening.Go(func() {
		for {
			select {
			case s := <-signals:
				if ctx.Err() != nil {
					say(words.again)
					continue
				}
				cancel(chaos.Stopped{Why: "stopped by a signal: " + s.String()}) // before anything that could get stuck
				say(s.String() + ": " + words.first)
			case <-released:
				return
			}
		}
	})
	return ctx, func() {
		close(released)
		listening.Wait()
		cancel(nil)
	}
}
