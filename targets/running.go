package targets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

// killWithin bounds how long Kill waits for the kernel to end processes. Only
// a process stuck in the kernel takes longer.
const killWithin = 10 * time.Second

// Running is a service that was started. All methods may be called at once.
type Running struct {
	process Process
	program string

	mu      sync.Mutex
	now     *incarnation // the present one, or the last; set once Start has returned
	stopped bool         // for good: no Restart after Stop
}

// start makes a new incarnation and returns when it is ready. On an error
// nothing of it is left. If ctx ended the wait, the error wraps its cause.
func (r *Running) start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	probe := r.process.Ready
	addr, err := probe.addr()
	if err != nil {
		return err
	}
	if err := r.startable(); err != nil {
		return err
	}
	// What answers there now is another process, and would be taken for ready.
	if addr != "" {
		asking, cancel := context.WithTimeout(ctx, probeTimeout)
		taken := connect(asking, addr) == nil
		cancel()
		if taken {
			return fmt.Errorf("%s is already in use by another process", addr)
		}
	}

	r.mu.Lock()
	if err := r.startableLocked(); err != nil {
		r.mu.Unlock()
		return err
	}
	inc, err := launch(r.process, r.program)
	if err == nil {
		r.now = inc
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}

	waiting, cancel := context.WithTimeout(ctx, probe.Within)
	defer cancel()
	ready := make(chan error, 1)
	go func() {
		if probe.Command != nil {
			ready <- await(waiting, commandEvery, r.runReady)
		} else {
			ready <- await(waiting, probeEvery, probe.try)
		}
	}()
	select {
	case err = <-ready:
	case <-inc.done:
		cancel()
		_ = <-ready
	}
	switch {
	case inc.gone():
		// Checked first: whatever answered the probe was not this process.
		if inc.isDisowned() {
			return errors.New("it was killed before it was ready")
		}
		return errors.New(inc.tell("exited early: " + inc.ending()))
	case err == nil:
		return nil
	}
	why := fmt.Errorf("not ready within %s: %s: %w", probe.Within, probe, err)
	if ctx.Err() != nil {
		why = fmt.Errorf("not ready yet: %w", context.Cause(ctx))
	}
	wrote := inc.tell("")
	if err := inc.kill(); err != nil {
		return fmt.Errorf("%w%s; and it cannot be killed: %w", why, wrote, err)
	}
	return fmt.Errorf("%w%s", why, wrote)
}

// runReady runs the command that shows whether the service is ready, once. It runs
// under a supervisor of its own, so that it does not outlive us either.
func (r *Running) runReady(ctx context.Context) error {
	p := r.process
	p.Command = p.Ready.Command
	if p.Output != "" { // beside that of the service, which is not to fill with refusals
		p.Output = strings.TrimSuffix(p.Output, ".log") + ".ready.log"
	}
	inc, err := launch(p, p.readyProgram)
	if err != nil {
		return err
	}
	timer := time.NewTimer(commandTimeout)
	defer timer.Stop()
	cut := ""
	select {
	case <-inc.done:
	case <-ctx.Done():
		cut = "it had not ended when the time was up"
	case <-timer.C:
		cut = fmt.Sprintf("it did not end within %s", commandTimeout)
	}
	if cut != "" {
		return errors.Join(errors.New(cut), inc.kill())
	}
	if how := inc.ending(); how != "exit status 0" {
		return errors.New(inc.tell(how))
	}
	return nil
}

func (r *Running) startable() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.startableLocked()
}

func (r *Running) startableLocked() error {
	switch {
	case r.stopped:
		return errors.New("it was stopped")
	case r.now != nil && !r.now.gone():
		return errors.New("it is running")
	}
	return nil
}

func (r *Running) present() *incarnation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// Pid returns the command's process id, which is also its group's. When the
// command has ended it is that of the last incarnation.
func (r *Running) Pid() int { return r.present().pid }

// Kill ends the command and all its descendants with SIGKILL and returns when
// they are gone. It is no error if they were gone before.
func (r *Running) Kill() error {
	if err := r.present().kill(); err != nil {
		return fmt.Errorf("kill %s: %w", r.process.Name, err)
	}
	return nil
}

// Restart starts the service again after Kill, or after it ended by itself,
// and returns when it is ready. On an error it is not running, and Restart may
// be tried again. After Stop it is an error.
func (r *Running) Restart(ctx context.Context) error {
	if err := r.start(ctx); err != nil {
		return fmt.Errorf("restart %s: %w", r.process.Name, err)
	}
	return nil
}

// Stop ends the service for good: SIGTERM to its group, SIGKILL to all that is
// left after StopWithin or when the command has ended. It returns when all are
// gone, and may be called more than once. A Restart under way fails.
func (r *Running) Stop() error {
	r.mu.Lock()
	r.stopped = true
	inc := r.now
	r.mu.Unlock()
	inc.disown()
	// SIGTERM first: it is pending when SIGCONT wakes a paused group.
	if errors.Join(inc.signal(syscall.SIGTERM), inc.signal(syscall.SIGCONT)) == nil {
		timer := time.NewTimer(r.process.StopWithin)
		defer timer.Stop()
		select {
		case <-inc.done:
		case <-timer.C:
		}
	}
	if err := inc.kill(); err != nil {
		return fmt.Errorf("stop %s: %w", r.process.Name, err)
	}
	return nil
}

// Exited returns a channel that is closed when the present incarnation ends
// without Kill or Stop. After Restart there is a new one.
func (r *Running) Exited() <-chan struct{} { return r.present().exited }

// Err says how the present incarnation ended by itself; nil if it did not.
func (r *Running) Err() error {
	inc := r.present()
	select {
	case <-inc.exited:
		return r.endedOf(inc)
	default:
		return nil
	}
}

// Ended reports whether the command of the present incarnation has ended without
// Kill or Stop, as the kernel has it: the channel of Exited is closed only once all
// that it started is ended, too, and that is told.
func (r *Running) Ended() bool {
	inc := r.present()
	if inc.isDisowned() {
		return false
	}
	st, err := proc.Read(inc.pid)
	return inc.gone() || errors.Is(err, fs.ErrNotExist) || err == nil && st.State == 'Z'
}

// Watch returns the channel of Exited, and what says how that incarnation ended
// once it is closed: also where another one runs by then.
func (r *Running) Watch() (exited <-chan struct{}, how func() error) {
	inc := r.present()
	return inc.exited, func() error { return r.endedOf(inc) }
}

func (r *Running) endedOf(inc *incarnation) error {
	return errors.New(inc.tell(r.process.Name + " ended by itself: " + inc.ending()))
}
