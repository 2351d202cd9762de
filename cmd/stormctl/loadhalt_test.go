//go:build linux

package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/lease"
)

// Where no signal reaches it, as in another container, the file that halt
// leaves does. A load that cannot be made known goes on, and says so.
func TestHaltableWithoutASignal(t *testing.T) {
	state := t.TempDir()
	t.Setenv(lease.StateEnv, state)
	if err := os.Chmod(state, 0o700); err != nil {
		t.Fatal(err)
	}
	var said []string
	say := func(line string) { said = append(said, line) }
	ctx, release := haltable(t.Context(), "load x", say)
	if err := os.WriteFile(filepath.Join(state, "halt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	var stopped chaos.Stopped
	if cause := context.Cause(ctx); !errors.As(cause, &stopped) || stopped.Why != "stopped by stormctl halt" {
		t.Errorf("it ended because of %v", cause)
	}
	release()
	if left, err := filepath.Glob(filepath.Join(state, "*.jsonl*")); err != nil || len(left)+len(said) > 0 {
		t.Errorf("%v; left %q; said %q", err, left, said)
	}

	if err := os.Chmod(state, 0o777); err != nil { // others could make us undo anything
		t.Fatal(err)
	}
	ctx, release = haltable(t.Context(), "load x", say)
	release()
	if ctx.Err() != nil || len(said) != 1 || !strings.HasPrefix(said[0], "stormctl halt will not find this load: ") {
		t.Errorf("%v; said %q", ctx.Err(), said)
	}
}

// A load is one of the things that halt ends: it has summed up when halt
// returns, and is not known any longer.
func TestHaltEndsALoad(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	r := newRig(t)
	cmd := r.stormctl("load", server.URL, "--rate", "50/s", "-d", "10m", "-q")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	eventually(t, "it is known", func() bool {
		said, err := r.stormctl("heal").CombinedOutput()
		return err == nil && strings.Contains(string(said), "load "+server.URL) && strings.Contains(string(said), "is alive and was left alone")
	})
	said, err := r.stormctl("halt").CombinedOutput()
	if err != nil || !strings.Contains(string(said), "ended, and nothing of it is in force: load "+server.URL) {
		t.Errorf("halt: %v\n%s", err, said)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 4 || !strings.Contains(out.String(), "STOPPED EARLY") || !strings.Contains(out.String(), "\n    requests    ") {
		t.Errorf("exit code %d\n%s", code, out.String())
	}
	if said, err := r.stormctl("heal").CombinedOutput(); err != nil || string(said) != "nothing to heal\n" {
		t.Errorf("afterwards: %v, %s", err, said)
	}
}
