package proc

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// What is used by a process, its children and theirs, those that have ended too, is
// its tree's.
func TestTreeCPU(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says what processes have used")
	}
	// The shell's child burns until it has used 100 ms by the shell's own count; the
	// other sleeps, and so the tree has two that live.
	cmd := exec.Command("bash", "-c", `
		bash -c 'for ((i = 0; i < 200000; i++)); do :; done' && sleep 1000 & echo; wait`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, st := range All() {
			if st.Parent == cmd.Process.Pid {
				for _, below := range All() {
					if below.Parent == st.Pid {
						_ = kill(below.Pid)
					}
				}
				_ = kill(st.Pid)
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); TreeCPU(cmd.Process.Pid) < 50*time.Millisecond; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("200,000 rounds took %v", TreeCPU(cmd.Process.Pid))
		}
	}
	if own := CPU(cmd.Process.Pid); own >= 50*time.Millisecond {
		t.Errorf("the shell that waits has used %v itself", own)
	}
	if got := CPU(-1); got != 0 {
		t.Errorf("no process has used %v", got)
	}
}

func kill(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}
