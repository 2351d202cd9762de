package main

import (
	"os/exec"
	"syscall"
)

// dieWithThread makes the kernel kill the command when the thread that starts it ends.
func dieWithThread(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
