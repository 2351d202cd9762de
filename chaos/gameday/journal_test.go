package gameday

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load/input/inputtest"
)

// write writes a journal of n entries, the first two before it has a file.
func write(t *testing.T, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	j := NewJournal()
	for i := range n {
		if i == 2 {
			if err := j.Open(inputtest.Root(t, dir)); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Add(Entry{Who: "Ana", Role: "operator", Do: Noted, Text: fmt.Sprintf("note %d\n\"of two lines\"", i), Outcome: Done}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Add(Entry{Do: Noted}); !errors.Is(err, ErrOver) {
		t.Errorf("a closed journal took an entry: %v", err)
	}
	return dir
}

// The journal is in the directory that was opened, whatever takes its place, and it is
// written through no link.
func TestJournalFollowsNoLink(t *testing.T) {
	dir, theirs := filepath.Join(t.TempDir(), "run"), t.TempDir()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	root := inputtest.Root(t, dir)
	if err := errors.Join(os.Rename(dir, dir+".old"), os.Symlink(theirs, dir)); err != nil {
		t.Fatal(err)
	}
	j := NewJournal()
	if err := errors.Join(j.Open(root), j.Close()); err != nil {
		t.Error(err)
	}
	if _, ending, err := ReadJournal(dir + ".old"); err != nil || ending != Whole {
		t.Errorf("the journal in the directory that was opened: %s, %v", ending, err)
	}
	if there, _ := os.ReadDir(theirs); len(there) > 0 {
		t.Errorf("it is in the directory that took its place: %v", there)
	}
	for _, to := range []string{filepath.Join(theirs, "none"), "inside"} {
		other := t.TempDir()
		if err := os.Symlink(to, filepath.Join(other, JournalFile)); err != nil {
			t.Fatal(err)
		}
		if err := NewJournal().Open(inputtest.Root(t, other)); err == nil {
			t.Errorf("it was made where a link to %s leads", to)
		}
		if _, _, err := ReadJournal(other); err == nil {
			t.Errorf("a link to %s was read", to)
		}
	}
}

func TestJournal(t *testing.T) {
	dir := write(t, 5)
	entries, ending, err := ReadJournal(dir)
	if err != nil || ending != Whole || len(entries) != 6 { // and its last line
		t.Fatalf("%d entries, %s, %v; want 6, whole", len(entries), ending, err)
	}
	if e := entries[4]; e.N != 5 || e.Who != "Ana" || e.Do != Noted || e.Text != "note 4\n\"of two lines\"" {
		t.Errorf("the fifth is %+v", e)
	}
	if err := NewJournal().Open(inputtest.Root(t, dir)); err == nil {
		t.Error("a journal was opened over another")
	}
}

// Whatever is changed in a line but the last, or left out, put in or exchanged, is
// found, and the error names a line there.
func TestChangedJournal(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(lines [][]byte) [][]byte
		want   string
	}{
		{"a word", func(l [][]byte) [][]byte { l[2] = bytes.Replace(l[2], []byte("Ana"), []byte("Eve"), 1); return l }, "line 3"},
		{"a space", func(l [][]byte) [][]byte { l[0] = append(l[0], ' '); return l }, "line 1"},
		{"left out", func(l [][]byte) [][]byte { return append(l[:2:2], l[3:]...) }, "line 2"},
		{"the first left out", func(l [][]byte) [][]byte { return l[1:] }, "line 1"},
		{"exchanged", func(l [][]byte) [][]byte { l[1], l[2] = l[2], l[1]; return l }, "line 1"},
		{"put in", func(l [][]byte) [][]byte { return append(l[:3:3], append([][]byte{l[2]}, l[3:]...)...) }, "line 3"},
		{"no entry", func(l [][]byte) [][]byte { l[4] = []byte("{"); return l }, "line 5"},
		{"cut", func(l [][]byte) [][]byte { return l[:4] }, ""}, // is not whole
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := write(t, 5)
			file := filepath.Join(dir, JournalFile)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lines := tt.change(bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")))
			if err := os.WriteFile(file, append(bytes.Join(lines, []byte("\n")), '\n'), 0o600); err != nil {
				t.Fatal(err)
			}
			_, ending, err := ReadJournal(dir)
			if tt.want == "" {
				if err != nil || ending != CutShort {
					t.Errorf("%s, %v; want it cut short", ending, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want+":") {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// Wherever a kill cuts a journal off, the lines before it are read, and it is told how
// it ends. What was changed before is found all the same.
func TestKilledJournal(t *testing.T) {
	dir := write(t, 3)
	file := filepath.Join(dir, JournalFile)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(text) + 1 {
		if err := os.WriteFile(file, text[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		want := Torn
		switch {
		case n == len(text):
			want = Whole
		case n == 0 || text[n-1] == '\n':
			want = CutShort
		}
		entries, ending, err := ReadJournal(dir)
		if lines := bytes.Count(text[:n], []byte("\n")); err != nil || ending != want || len(entries) != lines {
			t.Errorf("%d bytes: %d entries, %s, %v; want %d, %s", n, len(entries), ending, err, lines, want)
		}
	}
	changed := bytes.Replace(text[:len(text)-5], []byte("note 0"), []byte("note 9"), 1)
	if err := os.WriteFile(file, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadJournal(dir); err == nil || !strings.Contains(err.Error(), "line 1:") {
		t.Errorf("a torn journal with another first line: %v", err)
	}
}

func TestSummary(t *testing.T) {
	at := func(s float64) *evidence.Seconds { v := evidence.Seconds(s * 1e9); return &v }
	op := Entry{Who: "Ana", Role: "operator", Outcome: Done}
	with := func(do, on, text string, when *evidence.Seconds) Entry {
		e := op
		e.Do, e.On, e.Text, e.At = do, on, text, when
		return e
	}
	refused := with(Inject, "bank", "", at(5))
	refused.Outcome = "not now"
	s := Summarize([]Entry{
		with(Enter, "", "", nil), with(Enter, "", "", nil), with(Predict, "claim", "held", nil), with(Predict, "claim", "refuted", nil),
		refused, with(Inject, "bank", "", at(10)), with(Detected, "bank", "", at(12.5)), with(Detected, "bank", "", at(13)),
		with(Mitigated, "bank", "", at(20)), with(Inject, "never", "", at(30)),
	}, []evidence.Injection{{Name: "bank", Injected: 10 * time.Second, Healed: 15 * time.Second}, {Name: "never", Injected: -1}})
	if len(s.People) != 1 || s.Done != 9 || s.Refused != 1 {
		t.Errorf("%v, %d done, %d refused; want Ana, 9, 1", s.People, s.Done, s.Refused)
	}
	if len(s.Predictions) != 1 || s.Predictions[0].Ruling != "refuted" {
		t.Errorf("predicted: %v, want the last word", s.Predictions)
	}
	if len(s.Faults) != 1 || s.Faults[0].Detected == nil || s.Faults[0].Detected.After != 2500*time.Millisecond ||
		s.Faults[0].Mitigated == nil || s.Faults[0].Mitigated.After != 10*time.Second {
		t.Errorf("faults: %+v", s.Faults)
	}
}

// A journal has no more lines than one can: whoever made it by hand takes no memory
// with it.
func TestEndlessJournal(t *testing.T) {
	dir := t.TempDir()
	var text bytes.Buffer
	before := sha256.Sum256(nil)
	for n := 1; n <= MostEntries+2; n++ {
		line := fmt.Appendf(nil, `{"n":%d,"before":"%x"}`, n, before)
		before = sha256.Sum256(line)
		text.Write(append(line, '\n'))
	}
	if err := os.WriteFile(filepath.Join(dir, JournalFile), text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if entries, _, err := ReadJournal(dir); err == nil || len(entries) > MostEntries+1 || !strings.Contains(err.Error(), "no journal has more than") {
		t.Errorf("%d entries: %v", len(entries), err)
	}
}

// What a game day is called, and what its notes say, stays a comment in the experiment
// that does it again.
func TestExportedCommentsStayComments(t *testing.T) {
	x, err := experiment.Parse("x.yaml", []byte("name: x\ntargets: {a: {url: 'http://127.0.0.1:1'}}\n"+
		"load: {rate: 1/s, duration: 1s, routes: [{name: r, to: a, get: /}]}\nclaims: [{steady: {success: 99%}}]\n"), experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := Text(x, "runs/a\nabout: planted\x1b[2J", []string{"n\nseed: 7\u202e\u2028about: planted"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := experiment.Parse("again.yaml", text, experiment.Options{})
	if err != nil || again.About != "" || again.Seed == 7 || bytes.ContainsAny(text, "\x1b\u202e\u2028") {
		t.Errorf("%v, %q: %q", err, again.About, text)
	}
}
