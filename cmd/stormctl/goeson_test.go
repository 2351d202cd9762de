//go:build linux

package main

import (
	"os"
	"strings"
	"testing"
)

// Who asks how a run stands while it goes on must not be told that it was
// killed, nor after it was that it goes on.
func TestJudgeOfARunThatGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	file, dir := r.file("experiment.yaml"), r.file("run")
	if err := os.WriteFile(file, []byte(`
name: long
targets: {web: {reference: dependency}}
load: {rate: 100/s, duration: 10m, routes: [{name: get, to: web, get: /}]}
claims: [{steady: {success: 50%, p50: 9s}}]
`), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := r.stormctl("run", file, "--out", dir, "--quiet")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	judged := func(verb string) (string, int) {
		out, err := r.stormctl(verb, dir).CombinedOutput()
		return strings.Join(strings.Fields(string(out)), " "), exitCodeOf(err)
	}
	eventually(t, "the load has begun", func() bool {
		_, code := judged("judge")
		return code == int(exitStopped)
	})
	for _, verb := range []string{"judge", "report"} {
		out, _ := judged(verb)
		if !strings.Contains(out, " NOT OVER The run goes on: what is told is what was seen in its first ") ||
			!strings.Contains(out, " so far ") || strings.Contains(out, "killed") {
			t.Errorf("%s of a run that goes on: %s", verb, out)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if out, code := judged("judge"); code != int(exitStopped) || !strings.Contains(out, " before its time: the run was killed. ") ||
		strings.Contains(out, "goes on") {
		t.Errorf("judge of a run that was killed: exit %d: %s", code, out)
	}
}
