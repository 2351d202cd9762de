//go:build linux

package host

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tmpfs mounts a small file system.
func tmpfs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("NOTHING IS SHOWN about a full disk, because nothing can be mounted: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestDiskIsFullAndIsNot(t *testing.T) {
	dir := tmpfs(t)
	write := func(n int) error {
		defer os.Remove(filepath.Join(dir, "data"))
		return os.WriteFile(filepath.Join(dir, "data"), bytes.Repeat([]byte{'x'}, n), 0o644)
	}
	if err := write(1 << 20); err != nil {
		t.Fatal(err)
	}
	for _, leave := range []int{0, 1 << 20} {
		heal := inject(t, Disk{Leased: held(t), Dir: dir, Leave: 0, AtMost: 64 << 20})
		if leave > 0 {
			heal()
			heal = inject(t, Disk{Leased: held(t), Dir: dir, Leave: 1 << 20, AtMost: 64 << 20})
			if err := write(512 << 10); err != nil {
				t.Errorf("half of what was left free: %v", err)
			}
		}
		if err := write(2 << 20); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("leave %d: writing 2 MiB says %v, want ENOSPC", leave, err)
		}
		heal()
		if err := write(4 << 20); err != nil {
			t.Errorf("leave %d: after the heal: %v", leave, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestDiskRefusesWhatOthersNeed(t *testing.T) {
	dir := tmpfs(t)
	for _, row := range []struct {
		disk Disk
		want string
	}{
		{Disk{Dir: "/", AtMost: 1 << 40}, "which others need"},
		{Disk{Dir: t.TempDir(), AtMost: 1 << 40}, "which others need"},
		{Disk{Dir: dir, AtMost: 1 << 40, Own: []string{dir}}, "which others need"},
		{Disk{Dir: dir, AtMost: 1 << 20}, "at_most is 1MiB"},
		{Disk{Dir: filepath.Join(dir, "none"), AtMost: 1 << 20}, "no such file"},
	} {
		err := row.disk.Check(t.Context())
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%+v: %v, want %s", row.disk, err, row.want)
		}
	}
}
