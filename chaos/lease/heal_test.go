package lease

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

// write makes a journal of a run that is dead.
func write(t *testing.T, state string, change func(*Header), undo ...Undo) string {
	t.Helper()
	h := Header{Name: "old", Dir: t.TempDir(), Process: Process{Pid: 1 << 30}}
	h.Boot, h.Namespace, h.Clock = proc.View()
	change(&h)
	j, err := openJournal(filepath.Join(state, "old"+suffix), os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	defer j.file.Close()
	if err := j.append(entry{Run: &h}); err != nil {
		t.Fatal(err)
	}
	for i, u := range undo {
		if err := j.append(entry{Step: i + 1, Hold: i + 1, Why: "fault", Undo: &u}); err != nil {
			t.Fatal(err)
		}
	}
	return j.path
}

// Who is told that a journal is of no use has to know which.
func TestHealNamesAJournalThatItCannotRead(t *testing.T) {
	state := stateDir(t)
	path := filepath.Join(state, "torn"+suffix)
	if err := os.WriteFile(path, []byte(`{"half`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Heal(t.Context(), state, false); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("heal: %v, want it to name %s", err, path)
	}
	if _, err := Runs(state); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("runs: %v, want it to name %s", err, path)
	}
}

// After a restart of the machine pids are others'; files are what they were.
func TestHealAfterARestartOfTheMachine(t *testing.T) {
	state, p := stateDir(t), victim(t)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	path := write(t, state, func(h *Header) { h.Boot = "another" }, Undo{Kind: Continue, Process: &p}, Undo{Kind: Remove, File: file})
	found, err := Heal(t.Context(), state, false)
	if err != nil || len(found) != 1 || len(found[0].Undone) != 1 || found[0].Left != nil || exists(file) || exists(path) {
		t.Errorf("%+v, %v; the file is there: %v", found, err, exists(file))
	}
	if !p.Stopped() {
		t.Error("a process of this boot was taken for one of another")
	}
}

// The pids of another container mean others here: nothing is done, and it is
// said. So it is with what a later version has journalled.
func TestHealLeavesWhatItDoesNotUnderstand(t *testing.T) {
	p := victim(t)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		change func(*Header)
		undo   Undo
		want   string
	}{
		{func(h *Header) { h.Namespace = "pid:[1]" }, Undo{Kind: Continue, Process: &p}, "another container"},
		{func(*Header) {}, Undo{Kind: "teleport"}, "another version of stormctl"},
		{func(*Header) {}, Undo{Kind: Continue}, "lacks what it is about"},
	} {
		state := stateDir(t)
		path := write(t, state, row.change, row.undo)
		found, err := Heal(t.Context(), state, false)
		if err != nil || len(found) != 1 || len(found[0].Left) != 1 || !strings.Contains(found[0].Left[0].Why, row.want) {
			t.Errorf("%+v, %v, want left because of %s", found, err, row.want)
		}
		if !exists(path) {
			t.Error("the journal is gone, and with it what is to be done")
		}
	}
	if !p.Stopped() {
		t.Error("it was continued")
	}
}

// A journal that cannot be written keeps the fault from being made.
func TestNothingIsMadeWithoutAJournal(t *testing.T) {
	t.Setenv(StateEnv, stateDir(t))
	l, err := Open(Options{Name: "full", Dir: t.TempDir(), Guardian: true})
	if err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	real := l.journal.file
	l.journal.file = full
	made := false
	_, err = l.Inject(t.Context(), "x", []Undo{{Kind: Remove, File: "/nonexistent"}}, func(context.Context, *Injection) error { made = true; return nil })
	if err == nil || made || !strings.Contains(err.Error(), "nothing is broken that could not be undone") {
		t.Errorf("made: %v, %v", made, err)
	}
	l.journal.file = real
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestStateFolderIsOursAlone(t *testing.T) {
	dir := t.TempDir()
	set := func(name string, prepare func(path string) error) string {
		path := filepath.Join(dir, name)
		if err := prepare(path); err != nil {
			t.Fatal(err)
		}
		t.Setenv(StateEnv, path)
		return path
	}
	set("new", func(string) error { return nil })
	if got, err := StateDir(); err != nil || got != filepath.Join(dir, "new") {
		t.Errorf("%s, %v", got, err)
	}
	set("open", func(p string) error { return os.Mkdir(p, 0o755) })
	if _, err := StateDir(); err == nil || !strings.Contains(err.Error(), "chmod 700 it") {
		t.Error(err)
	}
	set("link", func(p string) error { return os.Symlink(filepath.Join(dir, "new"), p) })
	if _, err := StateDir(); err == nil || !strings.Contains(err.Error(), "is not a folder") {
		t.Error(err)
	}
	if os.Geteuid() != 0 {
		return // the rest takes a folder of another user
	}
	set("foreign", func(p string) error {
		if err := os.Mkdir(p, 0o700); err != nil {
			return err
		}
		return os.Chown(p, 65534, 65534)
	})
	if _, err := StateDir(); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
		t.Error(err)
	}
	if _, err := StateDirs(); err == nil {
		t.Error("heal would do what another user wrote")
	}
}

