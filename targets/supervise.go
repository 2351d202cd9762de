package targets

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

// What we and our supervisors have agreed on.
const (
	superviseEnv = "STORMCTL_SUPERVISE"       // set in a supervisor's environment, and only there
	userEnv      = "STORMCTL_SUPERVISE_USER"  // whom the command runs as, in the form of User.String; "" is the supervisor's own
	netnsEnv     = "STORMCTL_SUPERVISE_NETNS" // path of its network namespace; "" is the supervisor's own

	lifelineFD = 3 // the supervisor reads it; its end is our death
	reportFD   = 4 // the supervisor writes lines to it:

	reportPid    = "pid "    // the command runs under this pid
	reportFailed = "failed " // it could not be executed, for this reason
	reportEnded  = "ended "  // it ended like this, and everything under it is gone
)

// Supervise must be called first in main, and first in TestMain of tests that
// start services. In a supervisor it does the supervisor's work and exits with
// the command's status (128 + n after signal n); in any other process it
// returns at once.
func Supervise() {
	role := os.Getenv(superviseEnv)
	if role == "" {
		return
	}
	os.Unsetenv(superviseEnv) // the command must not take itself for a supervisor
	os.Exit(superviseAs(role))
}

func supervise() int {
	// The command's parent-death signal is tied to this thread. It lasts until
	// the process exits, because the goroutine locked to it never returns.
	runtime.LockOSThread()
	syscall.CloseOnExec(lifelineFD)
	syscall.CloseOnExec(reportFD)
	report := os.NewFile(reportFD, "report")
	fail := func(err error) int {
		fmt.Fprintf(report, "%s%v\n", reportFailed, err)
		return 127
	}
	if len(os.Args) < 3 {
		return fail(fmt.Errorf("supervisor needs a program and its arguments, got %q", os.Args))
	}
	as, err := credential(taken(userEnv))
	if err != nil {
		return fail(err)
	}
	netns := taken(netnsEnv)

	// Before the fork: an orphan may come to us as soon as the command runs.
	orphans := make(chan os.Signal, 1)
	signal.Notify(orphans, syscall.SIGCHLD)
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	under, err := adopt()
	if err != nil {
		return fail(err)
	}

	null, err := os.Open(os.DevNull)
	if err != nil {
		return fail(err)
	}
	if err := enterNetns(netns); err != nil {
		return fail(err)
	}
	attributes := under.attributes()
	attributes.Credential = as // the supervisor keeps its own: it can kill what the command becomes
	output := newBound(os.Stdout)
	os.Unsetenv(outputEnv)
	command, err := syscall.ForkExec(os.Args[1], os.Args[2:], &syscall.ProcAttr{
		Env:   under.environ(os.Environ()),
		Files: []uintptr{null.Fd(), 1, 2},
		Sys:   attributes,
	})
	if err != nil {
		return fail(err)
	}
	under.began(command)
	fmt.Fprintf(report, "%s%d\n", reportPid, command)

	ended := superviseUntilOver(under, command, output, orphans, asked)
	under.kill(command)
	if !stuck(ended) {
		under.killRest(command)
	}
	under.release()

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

// taken reads a variable and takes it out of the environment, which the command
// inherits.
func taken(name string) string {
	value := os.Getenv(name)
	_ = os.Unsetenv(name) // it fails for no name that is one
	return value
}

// superviseUntilOver reaps orphans, and bounds the output, until the command has ended, a signal asks for its
// end, or stormctl is gone. ended is closed when the command is dead but not yet
// waited for, which keeps its pid ours.
func superviseUntilOver(under *descendants, command int, output *bound, orphans, asked <-chan os.Signal) <-chan struct{} {
	defer func() { _ = output.look() }()
	size := time.NewTicker(boundEvery)
	defer size.Stop()
	alone := make(chan struct{}) // stormctl is gone, or has let go
	go func() {
		// Nothing is ever written: the read ends when the other side does.
		_, _ = os.NewFile(lifelineFD, "lifeline").Read(make([]byte, 1))
		close(alone)
	}()
	ended := make(chan struct{})
	go func() {
		under.awaitDeath(command)
		close(ended)
	}()

	for {
		select {
		case <-orphans:
			reap(command)
		case <-size.C:
			_ = output.look() // a file that cannot be cut grows on: the target is not ended for it
		case <-ended:
			return ended
		case <-alone:
			return ended
		case <-asked:
			return ended
		}
	}
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

// reap waits for every dead child but the command.
func reap(command int) {
	for _, child := range childrenBut(command) {
		if child.State == 'Z' {
			_, _ = syscall.Wait4(child.Pid, nil, syscall.WNOHANG, nil)
		}
	}
}

// childrenBut lists our children, dead ones included, except one.
func childrenBut(except int) []proc.Stat {
	self := os.Getpid()
	return slices.DeleteFunc(proc.All(), func(st proc.Stat) bool { return st.Pid == except || st.Parent != self })
}
