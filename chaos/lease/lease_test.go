package lease

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// damage is one fault of each kind that needs no more than a process, and how to
// see that it is there.
func damage(t *testing.T) (plans []plan, there func() []string) {
	t.Helper()
	stopped, limited := victim(t), victim(t)
	was := softLimit(t, limited, "nofile")
	file, made := filepath.Join(t.TempDir(), "filled"), filepath.Join(t.TempDir(), "made")
	plans = []plan{
		{Undo: Undo{Kind: Continue, Process: &stopped}},
		{Undo: Undo{Kind: Rlimit, Process: &limited, Resource: "nofile", Was: was, Set: 7}},
		{Undo: Undo{Kind: Remove, File: file}},
		{Undo: Undo{Kind: Exec, Command: []string{"rm", "-f", made}}, Command: []string{"touch", made}},
	}
	return plans, func() (found []string) {
		if stopped.Stopped() {
			found = append(found, "stopped")
		}
		if softLimit(t, limited, "nofile") == 7 {
			found = append(found, "limited")
		}
		if exists(file) {
			found = append(found, "file")
		}
		if exists(made) {
			found = append(found, "command")
		}
		return found
	}
}

func TestDeathUndoesAll(t *testing.T) {
	plans, there := damage(t)
	r := startRun(t, stateDir(t), plans...)
	r.until("made")
	if got := there(); len(got) != 4 {
		t.Fatalf("made %v, want all four", got)
	}
	r.kill()
	eventually(t, "all is undone and the journal gone", func() bool { return there() == nil && len(r.journals()) == 0 })
	text, err := os.ReadFile(filepath.Join(r.dir, KeptFile))
	if err != nil || strings.Count(string(text), `"by":"guardian"`) != 4 {
		t.Errorf("the run directory does not tell what the guardian did: %v\n%s", err, text)
	}
}

func TestHealUndoesWhatAKilledGuardianLeft(t *testing.T) {
	plans, there := damage(t)
	state := stateDir(t)
	r := startRun(t, state, plans...)
	r.until("made")
	found, err := Heal(t.Context(), state, false)
	if err != nil || len(found) != 1 || !found[0].Alive || len(there()) != 4 {
		t.Fatalf("heal of a run that is alive: %+v, %v; %v is there", found, err, there())
	}
	// The run is stopped first: it would heal itself when its guardian goes.
	if err := r.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	guardian, err := Identify(r.guardian)
	if err != nil {
		t.Fatal(err)
	}
	if err := guardian.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the guardian is gone", func() bool { return !guardian.there() })
	r.kill()
	if len(there()) != 4 {
		t.Fatalf("only %v is left: nothing is there for heal to show", there())
	}
	found, err = Heal(t.Context(), state, false)
	if err != nil || len(found) != 1 || len(found[0].Undone) != 4 || len(found[0].Left) != 0 {
		t.Errorf("heal: %+v, %v", found, err)
	}
	if got := there(); got != nil {
		t.Errorf("%v is still there", got)
	}
	if found, err = Heal(t.Context(), state, false); err != nil || found != nil {
		t.Errorf("a second heal found %+v, %v", found, err)
	}
}

