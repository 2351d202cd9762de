//go:build !linux || portable

package targets

import (
	"bufio"
	"bytes"
	crand "crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

// descendants are a command and all below it. Where the kernel does not keep them
// together a mark in their environment does, and a keeper stands in for the
// parent-death signal: it reads a pipe that ends when the supervisor is gone, and
// kills them.
//
//	supervisor ──pipe──▶ keeper ──SIGKILL──▶ the group, children, all with the mark
//
// What has taken the mark out of its environment, left the group and lost its parent
// is not found.
type descendants struct {
	mark   string
	keeper *os.File // our end of its pipe
	rest   []proc.Stat
}

const (
	markPrefix = "STORMCTL_TARGET_" // of the variable that marks a command and all below it
	keeperRole = "keeper "          // in superviseEnv, before the mark
	keeperPid  = "pid "             // the supervisor writes lines: the command runs under this pid
	keeperDone = "done"             // nothing of it is left
	lookEvery  = 20 * time.Millisecond
)

func superviseAs(role string) int {
	if mark, ok := strings.CutPrefix(role, keeperRole); ok {
		keep(mark)
		return 0
	}
	return supervise()
}

// keep is the keeper's work.
func keep(mark string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGQUIT, syscall.SIGTSTP)
	d, command := descendants{mark: mark}, 0
	lines := bufio.NewScanner(os.NewFile(lifelineFD, "supervisor"))
	for lines.Scan() {
		if lines.Text() == keeperDone {
			return
		}
		command, _ = strconv.Atoi(strings.TrimPrefix(lines.Text(), keeperPid)) // 0: it is found by its mark
	}
	if command > 0 {
		d.kill(command)
	}
	d.killRest(command)
}

// adopt starts the keeper, before there is anything to keep.
func adopt() (*descendants, error) {
	d := &descendants{mark: markPrefix + crand.Text()[:12] + "=1"}
	self, err := proc.Self()
	if err != nil {
		return nil, err
	}
	end, keeper, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer end.Close()
	cmd := exec.Command(self)
	cmd.Args = []string{"stormctl-keeper"}
	cmd.Env = append(os.Environ(), superviseEnv+"="+keeperRole+d.mark)
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{lifelineFD - 3: end}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		keeper.Close()
		return nil, fmt.Errorf("keeper: %w", err)
	}
	d.keeper = keeper
	return d, nil
}

func (d *descendants) environ(env []string) []string { return append(env, d.mark) }

func (d *descendants) attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// began names the command to the keeper. If that is gone, only we are left.
func (d *descendants) began(command int) { fmt.Fprintf(d.keeper, "%s%d\n", keeperPid, command) }

// awaitDeath returns when the command is dead, and leaves it to be waited for.
func (d *descendants) awaitDeath(command int) {
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	defer signal.Stop(died)
	look := time.NewTicker(lookEvery) // a signal may have come before it was asked for
	defer look.Stop()
	for {
		if st, err := proc.Read(command); err != nil || st.State == 'Z' {
			return
		}
		select {
		case <-died:
		case <-look.C:
		}
	}
}

// kill ends the group, whether it was stopped or not. Those that have left it are
// noted before: with the command they lose what names them.
func (d *descendants) kill(command int) {
	d.rest = below(command)
	_ = syscall.Kill(-command, syscall.SIGKILL)
}

// below are the descendants of a process, as parents name them now.
func below(pid int) []proc.Stat {
	all := proc.All()
	found := []proc.Stat{}
	for parents := map[int]bool{pid: true}; ; {
		before := len(found)
		for _, st := range all {
			if parents[st.Parent] && !parents[st.Pid] {
				parents[st.Pid] = true
				found = append(found, st)
			}
		}
		if len(found) == before {
			return found
		}
	}
}

// killRest kills what kill has noted, and what carries the mark until none is seen
// three times in a row: for a moment of its start a program shows no environment.
func (d *descendants) killRest(command int) {
	for _, st := range d.rest {
		for _, st := range append(below(st.Pid), st) {
			d.killOne(st)
		}
	}
	end := time.Now().Add(killWithin / 2)
	for none := 0; none < 3 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		none++
		for _, st := range proc.All() {
			if st.Pid != command && st.State != 'Z' && d.marked(st.Pid) {
				none = 0
				d.killOne(st)
			}
		}
	}
}

// killOne kills a process if it is still the one that was seen.
func (d *descendants) killOne(seen proc.Stat) {
	if now, err := proc.Read(seen.Pid); err == nil && now.Start == seen.Start {
		_ = syscall.Kill(seen.Pid, syscall.SIGKILL)
	}
}

func (d *descendants) marked(pid int) bool {
	environ, err := proc.Environ(pid)
	if err != nil {
		return false
	}
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		if string(v) == d.mark {
			return true
		}
	}
	return false
}

// release lets the keeper go.
func (d *descendants) release() {
	fmt.Fprintln(d.keeper, keeperDone)
	_ = d.keeper.Close()
}
