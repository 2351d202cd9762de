package targets

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

func TestKillAndRestartOnTheSamePort(t *testing.T) {
	p, addr := server(t, byHTTP)
	r := start(t, p)
	if err := r.Restart(t.Context()); err == nil || !strings.Contains(err.Error(), "it is running") {
		t.Errorf("Restart while running: %v", err)
	}
	for range 3 {
		before, exited := r.Pid(), r.Exited()
		if err := r.Kill(); err != nil {
			t.Fatal(err)
		}
		if alive(before) {
			t.Fatalf("Kill returned, process %d is alive", before)
		}
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Fatal("killed, but it accepts connections")
		}
		if err := r.Kill(); err != nil {
			t.Errorf("Kill of a killed target: %v", err)
		}
		select {
		case <-exited:
			t.Error("Exited tells of an end that was asked for")
		default:
		}
		if err := r.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := r.Pid(); after == before || !alive(after) {
			t.Errorf("process %d after %d: want another one, alive", after, before)
		}
	}
}

// One that others have stopped can be killed and started again all the same.
func TestStandingTargetIsKilledAndRestarted(t *testing.T) {
	p, addr := server(t, byHTTP)
	r := start(t, p)
	if err := stand(r.Pid()); err != nil {
		t.Fatal(err)
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + addr + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

func TestStopEndsAllDescendants(t *testing.T) {
	tests := map[string]struct {
		trap  string
		pause bool
		want  string // what the trap writes
	}{
		"obedient":       {trap: `trap 'echo bye > $0/bye; exit' TERM;`, want: "bye\n"},
		"deaf":           {trap: `trap '' TERM;`},
		"paused":         {trap: `trap 'echo bye > $0/bye; exit' TERM;`, pause: true, want: "bye\n"},
		"paused forever": {trap: `trap '' TERM;`, pause: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			script, files := family(dir)
			p := Process{Name: "family", Command: []string{"sh", "-c", test.trap + script, dir}}
			p.StopWithin = time.Hour // an obedient one must not be killed
			if test.want == "" {
				p.StopWithin = 50 * time.Millisecond
			}
			r := start(t, p)
			pids := []int{r.Pid()}
			for _, file := range files {
				pids = append(pids, pidIn(t, file))
			}
			if test.pause {
				if err := stand(r.Pid()); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // idempotent
				if err := r.Stop(); err != nil {
					t.Fatal(err)
				}
			}
			for _, pid := range pids {
				if alive(pid) {
					t.Errorf("stopped, but process %d is alive", pid)
				}
			}
			if got, _ := os.ReadFile(filepath.Join(dir, "bye")); string(got) != test.want {
				t.Errorf("on SIGTERM it wrote %q, want %q", got, test.want)
			}
			if err := r.Restart(t.Context()); err == nil || !strings.Contains(err.Error(), "stopped") {
				t.Errorf("Restart after Stop: %v", err)
			}
			select {
			case <-r.Exited():
				t.Error("Exited tells of an end that was asked for")
			default:
			}
		})
	}
}

func TestExitedTellsOfADyingTarget(t *testing.T) {
	dir := t.TempDir()
	script, files := family(dir)
	out := filepath.Join(dir, "out.log")
	// It ends when a file appears, and leaves its children behind.
	script = strings.TrimSuffix(script, "wait") + `while [ ! -e $0/end ]; do sleep 0.01; done; echo out of memory; exit 9`
	r := start(t, Process{Name: "payments", Command: []string{"sh", "-c", script, dir}, Output: out})
	pids := []int{}
	for _, file := range files {
		pids = append(pids, pidIn(t, file))
	}
	select {
	case <-r.Exited():
		t.Fatalf("still running, but exited: %v", r.Err())
	default:
	}
	_, how := r.Watch()
	if err := os.WriteFile(filepath.Join(dir, "end"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.Exited():
	case <-time.After(30 * time.Second):
		t.Fatal("nobody noticed that it ended")
	}
	for _, want := range []string{"payments ended by itself: exit status 9", "out of memory", out} {
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("it ended, but its child %d is alive", pid)
		}
	}
	if err := os.Remove(filepath.Join(dir, "end")); err != nil {
		t.Fatal(err)
	}
	if err := r.Restart(t.Context()); err != nil {
		t.Errorf("Restart after it ended by itself: %v", err)
	}
	if err := r.Err(); err != nil {
		t.Errorf("Err of the new incarnation: %v", err)
	}
	if err := how(); !strings.Contains(err.Error(), "exit status 9") {
		t.Errorf("of the one that ended: %v", err)
	}
}

// However stormctl dies, nothing of its targets is left: here by SIGKILL,
// which it cannot see coming.
func TestNothingSurvivesItsOwner(t *testing.T) {
	for _, paused := range []string{"", "yes"} {
		t.Run("paused="+paused, func(t *testing.T) {
			dir := t.TempDir()
			script, files := family(dir)
			owner, command := startOwner(t, script, files, paused)
			st, err := proc.Read(command)
			if err != nil {
				t.Fatal(err)
			}
			pids := []int{command, st.Parent}
			for _, file := range files {
				pids = append(pids, pidIn(t, file))
			}
			for _, pid := range pids {
				if !alive(pid) {
					t.Fatalf("process %d died before its owner", pid)
				}
			}
			if err := owner.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			for _, pid := range pids {
				eventually(t, fmt.Sprintf("end of process %d", pid), func() bool { return !alive(pid) })
			}
		})
	}
}

// startOwner runs playOwner in a process of its own, which the test may kill,
// and returns it with the pid of the command that it started.
func startOwner(t *testing.T, script string, files []string, paused string) (owner *exec.Cmd, command int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	owner = exec.Command(exe)
	owner.Env = append(os.Environ(), roleEnv+"=owner", "SCRIPT="+script, "PAUSED="+paused, "FILES="+strings.Join(files, " "))
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = owner.Process.Kill() // it may be dead already
		_ = owner.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(line, "started %d", &command); err != nil {
		t.Fatalf("owner said %q", line)
	}
	return owner, command
}

// The last line of defence: the supervisor is killed, and its owner cannot
// clean up behind it.
func TestCommandDiesWithItsSupervisor(t *testing.T) {
	owner, command := startOwner(t, "exec sleep 600", nil, "")
	st, err := proc.Read(command)
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(st.Parent, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end of the command", func() bool { return !alive(command) })
}

// A supervisor that is killed takes the command with it, and is missed.
func TestSupervisorKilled(t *testing.T) {
	p, _ := server(t, byHTTP)
	r := start(t, p)
	st, err := proc.Read(r.Pid())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(st.Parent, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.Exited():
	case <-time.After(30 * time.Second):
		t.Fatal("nobody noticed")
	}
	eventually(t, "end of the command", func() bool { return !alive(r.Pid()) })
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "supervisor died") {
		t.Errorf("got %v, want its supervisor's death in it", err)
	}
}

// The command must not see what belongs to its supervisor, and is neither in
// our process group nor in our session, so that Ctrl-C does not reach it.
func TestCommandIsOnItsOwn(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "facts")
	script := `echo "env=$` + superviseEnv + ` own=$MINE pwd=$PWD" > $0; sleep 600`
	r := start(t, Process{Name: "x", Command: []string{"sh", "-c", script, file}, Env: []string{"MINE=yes"}, Dir: dir})
	awaitFile(file)
	facts, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(facts), "env= own=yes pwd="+dir+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	st, err := proc.Read(r.Pid())
	if err != nil {
		t.Fatal(err)
	}
	pipes := map[string]bool{}
	for _, fd := range []int{lifelineFD, reportFD} {
		pipes[opened(t, st.Parent, strconv.Itoa(fd))] = true
	}
	if len(pipes) != 2 {
		t.Fatalf("the supervisor's pipes: %v, want two", pipes)
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if pipes[opened(t, r.Pid(), fd.Name())] {
			t.Errorf("the command inherited a pipe of its supervisor as descriptor %s", fd.Name())
		}
	}
	group, err := syscall.Getpgid(r.Pid())
	if err != nil || group != r.Pid() {
		t.Errorf("process group %d, %v, want its own %d", group, err, r.Pid())
	}
	ours, _, _ := syscall.Syscall(syscall.SYS_GETSID, 0, 0, 0)
	its, _, errno := syscall.Syscall(syscall.SYS_GETSID, uintptr(r.Pid()), 0, 0)
	if errno != 0 || its == ours {
		t.Errorf("session %d, %v, want another than ours", its, errno)
	}
}

// opened tells what a descriptor of a process refers to.
func opened(t *testing.T, pid int, fd string) string {
	t.Helper()
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd))
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// An end is the kernel's to know before it is told; one that was asked for is none.
func TestEnded(t *testing.T) {
	p, _ := server(t, byHTTP)
	r := start(t, p)
	if r.Ended() {
		t.Error("it runs, and Ended says that it has ended")
	}
	if err := syscall.Kill(r.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.Exited()
	if !r.Ended() {
		t.Error("it has ended by itself, and Ended does not say so")
	}
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if r.Ended() {
		t.Error("it was killed, and Ended says that it ended by itself")
	}
}
