//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// slowToStart has a target that gets ready only once a file is there.
const slowToStart = `
name: slow
targets: {web: {process: {command: [sh, -c, 'echo waiting; while ! test -e go; do sleep 0.05; done; exec PROGRAM target dependency --listen "$ADDR"'], ready: /healthz, ready_within: READY, dir: .}}}
load: {rate: 50/s, duration: 1s, routes: [{name: get, to: web, get: /}]}
claims: [{steady: {success: 50%}}]
`

func slowExperiment(t *testing.T, r *rig, ready string) string {
	t.Helper()
	program, err := exec.LookPath("stormctl")
	if err != nil {
		t.Fatal(err)
	}
	file := r.file("experiment.yaml")
	if err := os.WriteFile(file, []byte(strings.NewReplacer("PROGRAM", program, "READY", ready).Replace(slowToStart)), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// A start that failed is told by its directory, and the next attempt takes it.
func TestRetryAfterFailedStart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	file, dir := slowExperiment(t, r, "300ms"), r.file("run")
	out, err := r.stormctl("run", file, "--quiet", "--out", dir).CombinedOutput()
	if exitCodeOf(err) != 2 || !strings.Contains(string(out), "not ready within 300ms") {
		t.Fatalf("the first: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "targets", "web.log")); err != nil {
		t.Errorf("what the target said is gone: %v", err)
	}
	out, err = r.stormctl("judge", dir).CombinedOutput()
	if exitCodeOf(err) != 2 || !strings.Contains(string(out), "could not start") || !strings.Contains(string(out), "not ready within 300ms") {
		t.Errorf("judged: %v\n%s", err, out)
	}
	if err := os.WriteFile(r.file("go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	file = slowExperiment(t, r, "30s")
	if out, err := r.stormctl("run", file, "--quiet", "--out", dir).CombinedOutput(); err != nil {
		t.Errorf("the second: %v\n%s", err, out)
	}
	if out, err := r.stormctl("run", file, "--quiet", "--out", dir).CombinedOutput(); exitCodeOf(err) != 2 || !strings.Contains(string(out), "is not empty") {
		t.Errorf("a run was buried: %v\n%s", err, out)
	}
}

// A run that was killed while its targets started says so.
func TestJudgeAfterKillWhileStarting(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	file, dir := slowExperiment(t, r, "60s"), r.file("run")
	run := r.stormctl("run", file, "--quiet", "--out", dir)
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the target starts", func() bool {
		said, _ := os.ReadFile(filepath.Join(dir, "targets", "web.log"))
		return strings.Contains(string(said), "waiting")
	})
	_ = run.Process.Kill()
	_ = run.Wait()
	out, err := r.stormctl("judge", dir).CombinedOutput()
	if exitCodeOf(err) != 2 || !strings.Contains(string(out), "it was killed before its targets were ready") {
		t.Errorf("judged: %v\n%s", err, out)
	}
}