// A run that stands still, as after Ctrl-Z, breaks nothing meanwhile, knows it
// when it goes on, and is undone again when it ends.
func TestStuckRunLosesItsLease(t *testing.T) {
	plans, there := damage(t)
	r := startRun(t, stateDir(t), plans...)
	r.until("made")
	if err := r.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the guardian undoes what is in force", func() bool { return there() == nil })
	if len(r.journals()) != 1 {
		t.Error("the journal of a run that may come back is gone")
	}
	for _, p := range plans[:3] { // as if the run had been in the middle of it
		if err := p.Undo.inflict(); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.until("lost: the lease ran out")
	_, _ = r.stdin.WriteString("\n")
	if got := r.until("late:"); !strings.Contains(got, "the lease ran out") {
		t.Errorf("it went on to break things: %s", got)
	}
	r.kill()
	eventually(t, "all is undone once more", func() bool { return there() == nil && len(r.journals()) == 0 })
}

// A command that is still at work when its run dies must not break anything
// after it was undone.
func TestCommandIsKilledBeforeItIsUndone(t *testing.T) {
	dir := t.TempDir()
	file, begun := filepath.Join(dir, "late"), filepath.Join(dir, "begun")
	r := startRun(t, stateDir(t), plan{
		Undo:    Undo{Kind: Exec, Command: []string{"rm", "-f", file}},
		Command: []string{"sh", "-c", "setsid sh -c 'touch " + begun + "; sleep 1; touch " + file + "' & wait"},
	})
	eventually(t, "the command is at work", func() bool { return exists(begun) })
	r.kill()
	eventually(t, "the guardian is done", func() bool { return len(r.journals()) == 0 })
	time.Sleep(1500 * time.Millisecond) // longer than the command would have taken
	if exists(file) {
		t.Error("the command broke something after it was undone")
	}
}

func TestCloseUndoesAndLeavesNothing(t *testing.T) {
	plans, there := damage(t)
	t.Setenv("LEASE_TEST_CLOSE", "yes")
	r := startRun(t, stateDir(t), plans...)
	if got := r.until("closed"); got != "closed <nil>" {
		t.Error(got)
	}
	_ = r.cmd.Wait()
	if got := there(); got != nil || len(r.journals()) != 0 {
		t.Errorf("%v and %v are left", got, r.journals())
	}
	if _, err := Identify(r.guardian); err == nil {
		t.Error("the guardian is left")
	}
}

// A guardian is not ended by what ends other programs, and when it is killed
// the run knows.
func TestGuardianIsMissed(t *testing.T) {
	r := startRun(t, stateDir(t))
	r.until("made")
	g, err := Identify(r.guardian)
	if err != nil {
		t.Fatal(err)
	}
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGKILL} {
		if !g.there() {
			t.Fatalf("it ended before %s", unix.SignalName(sig))
		}
		if err := g.Signal(sig); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	r.until("lost: the guardian is gone")
}

// In this process: what a failed or refused fault leaves behind.
func TestMakeUndoesWhatFails(t *testing.T) {
	t.Setenv(StateEnv, stateDir(t))
	l, err := Open(Options{Name: "here", Dir: t.TempDir(), Guardian: true})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	undo := Undo{Kind: Remove, File: file}
	_, err = l.Inject(t.Context(), "half", []Undo{undo}, func(context.Context, *Injection) error {
		_ = undo.inflict()
		return errors.New("half way")
	})
	if err == nil || err.Error() != "half way" || exists(file) {
		t.Errorf("error %v; the file is there: %v", err, exists(file))
	}
	order := ""
	note := func(s string) Undo {
		return Undo{Kind: Exec, Command: []string{"sh", "-c", "printf " + s + " >> " + file}}
	}
	heal, err := l.Inject(t.Context(), "two", []Undo{note("1"), note("2")}, func(_ context.Context, m *Injection) error {
		_, err := m.journal(note("3")) // which is known only now
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := heal(ctx); err != nil {
		t.Error(err)
	}
	cancel()
	if text, _ := os.ReadFile(file); string(text) != "321" {
		t.Errorf("undone in the order %q %s, want 321: the latest first", text, order)
	}
	if err := heal(t.Context()); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(file); string(text) != "321" {
		t.Errorf("undone again: %q", text)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}

	none, err := Open(Options{Name: "none", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	made := false
	if _, err := none.Inject(t.Context(), "x", nil, func(context.Context, *Injection) error { made = true; return nil }); err == nil || made {
		t.Errorf("without a guardian: %v, made %v", err, made)
	}
}

// A run that was stopped between the making of a fault and its end undoes it
// itself: its guardian may have undone it before it was made.
func TestLeaseLostWhileMaking(t *testing.T) {
	t.Setenv(StateEnv, stateDir(t))
	lost := make(chan string, 1)
	l, err := Open(Options{Name: "here", Dir: t.TempDir(), Guardian: true, Lost: func(why string) { lost <- why }})
	if err != nil {
		t.Fatal(err)
	}
	undo := Undo{Kind: Remove, File: filepath.Join(t.TempDir(), "file")}
	_, err = l.Inject(t.Context(), "late", []Undo{undo}, func(context.Context, *Injection) error {
		l.mu.Lock()
		l.renewed = time.Now().Add(-length - time.Millisecond) // as if it had stood still
		l.mu.Unlock()
		return undo.inflict()
	})
	if err == nil || !strings.Contains(err.Error(), "the lease ran out") || exists(undo.File) {
		t.Errorf("error %v; the file is there: %v", err, exists(undo.File))
	}
	if why := <-lost; !strings.Contains(why, "the lease ran out") {
		t.Errorf("the run was told %q", why)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// What cannot be undone stays, with the way to do it by hand, until it can.
func TestHealTellsWhatItCannotUndo(t *testing.T) {
	state := stateDir(t)
	mark := filepath.Join(t.TempDir(), "may work")
	r := startRun(t, state, plan{Undo: Undo{Kind: Exec, Command: []string{"test", "-e", mark}}, Command: []string{"true"}})
	r.until("made")
	r.kill()
	g := Process{Pid: r.guardian}
	if id, err := Identify(r.guardian); err == nil {
		g = id
	}
	eventually(t, "the guardian gives up", func() bool { return !g.there() })
	found, err := Heal(t.Context(), state, false)
	want := []Left{{Fault: "fault 0", Undo: "run test -e " + mark, ByHand: "test -e '" + mark + "'", Why: "run test -e " + mark + ": exit status 1"}}
	if err != nil || len(found) != 1 || !slices.Equal(found[0].Left, want) {
		t.Errorf("heal: %+v, %v\nwant left %+v", found, err, want)
	}
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if found, err = Heal(t.Context(), state, false); err != nil || len(found) != 1 || len(found[0].Undone) != 1 || len(r.journals()) != 0 {
		t.Errorf("once it can be done: %+v, %v, journals %v", found, err, r.journals())
	}
}

// Two runs must not do the same to one process: the one that ends last would
// bring back what the other has made.
func TestTwoRunsDoNotTakeOneProcess(t *testing.T) {
	state, p, other := stateDir(t), victim(t), victim(t)
	begin := func(name string) *Lease {
		l, err := Open(Options{State: state, Name: name, Dir: t.TempDir(), Guardian: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	made := func(context.Context, *Injection) error { return nil }
	limit := func(p Process) []Undo {
		return []Undo{{Kind: Rlimit, Process: &p, Resource: "nofile", Was: 20, Set: 7}}
	}
	one, two := begin("one"), begin("two")
	heal, err := one.Inject(t.Context(), "fd 4 free", limit(p), made)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Lease{one, two} {
		_, err = l.Inject(t.Context(), "fd 2 free", limit(p), func(context.Context, *Injection) error { t.Error("it was made"); return nil })
		if err == nil || !strings.Contains(err.Error(), "is under fd 4 free") {
			t.Errorf("of %s: %v, want a refusal that names the other fault", l.options.Name, err)
		}
	}
	if _, err := two.Inject(t.Context(), "fd 2 free", limit(other), made); err != nil {
		t.Errorf("another process: %v", err)
	}
	if _, err := two.Inject(t.Context(), "pause", []Undo{{Kind: Continue, Process: &p}}, made); err != nil {
		t.Errorf("something else: %v", err)
	}
	group := func(home, made string) []Undo { return []Undo{{Kind: Regroup, Home: home, Group: made}} }
	base := t.TempDir() // no cgroup: there is nothing to move back
	if _, err := one.Inject(t.Context(), "cpu 1", group(base, base+"/one"), made); err != nil {
		t.Error(err)
	}
	if _, err := two.Inject(t.Context(), "cpu 2", group(base+"/one", base+"/two"), made); err == nil || !strings.Contains(err.Error(), "is under cpu 1 of run one") {
		t.Errorf("a group within that of another fault: %v", err)
	}
	if _, err := two.Inject(t.Context(), "cpu 2", group(base, base+"/two"), made); err != nil {
		t.Errorf("a group beside that of another fault: %v", err)
	}
	if err := heal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Inject(t.Context(), "fd 2 free", limit(p), made); err != nil {
		t.Errorf("after the heal: %v", err)
	}
}