// Another user's word is told of and not done, by whatever way it comes: a
// folder of his, a link to one, a file of his in ours, ours in one of his.
func TestAnotherUsersJournalIsNotRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root to give a folder away")
	}
	give := func(path string) {
		t.Helper()
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	// A journal that would end a process of ours and remove a file.
	for _, c := range []struct {
		name string
		give func(parent, state, journal string)
	}{
		{"the folder", func(_, state, _ string) { give(state) }},
		{"the folder's parent", func(parent, _, _ string) { give(parent) }},
		{"the parent is open to all", func(parent, _, _ string) {
			if err := os.Chmod(parent, 0o777); err != nil {
				t.Fatal(err)
			}
		}},
		{"the file", func(_, _, journal string) { give(journal) }},
		{"the file is a link", func(_, _, journal string) {
			if err := errors.Join(os.Rename(journal, journal+".real"), os.Symlink(journal+".real", journal)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := filepath.Join(t.TempDir(), "parent")
			state := filepath.Join(parent, "state")
			if err := errors.Join(os.Mkdir(parent, 0o755), os.Mkdir(state, 0o700)); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(file, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			p := victim(t)
			journal := write(t, state, func(h *Header) { h.Process = p }, Undo{Kind: Remove, File: file})
			c.give(parent, state, journal)
			t.Setenv(StateEnv, state)
			found, _ := Heal(t.Context(), state, true)
			ended, left, _ := Halt(t.Context(), time.Millisecond)
			if len(found)+len(ended)+len(left) > 0 {
				t.Errorf("healed %+v, ended %+v, left %+v", found, ended, left)
			}
			if !exists(file) || !p.there() {
				t.Error("what another user wrote was done")
			}
		})
	}
}

// Somebody who takes the name of root's folder takes nothing away: what else is
// root's is healed, and new runs have a folder.
func TestTakenName(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root to give a folder away")
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	if err := os.Chmod(tmp, 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(tmp, "stormctl-0")
	if err := errors.Join(os.Mkdir(foreign, 0o700), os.Chown(foreign, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	first, err := besideForeign(foreign)
	if err != nil {
		t.Fatal(err)
	}
	again, err := besideForeign(foreign)
	if err != nil || again != first {
		t.Errorf("%s, then %s, %v", first, again, err)
	}
	dirs, err := StateDirs()
	if err != nil || slices.Contains(dirs, foreign) || !slices.Contains(dirs, first) {
		t.Errorf("%v, %v", dirs, err)
	}
	if others := Others(); !slices.Contains(others, foreign) || slices.Contains(others, first) {
		t.Errorf("of others: %v", others)
	}
}

// The copy that stays with a run goes through no link that was put in its place.
func TestKeptJournalFollowsNoLink(t *testing.T) {
	state := stateDir(t)
	var dir string
	file, precious := filepath.Join(t.TempDir(), "file"), filepath.Join(t.TempDir(), "precious")
	for _, path := range []string{file, precious} {
		if err := os.WriteFile(path, []byte("precious"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(t, state, func(h *Header) { dir = h.Dir }, Undo{Kind: Remove, File: file})
	if err := os.Symlink(precious, filepath.Join(dir, KeptFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Heal(t.Context(), state, false); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(precious); err != nil || string(text) != "precious" {
		t.Errorf("the link was followed: %q, %v", text, err)
	}
	if info, err := os.Lstat(filepath.Join(dir, KeptFile)); err != nil || !info.Mode().IsRegular() {
		t.Errorf("no copy was kept: %v, %v", info, err)
	}
}

// Starts of processes count from the boot as a time namespace has it: elsewhere
// no process has the start that was written, and that it is gone is not shown.
func TestHealInAnotherTimeNamespace(t *testing.T) {
	state, p := stateDir(t), victim(t)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	path := write(t, state, func(h *Header) { h.Clock = "time:[1]" }, Undo{Kind: Continue, Process: &p})
	found, err := Heal(t.Context(), state, false)
	if err != nil || len(found) != 1 || len(found[0].Left) != 1 || !exists(path) || !p.Stopped() {
		t.Errorf("%+v, %v; stands: %v", found, err, p.Stopped())
	}
}

// A file of any size costs what may be read of it, and no more.
func TestJournalThatIsTooLarge(t *testing.T) {
	state := stateDir(t)
	path := write(t, state, func(*Header) {})
	if err := os.Truncate(path, 3<<30); err != nil {
		t.Fatal(err)
	}
	if _, err := Heal(t.Context(), state, false); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("heal: %v", err)
	}
	j, err := openJournal(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer j.file.Close()
	if err := j.append(entry{Step: 1, Undo: &Undo{Kind: Remove, File: "/nonexistent"}}); err == nil {
		t.Error("a step is written that could not be read again")
	}
}

// One journal that must be waited for makes no other late.
func TestJournalsAreDoneAtOnce(t *testing.T) {
	var all sync.WaitGroup
	paths := []string{"a", "b", "c", "d", "e", "f"}
	all.Add(len(paths))
	got, err := each(paths, func(path string) (string, bool, error) {
		all.Done()
		all.Wait() // until the others are under way too
		switch path {
		case "c":
			return "", true, fs.ErrNotExist
		case "d":
			return "", true, errors.New("torn")
		}
		return path, path != "e", nil
	})
	if want := []string{"a", "b", "f"}; !slices.Equal(got, want) || err == nil || err.Error() != "torn" {
		t.Errorf("%v, %v", got, err)
	}
}

// Runs of which nothing is left go without a word; what only begins to be a
// journal is left alone.
func TestSweep(t *testing.T) {
	state := stateDir(t)
	t.Setenv(StateEnv, state)
	done := write(t, state, func(*Header) {})
	if err := os.Rename(done, filepath.Join(state, "done"+suffix)); err != nil {
		t.Fatal(err)
	}
	open := write(t, state, func(*Header) {}, Undo{Kind: Remove, File: "/nonexistent"})
	young, old := filepath.Join(state, "young"+suffix+unfinished), filepath.Join(state, "old"+suffix+unfinished)
	for path, age := range map[string]time.Duration{young: 0, old: time.Hour} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := Open(Options{Name: "new", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if exists(filepath.Join(state, "done"+suffix)) || !exists(open) || !exists(young) || exists(old) || !exists(l.Journal()) {
		t.Error("the wrong journals are swept")
	}
	found, err := Heal(t.Context(), state, false)
	if err != nil || len(found) != 2 || exists(open) || !exists(young) {
		t.Errorf("heal: %+v, %v; the one that begins is there: %v", found, err, exists(young))
	}
}

// A run that is killed while it forks leaves its lock to the child until that
// has executed its program. Until then the child could break something after it
// was undone; and it is not the run, which is dead.
func TestHealWaitsForAChildThatIsBeingForked(t *testing.T) {
	state := stateDir(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	path := write(t, state, func(*Header) {}, Undo{Kind: Remove, File: file})
	child, err := openJournal(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := child.lock(lockRun, false); err != nil {
		t.Fatal(err)
	}
	healed := make(chan []Found)
	go func() {
		found, err := Heal(context.Background(), state, false)
		if err != nil {
			t.Error(err)
		}
		healed <- found
	}()
	select {
	case found := <-healed:
		t.Errorf("it did not wait: %+v", found)
	case <-time.After(200 * time.Millisecond):
	}
	if !exists(file) {
		t.Error("it was undone while the child was not yet a program")
	}
	child.file.Close()
	if found := <-healed; len(found) != 1 || found[0].Alive || len(found[0].Undone) != 1 || exists(file) {
		t.Errorf("%+v; the file is there: %v", found, exists(file))
	}
}

// Children that were forked under a limit get their parent's old one back.
func TestRestoreFindsChildrenThatInherited(t *testing.T) {
	parent := shell(t, "read x; sleep 600 & wait")
	u := Undo{Kind: Rlimit, Process: &parent.Process, Resource: "nofile", Was: softLimit(t, parent.Process, "nofile"), Set: 50}
	if err := u.inflict(); err != nil {
		t.Fatal(err)
	}
	if _, err := parent.in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a child is forked under the limit", func() bool { return len(parent.Family()) == 2 })
	child := parent.Family()[1]
	if got := softLimit(t, child, "nofile"); got != 50 {
		t.Fatalf("the child has a limit of %d", got)
	}
	if err := u.perform(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range []Process{parent.Process, child} {
		if got := softLimit(t, p, "nofile"); got != u.Was {
			t.Errorf("%s has a limit of %d, want %d", p, got, u.Was)
		}
	}
}

// The file of a halt ends the runs that began before it, and no later one,
// though it stays.
func TestHaltFileEndsOnlyRunsFromBefore(t *testing.T) {
	state := stateDir(t)
	before := time.Now().Add(-time.Second)
	halted := LookForHalt(state, before)
	if halted() {
		t.Error("halted without a halt")
	}
	for range 2 { // a second halt is as good as the first
		if err := askToHalt(state); err != nil {
			t.Fatal(err)
		}
		if !halted() || !LookForHalt(state, before)() {
			t.Error("a run from before goes on")
		}
		if LookForHalt(state, time.Now().Add(time.Second))() {
			t.Error("a run from after ends")
		}
	}
	file := filepath.Join(state, haltFile)
	halted = LookForHalt(state, time.Now().Add(time.Second))
	for name, by := range map[string]time.Duration{"back": -time.Hour, "ahead": time.Hour} {
		at := time.Now().Add(by)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
		if !halted() {
			t.Errorf("a run in which the clock was set %s by an hour goes on", name)
		}
	}
	at := time.Now().Add(time.Hour)
	if err := os.Chtimes(file, at, at); err != nil {
		t.Fatal(err)
	}
	if LookForHalt(state, time.Now())() {
		t.Error("a run ends by a halt from before the clock was set back by an hour")
	}
}
