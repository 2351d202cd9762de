package poll

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Both ways to wait: epoll_pwait2, and ppoll where the kernel has no such call.
func eachPoller(t *testing.T, test func(t *testing.T, p *Poller)) {
	for _, old := range []bool{false, true} {
		name := "epoll_pwait2"
		if old {
			name = "ppoll"
		}
		t.Run(name, func(t *testing.T) {
			p, err := New()
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			p.NoPwait2 = old
			p.Wait(0) // the eventfd is writable, which is news once
			test(t, p)
		})
	}
}

func TestPollerWaitsItsTime(t *testing.T) {
	eachPoller(t, func(t *testing.T, p *Poller) {
		for _, timeout := range []time.Duration{0, 300 * time.Microsecond, 5 * time.Millisecond} {
			// A signal may cut it short, and says so.
			for elapsed := false; !elapsed; {
				begin := time.Now()
				events, done, err := p.Wait(timeout)
				if err != nil || len(events) > 0 {
					t.Fatalf("got %v, %v", events, err)
				}
				if took := time.Since(begin); done && took < timeout {
					t.Errorf("waited %v, want %v", took, timeout)
				}
				elapsed = done
			}
		}
	})
}

func TestPollerWakes(t *testing.T) {
	eachPoller(t, func(t *testing.T, p *Poller) {
		go p.Wake()
		for {
			events, elapsed, err := p.Wait(time.Hour)
			if err != nil || elapsed {
				t.Fatalf("elapsed %v, error %v", elapsed, err)
			}
			if len(events) > 0 {
				if events[0].Fd != WakeSlot {
					t.Errorf("got an event of slot %d", events[0].Fd)
				}
				return
			}
		}
	})
}

// An event names the connection it is about, not the place it had.
func TestPollerTellsGenerationsApart(t *testing.T) {
	eachPoller(t, func(t *testing.T, p *Poller) {
		a, b, err := socketpair()
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(a)
		defer unix.Close(b)
		if err := p.Add(a, 5, 7); err != nil {
			t.Fatal(err)
		}
		events, _, err := p.Wait(0)
		if err != nil || len(events) != 1 || events[0].Fd != 5 || events[0].Pad != 7 {
			t.Errorf("got %+v, %v", events, err)
		}
	})
}

func socketpair() (a, b int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	return fds[0], fds[1], err
}
