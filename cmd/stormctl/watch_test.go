//go:build linux

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

const watchedFile = `
name: watched
targets:
  bank: {reference: dependency}
  shop: {reference: frontend, with: {breaker: none, retry: none}}
links: {bank: {from: shop, to: bank}}
load: {rate: 100/s, duration: DURATION, routes: [{name: pay, to: shop, get: /bank}]}
chaos: [{at: 1s, for: 1s, on: bank, errors: {status: 503, share: 50%}}]
claims: [{recovery: {route: pay, within: 2s}}]
`

// A run that is followed from another process is told as it goes on, its ruling and exit
// code are those that the run itself comes to, and so they are when it is over.
func TestWatchFollowsARunToItsRuling(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	file, dir := r.file("watched.yaml"), r.file("run")
	if err := os.WriteFile(file, []byte(strings.Replace(watchedFile, "DURATION", "3s", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	run := r.stormctl("run", file, "--out", dir, "--quiet")
	var printed bytes.Buffer
	run.Stdout = &printed
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is something to watch", func() bool { _, err := os.Stat(dir + "/experiment.yaml"); return err == nil })
	for _, when := range []string{"while it goes on", "when it is over"} {
		watch := r.stormctl("watch", dir)
		var ruling, told bytes.Buffer
		watch.Stdout, watch.Stderr = &ruling, &told
		watchErr := watch.Run()
		if when == "while it goes on" {
			if err := run.Wait(); exitCodeOf(err) != exitCodeOf(watchErr) {
				t.Errorf("the run exits with %d, watch with %d: %s", exitCodeOf(err), exitCodeOf(watchErr), told.String())
			}
		}
		if ruling.String() != printed.String() {
			t.Errorf("%s watch prints\n%s\nand the run printed\n%s", when, ruling.String(), printed.String())
		}
		for _, want := range []string{"injected errors 503 to 50% on bank", "healed errors 503 to 50% on bank", "/s (", "  rate    ", "  not ok  ", "  p99     "} {
			if !strings.Contains(told.String(), want) {
				t.Errorf("%s watch does not tell %q:\n%s", when, want, told.String())
			}
		}
	}
}

// A run that is killed while it is followed is told to be gone, what it recorded is
// ruled on, and nothing waits for it for ever.
func TestWatchSaysThatARunIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	file, dir := r.file("watched.yaml"), r.file("run")
	if err := os.WriteFile(file, []byte(strings.Replace(watchedFile, "DURATION", "10m", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	run := r.stormctl("run", file, "--out", dir, "--quiet")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Process.Kill() })
	eventually(t, "the load has begun", func() bool {
		text, _ := os.ReadFile(dir + "/timeline.jsonl")
		return bytes.Contains(text, []byte(`"event":"tick"`))
	})
	watch := r.stormctl("watch", dir)
	var ruling, told screen
	watch.Stdout, watch.Stderr = &ruling, &told
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "watch tells of seconds", func() bool { return strings.Count(told.String(), "/s (") > 1 })
	if err := run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = run.Wait()
	if code := exitCodeOf(watch.Wait()); code != int(exitStopped) || !strings.Contains(told.String(), "is gone: its timeline ends at") ||
		!strings.Contains(ruling.String(), "the run was killed") {
		t.Errorf("exit %d, told\n%s\nruling\n%s", code, told.String(), ruling.String())
	}
}

// What is no run directory is refused at once, with what to do.
func TestWatchRefusesWhatIsNoRun(t *testing.T) {
	t.Setenv("STORMCTL_STATE", t.TempDir()+"/none")
	var out, errs bytes.Buffer
	if code := execute([]string{"watch", t.TempDir()}, &out, &errs); code != exitFailed || !strings.Contains(errs.String(), "is not a run directory") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}
