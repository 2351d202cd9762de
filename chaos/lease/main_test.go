package lease

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// planEnv makes the test binary a run that holds what a plan says.
const planEnv = "LEASE_TEST_PLAN"

func TestMain(m *testing.M) {
	Guard()
	if text := os.Getenv(planEnv); text != "" {
		os.Unsetenv(planEnv)
		playRun(text)
	}
	os.Exit(m.Run())
}

// A plan is the faults of a run: each an undo, and how it is made.
type plan struct {
	Undo    Undo
	Command []string // makes it; nil makes it by the kind of the undo
}

// playRun makes its faults, says so, tells when it loses its lease, and waits
// to be killed.
func playRun(text string) {
	var plans []plan
	if err := json.Unmarshal([]byte(text), &plans); err != nil {
		panic(err)
	}
	l, err := Open(Options{Name: "test", Dir: os.Getenv("LEASE_TEST_DIR"), Guardian: true, Lost: func(why string) { fmt.Println("lost:", why) }})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("guardian", l.guardian.cmd.Process.Pid)
	for i, p := range plans {
		_, err := l.Inject(context.Background(), fmt.Sprintf("fault %d", i), []Undo{p.Undo}, func(ctx context.Context, m *Injection) error {
			if p.Command != nil {
				fmt.Println("command")
				return m.Run(ctx, Command{Argv: p.Command})
			}
			return p.Undo.inflict()
		})
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	fmt.Println("made")
	if os.Getenv("LEASE_TEST_CLOSE") != "" {
		fmt.Println("closed", l.Close())
		os.Exit(0)
	}
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	_, err = l.Inject(context.Background(), "late", []Undo{{Kind: Remove, File: "/nonexistent"}}, func(context.Context, *Injection) error { return nil })
	fmt.Println("late:", err)
	select {}
}

// inflict is the inverse of perform.
func (u Undo) inflict() error {
	switch u.Kind {
	case Continue:
		return u.Process.Stop()
	case Rlimit:
		now, err := ReadLimit(u.Process.Pid, u.Resource)
		if err != nil {
			return err
		}
		return SetLimit(u.Process.Pid, u.Resource, Limit{u.Set, now.Max})
	case Regroup:
		if err := os.Mkdir(u.Group, 0o755); err != nil {
			return err
		}
		return MoveTo(u.Group, u.Process.Pid)
	case Remove:
		return os.WriteFile(u.File, []byte("x"), 0o644)
	}
	return fmt.Errorf("no way to make %s", u.Kind)
}

// A run is another process that plays one.
type run struct {
	t        *testing.T
	cmd      *exec.Cmd
	stdin    *os.File
	lines    *bufio.Scanner
	guardian int
	state    string
	dir      string
}

func startRun(t *testing.T, state string, plans ...plan) *run {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(plans)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{t: t, state: state, dir: t.TempDir()}
	r.cmd = exec.Command(exe)
	r.cmd.Env = append(os.Environ(), planEnv+"="+string(text), StateEnv+"="+state, "LEASE_TEST_DIR="+r.dir)
	stdin, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.cmd.Stdin, r.stdin = stdin, w
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.lines = bufio.NewScanner(out)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		w.Close()
	})
	fmt.Sscanf(r.until("guardian "), "guardian %d", &r.guardian)
	return r
}

// until reads lines up to one that begins so, and returns it.
func (r *run) until(begin string) string {
	r.t.Helper()
	for r.lines.Scan() {
		switch line := r.lines.Text(); {
		case strings.HasPrefix(line, begin):
			return line
		case strings.HasPrefix(line, "error:"):
			r.t.Fatal(line)
		}
	}
	r.t.Fatalf("the run never said %q", begin)
	return ""
}

func (r *run) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// journals lists the journals that are left.
func (r *run) journals() []string {
	paths, err := journals(r.state)
	if err != nil {
		r.t.Fatal(err)
	}
	return paths
}

func stateDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// victim is a process of ours to break.
func victim(t *testing.T) Process {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p, err := Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A script is a shell of ours, and what it reads.
type script struct {
	Process
	in io.Writer
}

func shell(t *testing.T, text string) script {
	t.Helper()
	cmd := exec.Command("sh", "-c", text)
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL); _ = cmd.Wait() })
	p, err := Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return script{p, in}
}

func softLimit(t *testing.T, p Process, resource string) uint64 {
	t.Helper()
	now, err := ReadLimit(p.Pid, resource)
	if err != nil {
		t.Fatal(err)
	}
	return now.Soft
}

// eventually waits for something that another process does. The bound only
// ends a test that has failed.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 30s in vain: %s", what)
		}
	}
}

func exists(path string) bool { _, err := os.Lstat(path); return err == nil }
