package targets

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

// incarnation is one life of a service, from fork to the end of its last
// process. Its methods may be called at once.
type incarnation struct {
	process    Process
	pid        int           // of the command, and of its process group
	offset     int64         // where its output begins in the output file
	done       chan struct{} // closed when it and all its descendants are gone
	exited     chan struct{} // closed as well if we did not want that
	supervisor *exec.Cmd

	mu       sync.Mutex
	lifeline *os.File // closing it makes the supervisor kill everything
	disowned bool     // we are ending it
	how      string   // how it ended; set before done is closed
}

// launch starts the supervisor, and through it the command. It returns when
// the command has been executed.
func launch(p Process, program string) (*incarnation, error) {
	if os.Getenv(superviseEnv) != "" {
		// Or each would start the next.
		return nil, errors.New("this process was started as a supervisor: targets.Supervise must be called first in main")
	}
	output, offset, err := p.openOutput()
	if err != nil {
		return nil, err
	}
	defer output.Close()
	lifelineEnd, lifeline, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer lifelineEnd.Close()
	report, reportEnd, err := os.Pipe()
	if err != nil {
		lifeline.Close()
		return nil, err
	}
	defer reportEnd.Close()

	self, err := proc.Self()
	if err != nil {
		lifeline.Close()
		report.Close()
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Args = append([]string{"stormctl-supervisor", program}, p.Command...)
	cmd.Env = slices.Concat(p.User.environment(os.Environ()), p.Env,
		[]string{superviseEnv + "=1", userEnv + "=" + p.User.String(), netnsEnv + "=" + p.Netns})
	if p.Soak {
		cmd.Env = append(cmd.Env, outputEnv+"=1")
	}
	cmd.Dir = p.Dir
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{lifelineFD - 3: lifelineEnd, reportFD - 3: reportEnd}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		lifeline.Close()
		report.Close()
		return nil, fmt.Errorf("supervisor: %w", err)
	}
	// Only the supervisor must hold this end, or its death goes unnoticed.
	reportEnd.Close()

	lines := bufio.NewReader(report)
	first, err := lines.ReadString('\n')
	pid, parseErr := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(first, reportPid)))
	if err != nil || parseErr != nil {
		lifeline.Close()
		report.Close()
		waitErr := cmd.Wait()
		if reason, failed := strings.CutPrefix(strings.TrimSpace(first), reportFailed); failed {
			return nil, fmt.Errorf("command %q cannot be run: %s", p.Command[0], reason)
		}
		if exit := new(exec.ExitError); errors.As(waitErr, &exit) && !exit.Exited() { // the command may have done it already
			return nil, fmt.Errorf("its supervisor died (%w) as it started the command", waitErr)
		}
		return nil, fmt.Errorf("supervisor did not start the command: %w (is targets.Supervise called first in main?)",
			errors.Join(err, waitErr))
	}
	inc := &incarnation{
		process: p, pid: pid, offset: offset, lifeline: lifeline, supervisor: cmd,
		done: make(chan struct{}), exited: make(chan struct{}),
	}
	go inc.watch(report, lines)
	return inc, nil
}

// watch waits for the end of the supervisor, which outlives everything below
// it. It is the only writer of how.
func (inc *incarnation) watch(report *os.File, lines *bufio.Reader) {
	defer report.Close()
	last, _ := lines.ReadString('\n')
	how, told := strings.CutPrefix(strings.TrimSpace(last), reportEnded)
	waitErr := inc.supervisor.Wait()
	if !told {
		// The supervisor was killed. The command died with it by its
		// parent-death signal; this is for what it forked into its group.
		how = fmt.Sprintf("its supervisor died (%v)", waitErr)
		_ = syscall.Kill(-inc.pid, syscall.SIGKILL)
	}

	inc.mu.Lock()
	inc.how = how
	disowned := inc.disowned
	inc.cut()
	inc.mu.Unlock()
	close(inc.done)
	if !disowned {
		close(inc.exited)
	}
}

// cut ends the lifeline. It is called with mu held.
func (inc *incarnation) cut() {
	if inc.lifeline != nil {
		inc.lifeline.Close()
		inc.lifeline = nil
	}
}

func (inc *incarnation) gone() bool {
	select {
	case <-inc.done:
		return true
	default:
		return false
	}
}

// disown notes that the end to come is of our making.
func (inc *incarnation) disown() {
	inc.mu.Lock()
	inc.disowned = true
	inc.mu.Unlock()
}

func (inc *incarnation) isDisowned() bool {
	inc.mu.Lock()
	defer inc.mu.Unlock()
	return inc.disowned
}

// signal sends sig to the command's process group. It is no error if the
// group is gone.
func (inc *incarnation) signal(sig syscall.Signal) error {
	if inc.gone() {
		return nil
	}
	if err := syscall.Kill(-inc.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("%s to process group %d: %w", sig, inc.pid, err)
	}
	return nil
}

// kill ends everything with SIGKILL and returns when it is gone.
func (inc *incarnation) kill() error {
	inc.disown()
	err := inc.signal(syscall.SIGKILL) // the group, now; the supervisor ends the rest
	inc.mu.Lock()
	inc.cut()
	inc.mu.Unlock()
	timer := time.NewTimer(killWithin)
	defer timer.Stop()
	select {
	case <-inc.done:
		return nil
	case <-timer.C:
		return errors.Join(fmt.Errorf("process group %d is still there after %s", inc.pid, killWithin), err)
	}
}

// ending says how the command ended; valid when done is closed.
func (inc *incarnation) ending() string {
	inc.mu.Lock()
	defer inc.mu.Unlock()
	return inc.how
}

// tell gives a reason together with the last output.
func (inc *incarnation) tell(reason string) string {
	return withOutput(reason, inc.process.Output, inc.offset)
}
