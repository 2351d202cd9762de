package targets

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What we and our supervisors have agreed on.
const (
	superviseEnv = "STORMCTL_SUPERVISE" // set in a supervisor's environment, and only there

	lifelineFD = 3 // the supervisor reads it; its end is our death
	reportFD   = 4 // the supervisor writes lines to it:

	reportPid    = "pid "    // the command runs under this pid
	reportFailed = "failed " // it could not be executed, for this reason
	reportEnded  = "ended "  // it ended like this, and everything below it is gone
)

// Supervise must be called first in main, and first in TestMain of tests that
// start services. In a supervisor it does the supervisor's work and exits with
// the command's status (128 + n after signal n); in any other process it
// returns at once.
func Supervise() {
	if os.Getenv(superviseEnv) == "" {
		return
	}
	os.Unsetenv(superviseEnv) // the command must not take itself for a supervisor
	os.Exit(supervise())
}

func supervise() int {
	// The command's parent-death signal is tied to this thread. It lasts until
	// the process exits, because the goroutine locked to it never returns.
	runtime.LockOSThread()
	unix.CloseOnExec(lifelineFD)
	unix.CloseOnExec(reportFD)
	report := os.NewFile(reportFD, "report")
	fail := func(err error) int {
		fmt.Fprintf(report, "%s%v\n", reportFailed, err)
		return 127
	}
	if len(os.Args) < 3 {
		return fail(fmt.Errorf("supervisor needs a program and its arguments, got %q", os.Args))
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fail(fmt.Errorf("become subreaper: %w", err))
	}

	// Before the fork: an orphan may come to us as soon as the command runs.
	orphans := make(chan os.Signal, 1)
	signal.Notify(orphans, syscall.SIGCHLD)
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)

	null, err := os.Open(os.DevNull)
	if err != nil {
		return fail(err)
	}
	command, err := syscall.ForkExec(os.Args[1], os.Args[2:], &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{null.Fd(), 1, 2},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return fail(err)
	}
	fmt.Fprintf(report, "%s%d\n", reportPid, command)

	alone := make(chan struct{}) // stormctl is gone, or has let go
	go func() {
		// Nothing is ever written: the read ends when the other side does.
		_, _ = os.NewFile(lifelineFD, "lifeline").Read(make([]byte, 1))
		close(alone)
	}()
	ended := make(chan struct{}) // the command is dead but not yet waited for, which keeps its pid ours
	go func() {
		for unix.Waitid(unix.P_PID, command, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
		}
		close(ended)
	}()

	for running := true; running; {
		select {
		case <-orphans:
			reap(command)
		case <-ended:
			running = false
		case <-alone:
			running = false
		case <-asked:
			running = false
		}
	}
	// The group was stopped or not, SIGKILL does not care.
	_ = syscall.Kill(-command, syscall.SIGKILL)
	if !stuck(ended) {
		killChildren(command)
	}

	var status syscall.WaitStatus
	if pid, err := syscall.Wait4(command, &status, syscall.WNOHANG, nil); err != nil || pid == 0 {
		fmt.Fprintf(report, "%sthe kernel does not let go of process %d\n", reportEnded, command)
		return 1
	}
	if status.Signaled() {
		fmt.Fprintf(report, "%skilled by signal %d (%s)\n", reportEnded, status.Signal(), status.Signal())
		return 128 + int(status.Signal())
	}
	fmt.Fprintf(report, "%sexit status %d\n", reportEnded, status.ExitStatus())
	return status.ExitStatus()
}

// stuck waits for the killed command. True means that the kernel holds on to
// it; then it is left behind rather than waited for without end.
func stuck(ended <-chan struct{}) bool {
	timer := time.NewTimer(killWithin / 2)
	defer timer.Stop()
	select {
	case <-ended:
		return false
	case <-timer.C:
		return true
	}
}

// killChildren kills our children until none is left but the command, which
// is dead. The children of a killed one become ours before it can be seen dead,
// so the next look finds them: a look that finds none means there is none.
func killChildren(command int) {
	for end := time.Now().Add(killWithin / 2); time.Now().Before(end); time.Sleep(time.Millisecond) {
		reap(command)
		children := childrenBut(command)
		if len(children) == 0 {
			return
		}
		for _, child := range children {
			_ = syscall.Kill(child.pid, syscall.SIGKILL)
		}
	}
}

// reap waits for every dead child but the command.
func reap(command int) {
	for _, child := range childrenBut(command) {
		if child.state == 'Z' {
			_, _ = syscall.Wait4(child.pid, nil, syscall.WNOHANG, nil)
		}
	}
}

// childrenBut lists our children, dead ones included, except one.
func childrenBut(except int) []stat {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1) // what could be read of it
	self := os.Getpid()
	var children []stat
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == except {
			continue
		}
		if st, err := readStat(pid); err == nil && st.parent == self {
			children = append(children, st)
		}
	}
	return children
}

// stat is the part of /proc/PID/stat that we use (proc_pid_stat(5)).
type stat struct {
	pid, parent int
	state       byte // R, S, D, Z dead but not waited for, T stopped, ...
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	// The second field is the name in parentheses, and may contain both
	// spaces and parentheses: what follows the last one is regular.
	rest := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(rest) < 2 || len(rest[0]) != 1 {
		return stat{}, fmt.Errorf("/proc/%d/stat is malformed: %q", pid, text)
	}
	parent, err := strconv.Atoi(string(rest[1]))
	return stat{pid: pid, parent: parent, state: rest[0][0]}, err
}
