package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos"
)

func TestTheFirstSignalStopsAndLaterOnesOnlySay(t *testing.T) {
	signals := make(chan os.Signal) // unbuffered: who has sent knows it was taken
	said := make(chan string, 8)
	ctx, stop := untilSignal(context.Background(), signals, untilHealed, func(text string) { said <- text })

	if ctx.Err() != nil {
		t.Fatal("stopped before any signal")
	}
	signals <- os.Interrupt
	<-ctx.Done()
	signals <- syscall.SIGTERM
	signals <- os.Interrupt
	stop()
	close(said)

	var got []string
	for text := range said {
		got = append(got, text)
	}
	want := []string{
		"interrupt: stopping, healing everything, then ruling on what was seen",
		"still healing: stormctl ends when nothing that it injected is left",
		"still healing: stormctl ends when nothing that it injected is left",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	var cause chaos.Stopped
	if !errors.As(context.Cause(ctx), &cause) || cause.Why != "stopped by a signal: interrupt" {
		t.Errorf("the cause is %v, want a chaos.Stopped by the first signal", context.Cause(ctx))
	}
}

// Saying may take long, if nobody reads it; healing may not wait for that.
func TestASignalStopsBeforeItIsSaid(t *testing.T) {
	signals := make(chan os.Signal)
	var ctx context.Context
	stopped := false
	ctx, stop := untilSignal(context.Background(), signals, untilHealed, func(string) { stopped = ctx.Err() != nil })
	signals <- os.Interrupt
	stop()
	if !stopped {
		t.Error("it was said, and nothing was stopped yet")
	}
}

func TestWithoutASignalNothingStops(t *testing.T) {
	ctx, stop := untilSignal(context.Background(), make(chan os.Signal), untilHealed, func(text string) { t.Errorf("said %q", text) })
	if err := ctx.Err(); err != nil {
		t.Error(err)
	}
	stop()
	var cause chaos.Stopped
	if errors.As(context.Cause(ctx), &cause) {
		t.Errorf("the end of the command is taken for a signal: %v", cause)
	}
}

// A real signal must take the same way, and end nothing.
func TestInterruptibleCatchesRealSignals(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		ctx, release := interruptible(context.Background(), func(string) {})
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
		if want := (chaos.Stopped{Why: "stopped by a signal: " + s.String()}); !errors.Is(context.Cause(ctx), want) {
			t.Errorf("%v: the cause is %v, want %v", s, context.Cause(ctx), want)
		}
		release()
	}
}
