package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"testing"
	"time"
)

// interrupted ends with the first Ctrl-C: a series that takes hours goes no further then,
// and shows what it has. The second one ends us.
var interrupted = sync.OnceValue(func() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop)
	return ctx
})

// scores count how trials came out, by row, in the order in which rows were announced.
// May be used at once.
type scores struct {
	mu   sync.Mutex
	rows []string
	n    map[string]*[4]int // by outcome
}

func (s *scores) announce(row string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == nil {
		s.n = map[string]*[4]int{}
	}
	if s.n[row] == nil {
		s.rows, s.n[row] = append(s.rows, row), new([4]int)
	}
}

func (s *scores) add(row string, o outcome) {
	s.announce(row)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n[row][o]++
}

// table is the counts with their sum, of the rows that have any; "" if nothing was counted.
func (s *scores) table() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	var none, sum [4]int
	line := func(row string, n [4]int) {
		fmt.Fprintf(&b, "%-45s %6d %6d %6d %8d\n", row, n[right], n[leftOpen], n[wrong], n[broken])
	}
	fmt.Fprintf(&b, "\n%-45s %6s %6s %6s %8s\n", "", "right", "open", "wrong", "not run")
	for _, row := range s.rows {
		if *s.n[row] == none {
			continue // it was not its turn
		}
		line(row, *s.n[row])
		for o, n := range s.n[row] {
			sum[o] += n
		}
	}
	if sum == none {
		return ""
	}
	line("all", sum)
	return b.String()
}

// seriesOf begins a series, whose table is printed when the test and all of it ends.
func seriesOf(t *testing.T) *scores {
	s := &scores{}
	t.Cleanup(func() { fmt.Print(s.table()) })
	return s
}

// try makes a trial in a folder of its own, beside others. What is left open is told, and
// what is wrong is an error; nothing is begun after Ctrl-C, and what it broke off is no trial.
func (s *scores) try(t *testing.T, row string, seed int, measure func(ctx context.Context, dir string) trial) {
	s.announce(row)
	t.Run(fmt.Sprintf("%s/%d", row, seed), func(t *testing.T) {
		t.Parallel()
		ctx := interrupted()
		if ctx.Err() != nil {
			t.Skip("interrupted")
		}
		begun := time.Now()
		got := inFolder(ctx, func(dir string) trial { return measure(ctx, dir) })
		if ctx.Err() != nil {
			t.Skip("interrupted")
		}
		s.add(row, got.outcome)
		tell := t.Logf
		if got.outcome == wrong || got.outcome == broken {
			tell = t.Errorf
		}
		tell("%s, seed %d: %s after %.0f s%s", row, seed, got.outcome, time.Since(begun).Seconds(), got.detail)
	})
}

// inFolder makes a trial in a folder that is removed if it came out right or open, or was
// broken off. Of one that did not its runs are kept, and where they are is told.
func inFolder(ctx context.Context, measure func(dir string) trial) trial {
	dir, err := os.MkdirTemp("", "trial")
	if err == nil {
		err = os.Chmod(dir, 0o711) // targets of other users come by
	}
	if err != nil {
		return trial{outcome: broken, detail: fmt.Sprintf("\n    make a folder: %v", err)}
	}
	got := measure(dir)
	if got.outcome == right || got.outcome == leftOpen || ctx.Err() != nil {
		_ = os.RemoveAll(dir)
	} else if os.Remove(dir) != nil { // there is something in it
		got.detail += "\n    its runs are kept in " + dir
	}
	return got
}

// A trial that came out wrong leaves its runs, others do not, and a table has each row once.
func TestSeries(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var counted scores
	for _, c := range []struct {
		outcome
		runs bool
		left bool
	}{{right, true, false}, {leftOpen, true, false}, {wrong, true, true}, {broken, false, false}} {
		var in string
		got := inFolder(t.Context(), func(dir string) trial {
			if in = dir; c.runs {
				if err := os.Mkdir(dir+"/run", 0o700); err != nil {
					t.Fatal(err)
				}
			}
			return trial{outcome: c.outcome}
		})
		_, err := os.Stat(in)
		if left := err == nil; left != c.left || left != strings.Contains(got.detail, in) {
			t.Errorf("%s: its folder is left: %v, and it says %q", c.outcome, left, got.detail)
		}
		counted.add("a", got.outcome)
	}
	counted.announce("not its turn")
	counted.add("b", right)
	squeezed := strings.Join(strings.Fields(counted.table()), " ")
	if want := "right open wrong not run a 1 1 1 1 b 1 0 0 0 all 2 1 1 1"; squeezed != want {
		t.Errorf("got %q, want %q", squeezed, want)
	}
	if got := (&scores{}).table(); got != "" {
		t.Errorf("of nothing it tells %q", got)
	}
}
