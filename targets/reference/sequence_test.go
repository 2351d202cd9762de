package reference

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// numbers are those of events.
func numbers(events []event) (seqs []uint64) {
	for _, e := range events {
		seqs = append(seqs, e.seq)
	}
	return seqs
}

func TestSequence(t *testing.T) {
	s := newSequence(5)
	now := time.Unix(100, 0)
	for i, step := range []struct {
		take   uint64
		turn   []uint64
		missed time.Time // since when one is missing
	}{
		{5, []uint64{5}, time.Time{}},
		{7, nil, time.Unix(101, 0)},
		{8, nil, time.Unix(101, 0)},
		{4, []uint64{4}, time.Unix(101, 0)}, // it comes again: not for the order to say
		{10, nil, time.Unix(101, 0)},
		{7, nil, time.Unix(101, 0)}, // again, while it waits
		{6, []uint64{6, 7, 8}, time.Unix(106, 0)},
		{9, []uint64{9, 10}, time.Time{}},
	} {
		turn := numbers(s.take(event{seq: step.take}, now.Add(time.Duration(i)*time.Second)))
		if since, _ := s.missing(); !slices.Equal(turn, step.turn) || !since.Equal(step.missed) {
			t.Errorf("after %d: %v, missing since %v; want %v, %v", step.take, turn, since, step.turn, step.missed)
		}
	}
	for _, seq := range []uint64{20, 22, 15} {
		s.take(event{seq: seq}, now)
	}
	if turn := numbers(s.skip(20, now)); !slices.Equal(turn, []uint64{15, 20}) {
		t.Errorf("after what is missing before 20 was given up: %v, want 15, 20", turn)
	}
	s.take(event{seq: 21}, now)
	if _, waits := s.missing(); waits {
		t.Error("one is missing, although none waits")
	}
}

// One speaks for all events before it, so none may be sent before those are done.
func TestAcknowledgementsAreInOrder(t *testing.T) {
	var sent []uint64
	a := newAcknowledgements(5)
	finish := func(seq uint64) { a.finish(seq, func() { sent = append(sent, seq) }) }
	for _, step := range []struct {
		finish uint64
		sent   []uint64
	}{
		{6, nil}, {7, nil}, {5, []uint64{5, 6, 7}}, {9, nil},
		{6, []uint64{6}}, // again: the one before may have been lost
	} {
		sent = nil
		if finish(step.finish); !slices.Equal(sent, step.sent) {
			t.Errorf("after %d: %v acknowledged, want %v", step.finish, sent, step.sent)
		}
	}
	sent = nil
	if a.skip(9); !slices.Equal(sent, []uint64{9}) {
		t.Errorf("after all before 9 were given up: %v acknowledged, want 9", sent)
	}
}

// A process that dies within a line leaves a journal that can be read and gone on with.
func TestJournalWithoutTheEndOfItsLastLine(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []struct{ want []string }{{nil}, {[]string{"one", "two"}}, {[]string{"one", "two", "one", "two"}}} {
		j, lines, err := openJournal(dir, "j")
		if err != nil || !slices.Equal(lines, step.want) {
			t.Fatalf("%q, %v; want %q", lines, err, step.want)
		}
		for _, line := range []string{"one", "two"} {
			if err := j.write(line); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := j.file.WriteString("thr"); err != nil {
			t.Fatal(err)
		}
		j.close()
	}
}

func TestAppliedAfterRestart(t *testing.T) {
	dir := t.TempDir()
	a, err := openApplied(dir)
	if err != nil {
		t.Fatal(err)
	}
	for id, now := range map[string]state{"applied": done, "failed": fresh, "unheard": doubtful} {
		if known, err := a.begin(id); known != fresh || err != nil {
			t.Fatalf("%s: %d, %v", id, known, err)
		}
		if known, _ := a.begin(id); known != underway {
			t.Errorf("%s comes again meanwhile: %d, want underway", id, known)
		}
		if err := a.end(id, now); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = a.begin("cut off")
	a.close()

	if a, err = openApplied(dir); err != nil {
		t.Fatal(err)
	}
	defer a.close()
	for id, want := range map[string]state{"applied": done, "failed": doubtful, "unheard": doubtful, "cut off": doubtful, "new": fresh} {
		if known, err := a.begin(id); known != want || err != nil {
			t.Errorf("%s after a restart: %d, %v; want %d", id, known, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "applied")); err != nil {
		t.Error(err)
	}
}
