package main

import (
	"errors"
	"fmt"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// exitCode is what the process ends with; scripts and pipelines lean on it. As
// an error it is the way out of a command that has told everything already.
type exitCode int

const (
	exitHeld         exitCode = 0 // every claim held
	exitRefuted      exitCode = 1 // at least one claim is refuted
	exitFailed       exitCode = 2 // could not run: usage, a bad file, a target that is not there
	exitInconclusive exitCode = 3 // some claim is inconclusive, none refuted
	exitStopped      exitCode = 4 // stopped early by a limit or a signal, everything healed
)

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// err is nil for exitHeld, otherwise the code itself.
func (c exitCode) err() error {
	if c == exitHeld {
		return nil
	}
	return c
}

// exitOf is the code for a result. That a run was cut short outweighs its
// rulings: they are on a part of the evidence. Without a claim nothing held.
func exitOf(r *result.Result) exitCode {
	switch {
	case r.Partial:
		return exitStopped
	case r.Ruling == judge.Refuted:
		return exitRefuted
	case r.Ruling == judge.Inconclusive || len(r.Verdicts) == 0:
		return exitInconclusive
	}
	return exitHeld
}

// readerGone reports whether a result could not be printed because whoever read our
// output has gone, as head does: that is theirs to choose, and says nothing of
// the run.
func readerGone(err error) bool { return errors.Is(err, brokenPipe) }

// worse is the code for two runs together: what was not done at all weighs
// most, then what was not done to the end, then what is refuted, then what is
// open. So a pipeline never takes a run for done that was not.
func worse(a, b exitCode) exitCode {
	weight := map[exitCode]int{exitHeld: 0, exitInconclusive: 1, exitRefuted: 2, exitStopped: 3, exitFailed: 4}
	if weight[b] > weight[a] {
		return b
	}
	return a
}
