package targets

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestStartReturnsWhenReady(t *testing.T) {
	for name, ready := range map[string]func(string) Probe{"http": byHTTP, "tcp": byTCP} {
		t.Run(name, func(t *testing.T) {
			p, addr := server(t, ready)
			r := start(t, p)
			// Ready means that it needs no further wait.
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatalf("Start returned, but: %v", err)
			}
			c.Close()
			if !alive(r.Pid()) {
				t.Errorf("process %d is not alive", r.Pid())
			}
			if err := r.Err(); err != nil {
				t.Errorf("Err of a running target: %v", err)
			}
			out, err := os.ReadFile(p.Output)
			if err != nil || !strings.Contains(string(out), "serving on "+addr) {
				t.Errorf("output file: %q, %v", out, err)
			}
		})
	}
}

func TestStartFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("not a program"), 0o644); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("not a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.log")
	// An earlier incarnation's words must not be taken for this one's.
	if err := os.WriteFile(out, []byte("from another life\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	nobody := Probe{Addr: freeAddr(t), Within: 50 * time.Millisecond}
	// An hour: exiting early must be noticed by itself.
	patient := Probe{Addr: freeAddr(t), Within: time.Hour}

	tests := map[string]struct {
		process Process
		want    []string
		not     string
	}{
		"not ready in time": {
			process: Process{Command: []string{"sh", "-c", "echo warming up; sleep 600"}, Output: out, Ready: nobody},
			want:    []string{"start svc: not ready within 50ms: connect to ", "connection refused"},
			not:     "another life",
		},
		"exits early": {
			process: Process{Command: []string{"sh", "-c", "echo bad flag; exit 7"}, Output: out, Ready: patient},
			want:    []string{"start svc: exited early: exit status 7", "bad flag", out},
			not:     "another life",
		},
		"killed early": {
			process: Process{Command: []string{"sh", "-c", "kill -9 $$"}, Ready: patient},
			want:    []string{"killed by signal 9", "not kept"},
		},
		"no output": {
			process: Process{Command: []string{"false"}, Output: filepath.Join(dir, "empty"), Ready: patient},
			want:    []string{"exit status 1", "wrote nothing"},
		},
		"unknown command": {
			process: Process{Command: []string{"no-such-command-here"}},
			want:    []string{`command "no-such-command-here" not found in PATH`},
		},
		"not executable": {
			process: Process{Command: []string{"./script"}, Dir: dir},
			want:    []string{`script" cannot be run`, "permission denied"},
		},
		"not a program": {
			process: Process{Command: []string{"./garbage"}, Dir: dir},
			want:    []string{`"./garbage" cannot be run`, "exec format error"},
		},
		"no command": {want: []string{"no command given"}},
		"no folder": {
			process: Process{Command: []string{"true"}, Dir: filepath.Join(dir, "nowhere")},
			want:    []string{"working folder", "nowhere"},
		},
		"address taken": {
			process: Process{Command: []string{"sleep", "600"}, Ready: byTCP(taken.Addr().String())},
			want:    []string{taken.Addr().String() + " is already in use by another process"},
		},
		"two probes": {
			process: Process{Command: []string{"sleep", "600"}, Ready: Probe{Addr: "127.0.0.1:1", URL: "http://127.0.0.1:1"}},
			want:    []string{"give one"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.process.Name = "svc"
			r, err := Start(t.Context(), test.process)
			if err == nil {
				_ = r.Stop()
				t.Fatal("Start succeeded")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got error %q, want %q in it", err, want)
				}
			}
			if test.not != "" && strings.Contains(err.Error(), test.not) {
				t.Errorf("got error %q, which tells of an earlier incarnation", err)
			}
		})
	}
}

func TestStartLeavesNothingWhenItFails(t *testing.T) {
	dir := t.TempDir()
	script, files := family(dir)
	ctx, cancel := context.WithCancelCause(t.Context())
	changed := errors.New("changed our mind")
	go func() {
		for _, file := range files {
			awaitFile(file)
		}
		cancel(changed)
	}()
	_, err := Start(ctx, Process{
		Name: "family", Command: []string{"sh", "-c", script}, Ready: byTCP(freeAddr(t)),
	})
	if !errors.Is(err, changed) {
		t.Errorf("got error %v, want one that wraps %v", err, changed)
	}
	for _, file := range files {
		if pid := pidIn(t, file); alive(pid) {
			t.Errorf("%s (%d) is still alive", filepath.Base(file), pid)
		}
	}
}

func TestReachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := Reachable(t.Context(), "http://"+l.Addr().String(), time.Minute); err != nil {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		ctx       context.Context
		url, want string
	}{
		{t.Context(), "http://" + freeAddr(t), "connection refused"},
		{t.Context(), "http://no-such-host.invalid", "no-such-host.invalid"},
		{t.Context(), "ftp://127.0.0.1", "not an http:// or https:// URL"},
		{t.Context(), "http://:80", "names no host"},
		{gone, "http://" + freeAddr(t), "context canceled"},
	}
	for _, test := range tests {
		err := Reachable(test.ctx, test.url, 100*time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.url) {
			t.Errorf("Reachable(%s): got %v, want %q and the URL in it", test.url, err, test.want)
		}
	}
}

func TestTailKeepsWholeLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	long := strings.Repeat("x", tailBytes-20)
	tests := map[string]struct {
		text string
		from int64
		want string // lines joined by |
	}{
		"empty":          {"", 0, ""},
		"all":            {"a\nb\n", 0, "a|b"},
		"from":           {"a\nb\nc\n", 2, "b|c"},
		"unfinished":     {"a\nb", 0, "a|b"},
		"last ten":       {"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n", 0, "2|3|4|5|6|7|8|9|10|11"},
		"cut in a line":  {strings.Repeat("y", 100) + "\nshort\n" + long + "\n", 0, "short|" + long},
		"one endless":    {long + long, 0, (long + long)[2*len(long)-tailBytes:]},
		"nothing so far": {"a\n", 2, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
			lines, err := tail(path, test.from)
			if got := strings.Join(lines, "|"); err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}
