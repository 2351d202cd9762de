package input

import (
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// To open a FIFO lets a writer go on that waits for a reader, and then finds
// nobody there.
func TestReadDoesNotOpenAFIFO(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(opened)
	if _, err := unix.InotifyAddWatch(opened, fifo, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(fifo, text); err == nil {
		t.Error("it was read")
	}
	if n, err := unix.Read(opened, make([]byte, 1<<10)); err != unix.EAGAIN {
		t.Errorf("it was opened: %d bytes of notice, %v", n, err)
	}
}
