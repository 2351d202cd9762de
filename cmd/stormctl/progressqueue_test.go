package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos"
)

// clogged is a screen that takes nothing until it is cleared.
type clogged struct {
	clear chan struct{}
	text  strings.Builder
}

func (s *clogged) Write(b []byte) (int, error) {
	<-s.clear
	return s.text.Write(b)
}

// Time stands still in the bubble unless somebody waits: what takes none has
// not waited.
func TestNobodyWaitsForACloggedScreen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		screen := &clogged{clear: make(chan struct{})}
		c := newProgressQueue(&lines{out: screen})
		start := time.Now()
		c.begin("x") // being written, for ever
		synctest.Wait()
		for range queueRoom + 7 {
			c.watch(midChaos)
		}
		c.say("interrupt: stopping")
		if took := time.Since(start); took != 0 {
			t.Errorf("telling took %v", took)
		}
		c.end()
		if took := time.Since(start); took != queueWait {
			t.Errorf("the end of the run waited %v for the screen, want %v", took, queueWait)
		}
		c.close()
		if took := time.Since(start); took != 2*queueWait {
			t.Errorf("the end of the program waited until %v, want %v", took, 2*queueWait)
		}

		close(screen.clear)
		<-c.done
		want := "run x\n" + strings.Repeat(line(midChaos)+"\n", queueRoom) +
			"7 lines are lost here: stderr took nothing\n" + "interrupt: stopping\n"
		if diff := cmp.Diff(want, screen.text.String()); diff != "" {
			t.Errorf("shown when the screen was clear (-want +got):\n%s", diff)
		}
	})
}

// However long it lasts and however often somebody presses Ctrl-C, what waits
// is bounded.
func TestProgressQueueHoldsBackNoMoreThanItsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		screen := &clogged{clear: make(chan struct{})}
		c := newProgressQueue(&lines{out: screen})
		const told = 10000
		for range told {
			c.say("still healing")
		}
		close(screen.clear)
		c.close()
		<-c.done
		shown := strings.Count(screen.text.String(), "still healing\n")
		// One more than there is room for was being written.
		if most := queueRoom + queueExtra + 1; shown > most {
			t.Errorf("%d lines were held back, want at most %d", shown, most)
		}
		if shown == told || !strings.HasSuffix(screen.text.String(), " lines are lost here: stderr took nothing\n") {
			t.Errorf("%d of %d shown, and nobody says what is lost:\n%s", shown, told, screen.text.String())
		}
	})
}

// Nothing is held back from a screen that takes it, in the order it was told,
// and it is there when the run ends.
func TestProgressQueueKeepsTheOrder(t *testing.T) {
	var screen strings.Builder
	c := newProgressQueue(&lines{out: &screen})
	c.begin("x")
	c.watch(chaos.Progress{Phase: "starting", At: -1, Event: "starting web"})
	c.say("a")
	c.end()
	if got, want := screen.String(), "run x\nstarting: starting web\na\n"; got != want {
		t.Errorf("at the end of the run: %q, want %q", got, want)
	}
	c.say("b")
	c.close()
	if got, want := screen.String(), "run x\nstarting: starting web\na\nb\n"; got != want {
		t.Errorf("at the end: %q, want %q", got, want)
	}
}
