package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
)

// keepBusy burns one core until stop, or until we die.
func keepBusy(t *testing.T) (pid int, stop func()) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "while :; do :; done")
	// The kernel sends it when the thread that started the command ends
	// (prctl(2)), so that thread must live until stop: it is kept for that.
	dieWithThread(cmd)
	begun, end, ended := make(chan error, 1), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		begun <- err
		if err == nil {
			<-end
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	if err := <-begun; err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { close(end); <-ended })
	t.Cleanup(stop)
	return cmd.Process.Pid, stop
}

// keepCoresBusy burns so many.
func keepCoresBusy(t *testing.T, cores int) (stop func()) {
	t.Helper()
	var stops []func()
	for range cores {
		_, stop := keepBusy(t)
		stops = append(stops, stop)
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

func TestKeepBusyEndsWithUs(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a process with the one that has started it")
	}
	const role = "STORMCTL_TEST_BUSY"
	if os.Getenv(role) != "" {
		pid, _ := keepBusy(t)
		fmt.Println("busy", pid)
		select {} // until we are killed
	}
	pid, stop := keepBusy(t)
	if !alive(pid) {
		t.Error("nothing keeps busy")
	}
	stop()
	if alive(pid) {
		t.Error("stopped, and still busy")
	}

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	other := exec.Command(self, "-test.run=^TestKeepBusyEndsWithUs$")
	other.Env = append(os.Environ(), role+"=1")
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fscanf(out, "busy %d\n", &pid)
	_ = other.Process.Kill()
	_ = other.Wait()
	if err != nil {
		t.Fatal(err)
	}
	gone(t, map[int]string{pid: ""})
}
