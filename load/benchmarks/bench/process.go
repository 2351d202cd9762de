package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a program that runs and listens; one without Cmd has none of its own.
type Process struct {
	Addr string // ip:port
	Cmd  *exec.Cmd
}

// Start starts a program and waits until it listens on addr.
func Start(ctx context.Context, addr, program string, args ...string) (Process, error) {
	p := Process{addr, exec.CommandContext(ctx, program, args...)}
	p.Cmd.Cancel = func() error { return p.Cmd.Process.Signal(syscall.SIGTERM) }
	p.Cmd.Stderr = os.Stderr
	if err := p.Cmd.Start(); err != nil {
		return Process{}, err
	}
	for range 200 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return p, nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	p.Stop()
	return Process{}, fmt.Errorf("%s does not listen on %s", program, addr)
}

// CPU is what it and its children have taken so far, in steps of a hundredth of a
// second.
func (p Process) CPU() (time.Duration, error) {
	pid := strconv.Itoa(p.Cmd.Process.Pid)
	children, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	if err != nil {
		return 0, err
	}
	ticks := 0
	for _, pid := range append(strings.Fields(string(children)), pid) {
		text, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return 0, err
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // behind its name, which may be any text
		for _, time := range fields[11:13] {                                      // utime and stime: proc_pid_stat(5)
			n, err := strconv.Atoi(time)
			if err != nil {
				return 0, err
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// Stop ends it.
func (p Process) Stop() {
	if p.Cmd != nil {
		_ = p.Cmd.Process.Signal(syscall.SIGTERM)
		_ = p.Cmd.Wait()
	}
}

// Find returns the first program that there is, "" if there is none.
func Find(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// FreeAddr is one on which nothing listens.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
