package main

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/stormctl/stormctl/load/adhoc"
	"github.com/stormctl/stormctl/reports"
)

// randomRun identifies the run in the ids of its requests.
func randomRun() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails: it ends the program instead (crypto/rand)
	return binary.LittleEndian.Uint64(b[:]) | 1
}

// runLoad drives a load and prints what it came to.
func runLoad(ctx context.Context, j *adhoc.Job, o loadOptions, stdout, stderr io.Writer) exitCode {
	shown := newProgressQueue(newProgress(stderr, o.quiet, os.Getenv))
	defer shown.close()
	ctx, release := interruptibleIn(ctx, ending{
		first: "nothing more is sent; the summary follows what is under way, by its --timeout of " + o.timeout.String() + " at the latest",
		again: "what is under way has until its --timeout of " + o.timeout.String(),
	}, shown.say)
	defer release()
	ctx, unlist := haltable(ctx, "load "+j.URL, shown.say)
	defer unlist()

	live, end, err := o.export.open(ctx, os.Getenv, shown.say)
	if err != nil {
		shown.say(errorText(err))
		return exitFailed
	}
	defer end()
	j.Export = live
	run, err := adhoc.Open(j, shown.watch)
	if err != nil {
		shown.say(errorText(err))
		return exitFailed
	}
	shown.begin(j.URL)
	result, err := run.Drive(ctx)
	shown.end()
	if err != nil {
		shown.say(errorText(err))
	}
	if result == nil {
		return exitFailed
	}
	code := loadExit(result)
	if err != nil {
		code = exitFailed
	}
	if err := o.report.write(result); err != nil {
		shown.say(errorText(err))
		code = exitFailed
	}
	if err := writeLoad(stdout, result, o.json, os.Getenv); err != nil && !readerGone(err) {
		shown.say(errorText(fmt.Errorf("print result: %w", err)))
		return exitFailed
	}
	return code
}

// loadExit is the exit code of a load.
func loadExit(l *reports.Load) exitCode {
	code := exitHeld
	for _, t := range l.Thresholds {
		switch {
		case t.Failed:
			code = worse(code, exitRefuted)
		case t.Open:
			code = worse(code, exitInconclusive)
		}
	}
	if l.Partial != "" {
		code = worse(code, exitStopped)
	}
	return code
}
