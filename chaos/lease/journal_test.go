package lease

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func numbers(steps []step) (n []int) {
	for _, s := range steps {
		n = append(n, s.number)
	}
	return n
}

// Wherever the writing was cut: a step is known if and only if its line is
// whole, and what another then appends is read.
func TestJournalCutAnywhere(t *testing.T) {
	path := filepath.Join(stateDir(t), "j")
	j, err := openJournal(path, os.O_CREATE|os.O_EXCL)
	if err != nil {
		t.Fatal(err)
	}
	defer j.file.Close()
	undo := Undo{Kind: Remove, File: "x"}
	if err := j.append(entry{Run: &Header{Name: "cut"}}, entry{Step: 1, Hold: 1, Undo: &undo}, entry{Step: 2, Hold: 2, Undo: &undo}, entry{Done: 1}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var ends []int // of lines
	for i, b := range text {
		if b == '\n' {
			ends = append(ends, i+1)
		}
	}
	after := [][]int{nil, nil, {1}, {1, 2}, {2}} // open steps by whole lines
	for cut := range len(text) + 1 {
		whole := 0
		for _, e := range ends {
			if cut >= e {
				whole++
			}
		}
		h, steps, err := parse(text[:cut])
		if (whole == 0) != errors.Is(err, errNoHeader) || whole > 0 && h.Name != "cut" {
			t.Fatalf("cut at %d: header %+v, %v", cut, h, err)
		}
		if got := numbers(steps); !slices.Equal(got, after[whole]) {
			t.Fatalf("cut at %d, after %d whole lines: open %v, want %v", cut, whole, got, after[whole])
		}
		if err := os.WriteFile(path, text[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := j.append(entry{Step: 3, Hold: 3, Undo: &undo}); err != nil {
			t.Fatal(err)
		}
		_, steps, _ = j.read()
		// The half line itself may have been whole but for its end; then it counts
		// now, as it may: an undo is performed also if nothing was made.
		if got := numbers(steps); len(got) == 0 || got[len(got)-1] != 3 {
			t.Fatalf("cut at %d: what was appended is not read: open %v", cut, got)
		}
	}
}

func TestLocksTellWhoIsAlive(t *testing.T) {
	path := filepath.Join(stateDir(t), "j")
	open := func(flags int) *journal {
		j, err := openJournal(path, flags)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { j.file.Close() })
		return j
	}
	ours, theirs := open(os.O_CREATE), open(0)
	for _, want := range []bool{true, false} {
		if got, err := ours.lock(lockRun, false); err != nil || !got {
			t.Fatalf("lock: %v, %v", got, err)
		}
		if got, err := theirs.locked(); err != nil || !got {
			t.Errorf("locked, and alive: %v, %v", got, err)
		}
		if got, err := theirs.lock(lockUndo, false); err != nil || got != want {
			t.Errorf("the other lock: %v, %v, want %v", got, err, want)
		}
		if got, err := theirs.lock(lockRun, false); err != nil || got {
			t.Errorf("taken twice: %v, %v", got, err)
		}
		if err := theirs.unlock(lockUndo); err != nil {
			t.Error(err)
		}
		if got, err := ours.lock(lockUndo, false); err != nil || !got {
			t.Errorf("free again: %v, %v", got, err)
		}
	}
	ours.file.Close()
	if got, err := theirs.locked(); err != nil || got {
		t.Errorf("closed, and alive: %v, %v", got, err)
	}
}

// renewals come as they are sent; closing the channel is death.
type renewals chan struct{}

func (r renewals) Read(p []byte) (int, error) {
	if _, ok := <-r; !ok {
		return 0, os.ErrClosed
	}
	return 1, nil
}

func TestWatchTellsStuckFromDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, begin := make(renewals), time.Now()
		var expired []time.Duration
		go func() {
			for range 10 { // until 9 s
				r <- struct{}{}
				time.Sleep(time.Second)
			}
			time.Sleep(20 * time.Second)
			r <- struct{}{} // at 30 s it is back
			time.Sleep(3 * time.Second)
			close(r)
		}()
		watch(r, 4*time.Second, func() { expired = append(expired, time.Since(begin)) })
		// The last renewal came at 9 s; 4 s and a twentieth of them later it is over, once.
		if want := []time.Duration{13200 * time.Millisecond}; !slices.Equal(expired, want) {
			t.Errorf("expired at %v, want %v", expired, want)
		}
		if got := time.Since(begin); got != 33*time.Second {
			t.Errorf("death was seen at %v, want 33s", got)
		}
	})
}
