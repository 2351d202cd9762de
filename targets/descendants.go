//go:build linux && !portable

package targets

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// descendants are a command and all below it, which the kernel keeps together: the
// command dies with its supervisor, and orphans become the supervisor's children.
type descendants struct{}

func superviseAs(string) int { return supervise() }

// adopt makes us the one that orphans come to. It is called before the fork: one may
// come as soon as the command runs.
func adopt() (*descendants, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become subreaper: %w", err)
	}
	return &descendants{}, nil
}

func (*descendants) environ(env []string) []string { return env }

func (*descendants) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func (*descendants) began(int) {}

// awaitDeath returns when the command is dead, and leaves it to be waited for.
func (*descendants) awaitDeath(command int) {
	for unix.Waitid(unix.P_PID, command, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// kill ends the group, whether it was stopped or not.
func (*descendants) kill(command int) { _ = syscall.Kill(-command, syscall.SIGKILL) }

// killRest kills our children until none is left but the command, which
// is dead. The children of a killed one become ours before it can be seen dead,
// so the next look finds them: a look that finds none means there is none.
func (*descendants) killRest(command int) {
	for end := time.Now().Add(killWithin / 2); time.Now().Before(end); time.Sleep(time.Millisecond) {
		reap(command)
		children := childrenBut(command)
		if len(children) == 0 {
			return
		}
		for _, child := range children {
			_ = syscall.Kill(child.Pid, syscall.SIGKILL)
		}
	}
}

func (*descendants) release() {}
