package host

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/chaos/lease"
)

// CPU leaves processes so many cores' worth of time, by the kernel's bandwidth
// control (cpu.max of cgroup v2, cpu.cfs_quota_us of v1).
type CPU struct {
	Leased
	Subject Subject
	Cores   float64
}

// period is that of the kernel's default: a process that has used its share
// waits for the next one.
const period = 100 * time.Millisecond

func (f CPU) Inject(ctx context.Context) (Heal, error) {
	return f.limit(ctx, f.Subject, "cpu", func(v1 bool) ([]setting, error) {
		us := max(1000, int64(math.Round(f.Cores*float64(period.Microseconds())))) // the kernel takes no less than 1 ms
		quota := strconv.FormatInt(us, 10)
		if v1 {
			return []setting{{"cpu.cfs_period_us", strconv.FormatInt(period.Microseconds(), 10)}, {"cpu.cfs_quota_us", quota}}, nil
		}
		return []setting{{"cpu.max", fmt.Sprintf("%s %d", quota, period.Microseconds())}}, nil
	})
}

func (f CPU) String() string { return fmt.Sprintf("cpu %v cores", f.Cores) }

func (f CPU) Check(context.Context) error {
	if err := checkLimit(f.Subject, "cpu"); err != nil {
		return fmt.Errorf("%w; by: stop needs no cgroup", err)
	}
	return nil
}

func (f CPU) Plan() Plan { return planLimit(f.Subject, f.String(), "cpu") }

// DutyCycle stops processes for a part of every period, so that they run for the
// rest. Unlike CPU it takes from a process that has little to do as much as from
// a busy one, and bounds no more than the time: while they run, several threads
// use several cores. It needs nothing but the right to signal them.
type DutyCycle struct {
	Leased
	Subject Subject
	Runs    float64 // part of the time, more than 0 and less than 1
}

func (f DutyCycle) Inject(ctx context.Context) (Heal, error) {
	all, err := group(f.Subject)
	if err != nil {
		return nil, err
	}
	done, ended := make(chan struct{}), make(chan struct{})
	started := false
	undo, err := f.underLease(ctx, continueAll(all), func(context.Context, *lease.Injection) error {
		err := stopAll(all)
		if err == nil {
			started = true
			go func() { defer close(ended); f.beat(all, done) }()
		}
		return err
	})
	stop := sync.OnceFunc(func() {
		close(done)
		if started {
			<-ended
		}
	})
	if err != nil {
		stop()
		return nil, errors.Join(err, signalAll(all, syscall.SIGCONT)) // the beat may have stopped them once more
	}
	return func(ctx context.Context) error { stop(); return undo(ctx) }, nil
}

// beat begins with the processes stopped, and ends with them running.
func (f DutyCycle) beat(all []lease.Process, done <-chan struct{}) {
	runs := time.Duration(f.Runs * float64(period))
	for stopped := true; ; stopped = !stopped {
		wait := runs
		if stopped {
			wait = period - runs
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-done:
			timer.Stop()
			_ = signalAll(all, syscall.SIGCONT) // the lease's undo does it again, and tells
			return
		}
		sig := syscall.SIGSTOP
		if stopped {
			sig = syscall.SIGCONT
		}
		_ = signalAll(all, sig) // fails only for processes that have ended
	}
}

func signalAll(all []lease.Process, sig syscall.Signal) error {
	var errs []error
	for _, p := range all {
		errs = append(errs, p.Signal(sig))
	}
	return errors.Join(errs...)
}

func (f DutyCycle) String() string { return fmt.Sprintf("cpu %v of the time", f.Runs) }

func (f DutyCycle) Check(context.Context) error { return checkSubject(f.Subject) }

func (f DutyCycle) Plan() Plan {
	stopped := period - time.Duration(f.Runs*float64(period))
	return Plan{fmt.Sprintf("%s and its children: SIGSTOP for %v of every %v", f.Subject, stopped, period), "SIGCONT"}
}
