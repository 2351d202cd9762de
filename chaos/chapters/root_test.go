package chapters

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/input/inputtest"
)

// The folder of the chapters and their log are those of the directory that was opened:
// what is a link in it, which a target may have put there, is not followed.
func TestChaptersAreInTheRunDirectory(t *testing.T) {
	c := Config{Header: evidence.Header{Routes: []string{"pay"}}, Plan: Plan{Length: time.Minute, End: time.Hour}, First: 1,
		Schedule: arrivals.Constant(1, time.Hour), Faults: func(_, _ time.Duration) []evidence.Injection { return nil }}
	for _, to := range []string{"targets", "out"} {
		dir, out := t.TempDir(), t.TempDir()
		way := map[string]string{"targets": "targets", "out": out}[to]
		planted := filepath.Join(dir, "targets", nameOf(7), "kept")
		err := errors.Join(os.MkdirAll(filepath.Dir(planted), 0o700), os.WriteFile(planted, nil, 0o600),
			os.WriteFile(filepath.Join(out, "file"), nil, 0o600),
			os.Symlink(way, filepath.Join(dir, Folder)), os.Symlink(filepath.Join(out, "file"), filepath.Join(dir, File)))
		if err != nil {
			t.Fatal(err)
		}
		c.Root = inputtest.Root(t, dir)
		if w, err := New(c); err == nil {
			_ = w.Close(0)
			t.Errorf("chapters were put into %s", way)
		}
		if l, err := OpenLog(c.Root); err == nil {
			l.Close()
			t.Error("a log was opened that is a link")
		}
		if err := Remove(c.Root, 7); err == nil {
			t.Error("a chapter was removed through a link")
		}
		if chapter, err := Open(c.Root, 7); err == nil {
			chapter.Close()
			t.Error("a chapter was opened through a link")
		}
		if _, err := os.Stat(planted); err != nil {
			t.Error(err)
		}
		if there, _ := os.ReadDir(out); len(there) != 1 {
			t.Errorf("it was written outside: %v", there)
		}
		if is := Is(dir); is != (to == "targets") { // as in a directory that somebody put together
			t.Errorf("with a link to %s it is one in chapters: %v", to, is)
		}
	}
}
