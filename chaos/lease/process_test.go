package lease

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A pid that was given to another is nobody we know.
func TestSignalsReachOnlyTheOneMeant(t *testing.T) {
	p := victim(t)
	other := Process{Pid: p.Pid, Start: p.Start - 1}
	for _, q := range []Process{other, {Pid: p.Pid, Start: p.Start - 1, Group: true}} {
		if err := q.Signal(unix.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err) // it would have ended
	}
	if err := other.Signal(unix.SIGCONT); err != nil || !p.Stopped() {
		t.Errorf("a stranger was continued, %v", err)
	}
	if err := (Undo{Kind: Continue, Process: &p}).perform(t.Context()); err != nil || p.Stopped() {
		t.Errorf("it stands, %v", err)
	}
	if err := (Process{Pid: 1 << 30}).Signal(unix.SIGKILL); err != nil {
		t.Errorf("nobody: %v", err)
	}
}

func TestGroupWithoutItsLeader(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sleep 600 & echo $!; exec sleep 0.1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	leader, err := Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	leader.Group = true
	line := make([]byte, 32)
	n, _ := out.Read(line)
	var pid int
	for _, c := range strings.TrimSpace(string(line[:n])) {
		pid = 10*pid + int(c-'0')
	}
	child, err := Identify(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Signal(unix.SIGKILL) }()
	if err := child.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the leader ends", func() bool { return !leader.there() })
	if err := leader.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the rest of the group goes on", func() bool { return !child.Stopped() })
	_ = cmd.Process.Kill()
	_ = child.Signal(unix.SIGKILL)
	_ = cmd.Wait()
}

func TestFamily(t *testing.T) {
	self, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	p := victim(t)
	found := false
	for _, q := range self.Family() {
		found = found || q == p
	}
	if !found {
		t.Errorf("%v is not in the family of its parent: %v", p, self.Family())
	}
	if got := p.Family(); len(got) != 1 || got[0] != p {
		t.Errorf("family of one: %v", got)
	}
}

func TestRestoreLeavesALimitAloneThatIsNotOurs(t *testing.T) {
	p := victim(t)
	u := Undo{Kind: Rlimit, Process: &p, Resource: "nofile", Was: 100, Set: 7}
	was := softLimit(t, p, "nofile")
	if err := u.perform(t.Context()); err != nil || softLimit(t, p, "nofile") != was {
		t.Errorf("limit is %d, want %d; %v", softLimit(t, p, "nofile"), was, err)
	}
	if err := u.inflict(); err != nil {
		t.Fatal(err)
	}
	if err := u.perform(t.Context()); err != nil || softLimit(t, p, "nofile") != 100 {
		t.Errorf("limit is %d, want 100; %v", softLimit(t, p, "nofile"), err)
	}
}
