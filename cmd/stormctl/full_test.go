//go:build linux

package main

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A run that cannot record what it sees breaks nothing any longer: it heals,
// says which file it could not write, and leaves what it has to be judged.
func TestFullDiskEndsTheRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	small := r.file("small")
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", small).Run(); err != nil {
		t.Skipf("a file system that can be filled takes root and mount(2): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(small, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	made, file := r.file("made"), r.file("experiment.yaml")
	text := strings.NewReplacer("MADE", made).Replace(`
name: full
targets: {web: {reference: dependency}}
load: {rate: 200/s, duration: 100s, routes: [{name: get, to: web, get: /}]}
chaos: [{at: 1s, for: 98s, on: web, exec: {inject: [touch, MADE], heal: [rm, MADE]}}]
claims: [{recovery: {route: get, within: 1s}}] # without a steady state, which a host that is taken would not confirm
`)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(small, "run")
	cmd := r.stormctl("run", file, "--out", dir)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	eventually(t, "the fault is in force", func() bool { _, err := os.Stat(made); return err == nil })
	fill(t, filepath.Join(small, "others"))
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
	for _, want := range []string{dir + "/", "no space left on device", "the run was ended", "stormctl judge"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, said.String())
		}
	}
	if strings.Contains(said.String(), "99s ") {
		t.Errorf("it went on to the end:\n%s", said.String())
	}
	if _, err := os.Stat(made); err == nil {
		t.Error("the fault was not healed")
	}
	if out, err := r.stormctl("judge", dir).CombinedOutput(); exitCodeOf(err) != 4 || !strings.Contains(string(out), "STOPPED EARLY") {
		t.Errorf("judged: %v\n%s", err, out)
	}
}

// fill writes until nothing more can be.
func fill(t *testing.T, path string) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 4096)
	_, _ = rand.Read(buf) // never fails
	for {
		if _, err := f.Write(buf); err != nil {
			return
		}
	}
}
