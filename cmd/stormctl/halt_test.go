//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Two runs at once are both found, and both end healed.
func TestHaltEndsEveryRun(t *testing.T) {
	t.Parallel()
	first, second := newRig(t), newRig(t)
	second.state = first.state
	runs := []*exec.Cmd{first.start(), second.start()}
	eventually(t, "both are in the middle of it", func() bool { return len(first.broken()) > 2 && len(second.broken()) > 2 })
	out, err := first.stormctl("heal").CombinedOutput()
	if err != nil || strings.Count(string(out), "is alive and was left alone") != 2 {
		t.Errorf("heal beside runs that are alive: %v\n%s", err, out)
	}
	out, err = first.stormctl("halt").CombinedOutput()
	if err != nil || strings.Count(string(out), "ended, and nothing of it is in force: broken") != 2 {
		t.Errorf("halt: %v\n%s", err, out)
	}
	for i, run := range runs {
		_ = run.Wait()
		if code := run.ProcessState.ExitCode(); code != 4 {
			t.Errorf("run %d: exit code %d, want 4", i, code)
		}
	}
	for _, r := range []*rig{first, second} {
		if left := r.left(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
	if out, err := first.stormctl("halt").CombinedOutput(); err != nil || string(out) != "no run is alive\n" {
		t.Errorf("halt with nobody there: %v, %s", err, out)
	}
}

// What does not end is told, with what to do; heal --force undoes what it has
// in force all the same.
func TestHaltTellsWhatItCouldNotEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	run := r.start()
	eventually(t, "it is in the middle of it", func() bool { return len(r.broken()) > 2 })
	if err := run.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	out, err := r.stormctl("halt", "--within", "300ms").CombinedOutput()
	if code := exitCodeOf(err); code != 2 || !strings.Contains(string(out), "NOT ENDED within 300ms: broken") || !strings.Contains(string(out), "by hand: kill -KILL") {
		t.Errorf("halt: exit code %d\n%s", code, out)
	}
	if out, err := r.stormctl("heal", "--force").CombinedOutput(); err != nil || !strings.Contains(string(out), "undone") {
		t.Errorf("heal --force: %v\n%s", err, out)
	}
	if broken := r.broken(); len(broken) > 0 {
		t.Errorf("after heal --force: %v", broken)
	}
	if err := run.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	_ = run.Wait()
	if code := run.ProcessState.ExitCode(); code != 4 { // SIGTERM waited for it
		t.Errorf("exit code %d, want 4", code)
	}
	if left := r.left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A run whose guardian is killed heals itself, and does not go on without one.
func TestRunEndsWithoutItsGuardian(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	run := r.start()
	eventually(t, "it is in the middle of it", func() bool { return len(r.broken()) > 2 })
	if err := unix.Kill(guardian(run.Process.Pid), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = run.Wait()
	if code := run.ProcessState.ExitCode(); code != 4 {
		t.Errorf("exit code %d, want 4", code)
	}
	if got := readResult(t, r.file("run")).Stopped; !strings.Contains(got, "the guardian is gone") {
		t.Errorf("stopped because %q", got)
	}
	if left := r.left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestStopFileEndsTheRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.file("stop")
	file := r.file("experiment.yaml")
	text := strings.Replace(r.experiment(r.chaos()), "limits: {", "limits: {stop_file: stop, ", 1)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := r.stormctl("run", file, "--quiet", "--out", r.file("run"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "it is in the middle of it", func() bool { return len(r.broken()) > 2 })
	if err := os.WriteFile(stop, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 4 {
		t.Errorf("exit code %d, want 4, %v later", code, time.Since(began))
	}
	if got := readResult(t, r.file("run")).Stopped; got != "stopped by the stop file "+stop {
		t.Errorf("stopped because %q", got)
	}
	if left := r.left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	out, err := r.stormctl("run", file, "--out", r.file("again")).CombinedOutput()
	if code := exitCodeOf(err); code != 2 || !strings.Contains(string(out), "the stop file "+stop+" is there: remove it to run") {
		t.Errorf("a run beside its stop file: exit code %d\n%s", code, out)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "again", "evidence", "front.csv")); err == nil {
		t.Error("it was begun all the same")
	}
}

// What is seen behind ends a run as well: callers may not notice yet.
func TestLimitOfALinkStopsTheRun(t *testing.T) {
	t.Parallel()
	s := startRun(t, `
name: behind
targets:
  bank: {reference: dependency}
  checkout: {reference: frontend}
links: {payments: {from: checkout, to: bank}}
load: {rate: 100/s, duration: 40s, routes: [{name: pay, to: checkout, get: /payments}]}
chaos: [{at: 1s, for: 38s, on: payments, errors: {status: 503}}]
claims: [{recovery: {within: 5s}}]
limits: {stop_if: [{link: payments, errors_above: 50%, for: 2s}]}
`)
	if code := s.wait(); code != 4 {
		t.Errorf("exit code %d, want 4", code)
	}
	r := readResult(t, s.dir)
	if !strings.Contains(r.Stopped, "errors of link \"payments\" were above 50% for 2 s") {
		t.Errorf("stopped because %q", r.Stopped)
	}
	if f := r.Faults[0]; f.Healed < 0 || f.Healed > 30 {
		t.Errorf("not healed when it was stopped: %+v", f)
	}
}
