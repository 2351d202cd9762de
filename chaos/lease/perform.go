package lease

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// perform does it. That there is nothing to undo is no error.
func (u Undo) perform(ctx context.Context) error {
	if err := u.Check(); err != nil {
		return err
	}
	switch u.Kind {
	case Continue:
		return u.Process.Signal(syscall.SIGCONT)
	case Kill:
		return killMarked(ctx, u.Mark)
	case Rlimit:
		return u.restoreLimits()
	case Regroup:
		return u.regroup(ctx)
	case Table:
		return deleteTable(ctx, u.Netns, u.Name)
	case Qdisc:
		return deleteQdisc(ctx, u.Netns, u.Device, u.Name)
	case Netns:
		return deleteNetns(ctx, u.Netns)
	case Device:
		return deleteDevice(ctx, u.Device)
	case Remove:
		if err := os.Remove(u.File); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	default:
		return u.exec(ctx)
	}
}

// restoreLimits sets the soft limit back where it is still what the fault made
// it: of the process, and of the children that inherited it.
func (u Undo) restoreLimits() error {
	var errs []error
	for _, p := range u.Process.Family() {
		now, err := ReadLimit(p.Pid, u.Resource)
		if err == nil && now.Soft == u.Set && p.there() {
			err = SetLimit(p.Pid, u.Resource, Limit{min(u.Was, now.Max), now.Max})
		}
		if err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("limit %s of process %d: %w", u.Resource, p.Pid, err))
		}
	}
	return errors.Join(errs...)
}

// regroup moves until no process is left: what is moved may fork meanwhile.
func (u Undo) regroup(ctx context.Context) error {
	home := u.Home
	if _, err := os.Stat(home); errors.Is(err, fs.ErrNotExist) {
		home = filepath.Dir(u.Group) // it was removed when its last process had left
	}
	for {
		pids, err := groupPids(u.Group)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read cgroup %s: %w", u.Group, err)
		}
		var moved error
		for _, pid := range pids {
			moved = errors.Join(moved, MoveTo(home, pid))
		}
		if moved == nil {
			err = os.Remove(u.Group)
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			moved = err // busy: a process that has ended is still being taken out of it
		}
		if !pause(ctx, 5*time.Millisecond) {
			return fmt.Errorf("empty cgroup %s: %w", u.Group, moved)
		}
	}
}

func groupPids(group string) ([]int, error) {
	text, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for line := range strings.Lines(string(text)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// MoveTo moves a process into a cgroup; that it has ended is no error.
func MoveTo(group string, pid int) error {
	err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// InNetns is a command in a network namespace of ip-netns(8).
func InNetns(netns string, command ...string) []string {
	return append([]string{"ip", "netns", "exec", netns}, command...)
}

func nftDelete(netns, table string) []string {
	return InNetns(netns, "nft", "delete", "table", "inet", table)
}

func tcDelete(netns, device string) []string {
	return []string{"tc", "-n", netns, "qdisc", "del", "dev", device, "root"}
}

func netnsDelete(name string) []string { return []string{"ip", "netns", "delete", name} }

func deviceDelete(name string) []string { return []string{"ip", "link", "delete", "dev", name} }

// deleteNetns takes the name from a network namespace. It is gone when the last of
// its processes is, and its devices with it.
func deleteNetns(ctx context.Context, name string) error {
	if !NetnsExists(name) {
		return nil
	}
	_, err := output(ctx, netnsDelete(name))
	return gone(err, func() bool { return !NetnsExists(name) })
}

func deleteDevice(ctx context.Context, name string) error {
	there := func() bool {
		_, err := net.InterfaceByName(name)
		return err == nil
	}
	if !there() {
		return nil
	}
	_, err := output(ctx, deviceDelete(name))
	return gone(err, func() bool { return !there() })
}

// gone forgives an error about what is not there any more: it may go with
// something else while it is being deleted.
func gone(err error, now func() bool) error {
	if err != nil && now() {
		return nil
	}
	return err
}

// goneWith forgives an error about what is in a network namespace that is deleted at the
// same time, and goes with it. Its name is there for a moment when it is not any more.
func goneWith(ctx context.Context, netns string, err error) error {
	for range 10 {
		if err == nil || !NetnsExists(netns) {
			return nil
		}
		if !pause(ctx, 10*time.Millisecond) {
			break
		}
	}
	return err
}

// NetnsExists reports whether a network namespace has this name.
func NetnsExists(name string) bool {
	_, err := os.Stat(filepath.Join("/run/netns", name))
	return err == nil
}

func deleteTable(ctx context.Context, netns, table string) error {
	if !NetnsExists(netns) {
		return nil // its rules went with it
	}
	out, err := output(ctx, InNetns(netns, "nft", "list", "tables", "inet"))
	if err == nil && slices.Contains(strings.Fields(out), table) {
		_, err = output(ctx, nftDelete(netns, table))
	}
	return goneWith(ctx, netns, err)
}

func deleteQdisc(ctx context.Context, netns, device, handle string) error {
	if !NetnsExists(netns) {
		return nil
	}
	out, err := output(ctx, []string{"tc", "-n", netns, "qdisc", "show"})
	if err == nil && HasQdisc(out, device, handle) {
		_, err = output(ctx, tcDelete(netns, device))
	}
	return goneWith(ctx, netns, err)
}

// HasQdisc looks for a device's root discipline with a handle in what
// `tc qdisc show` prints: "qdisc tbf 5c01: dev eth0 root refcnt 2 ...".
func HasQdisc(shown, device, handle string) bool {
	for line := range strings.Lines(shown) {
		w := strings.Fields(line)
		if len(w) > 5 && w[2] == handle && w[4] == device && w[5] == "root" {
			return true
		}
	}
	return false
}

// output runs a tool that reads or undoes; its error ends in what it wrote.
func output(ctx context.Context, command []string) (string, error) {
	var out bytes.Buffer
	err := runCommand(ctx, Command{Argv: command, Stdout: &out})
	return out.String(), named(command, err)
}

func (u Undo) exec(ctx context.Context) error {
	c := Command{Argv: u.Command, Dir: u.Dir, Within: u.Timeout}
	if u.Output != "" {
		f, err := os.OpenFile(u.Output, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
		if err == nil { // a folder that is gone, or a FIFO in the file's place, must not keep it from being undone
			defer f.Close()
			c.Stdout = f
		}
	}
	return runCommand(ctx, c)
}

// pause waits a little; false if ctx is done.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
