package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCommandInjectsAndHeals(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "on.sh"), []byte("#!/bin/sh\necho broke it; touch broken; sleep 600 >/dev/null 2>&1 & echo $! > child\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	output := filepath.Join(dir, "log")
	f := Command{Leased: held(t), InjectWith: []string{"./on.sh"}, HealWith: []string{"sh", "-c", "echo healed it; kill $(cat child); rm -f broken"}, Dir: dir, Output: output}
	heal := inject(t, f)
	if _, err := os.Stat(filepath.Join(dir, "broken")); err != nil {
		t.Error(err)
	}
	heal() // its kill fails if what inject left running did not stay
	if _, err := os.Stat(filepath.Join(dir, "broken")); err == nil {
		t.Error("it is not healed")
	}
	if text := readAll(t, output); text != "broke it\nhealed it\n" {
		t.Errorf("output kept: %q", text)
	}
}

func TestCommandThatFailsIsHealed(t *testing.T) {
	dir := t.TempDir()
	for name, row := range map[string]struct {
		inject []string
		within time.Duration
		want   string
	}{
		"status": {[]string{"sh", "-c", "touch half; echo what went wrong >&2; exit 3"}, 0, "exit status 3: what went wrong"},
		"time":   {[]string{"sh", "-c", "touch half; sleep 600"}, 200 * time.Millisecond, "did not end within 200ms"},
	} {
		f := Command{Leased: held(t), InjectWith: row.inject, HealWith: []string{"rm", "half"}, Dir: dir, Within: row.within}
		_, err := f.Inject(t.Context())
		if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "cannot be undone") {
			t.Errorf("%s: %v, want %s", name, err, row.want)
		}
		if _, err := os.Stat(filepath.Join(dir, "half")); err == nil {
			t.Errorf("%s: half of it is left", name)
		}
	}
}

func TestCommandsAreFoundBeforeTheRun(t *testing.T) {
	f := Command{InjectWith: []string{"no-such-program"}, HealWith: []string{"./no-such-script"}, Dir: t.TempDir()}
	err := f.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), `command "no-such-program" not found in PATH`) || !strings.Contains(err.Error(), `command "./no-such-script" cannot be run`) {
		t.Error(err)
	}
}
