package proc

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"
)

func TestReadAndAll(t *testing.T) {
	st, err := Read(os.Getpid())
	if err != nil || st.Pid != os.Getpid() || st.Parent != os.Getppid() || st.Start == 0 {
		t.Errorf("of this process: %+v, %v", st, err)
	}
	if !slices.ContainsFunc(All(), func(s Stat) bool { return s.Pid == st.Pid && s.Start == st.Start }) {
		t.Error("this process is not among all")
	}
	if _, err := Read(1 << 30); !errors.Is(err, fs.ErrNotExist) { // above the kernel's largest pid
		t.Errorf("of no process: %v", err)
	}
}
