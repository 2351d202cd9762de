package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Disk fills a file system with one file. RLIMIT_FSIZE would be less work, but
// its signal ends most programs, which a full disk does not.
type Disk struct {
	Leased
	Dir    string
	Leave  unit.Size // what stays free
	AtMost unit.Size // never write more than this
	Own    []string  // folders that we write to ourselves; their file systems are refused
}

func (f Disk) Inject(ctx context.Context) (Heal, error) {
	if err := f.Check(ctx); err != nil {
		return nil, err
	}
	path := filepath.Join(f.Dir, ".stormctl-full-"+mark())
	return f.underLease(ctx, []lease.Undo{{Kind: lease.Remove, File: path}}, func(ctx context.Context, _ *lease.Injection) error {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		return errors.Join(f.fill(ctx, file), file.Close())
	})
}

// fill takes space in pieces: large ones while they fit, down to a page.
func (f Disk) fill(ctx context.Context, file *os.File) error {
	var size int64
	for piece := int64(16 << 20); piece >= 4096 && ctx.Err() == nil; {
		free, err := freeSpace(f.Dir)
		if err != nil {
			return err
		}
		want := min(piece, free-int64(f.Leave), int64(f.AtMost)-size)
		if want < 4096 && want < piece {
			break
		}
		switch err := allocate(file, size, want); {
		case err == nil:
			size += want
		case errors.Is(err, syscall.ENOSPC):
			piece = want / 2
		default:
			return err
		}
	}
	return ctx.Err()
}

// freeSpace is what we could write.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	blocks := st.Bavail
	if os.Geteuid() == 0 {
		blocks = st.Bfree
	}
	return int64(blocks) * int64(st.Bsize), nil //nolint:unconvert // its type differs between systems
}

func (f Disk) String() string {
	return fmt.Sprintf("disk full but for %v in %s", f.Leave, f.Dir)
}

// Check refuses file systems that others than the target lean on, and those that
// are too large to fill.
func (f Disk) Check(context.Context) error {
	device := func(path string) (uint64, error) {
		var st unix.Stat_t
		err := unix.Stat(path, &st)
		return uint64(st.Dev), err //nolint:unconvert // its type differs between systems
	}
	dev, err := device(f.Dir)
	if err != nil {
		return fmt.Errorf("dir %s: %w", f.Dir, err)
	}
	for _, own := range append([]string{"/", os.TempDir()}, f.Own...) {
		if d, err := device(own); err == nil && d == dev {
			return fmt.Errorf("%s is on the file system of %s, which others need: "+
				"give the target a mount of its own (mount -t tmpfs -o size=64m tmpfs %s)", f.Dir, own, f.Dir)
		}
	}
	if err := writable(f.Dir); err != nil {
		return fmt.Errorf("%s: %w", f.Dir, err)
	}
	free, err := freeSpace(f.Dir)
	if err != nil {
		return err
	}
	if more := free - int64(f.Leave); more > int64(f.AtMost) {
		return fmt.Errorf("to fill %s takes %v, and at_most is %v", f.Dir, unit.Size(more), f.AtMost)
	}
	return nil
}

func (f Disk) Plan() Plan {
	return Plan{fmt.Sprintf("a file .stormctl-full-... in %s, of at most %v", f.Dir, f.AtMost), "the file removed"}
}
