package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/result"
)

// A run directory that somebody handed on keeps nobody waiting, takes no memory to
// speak of, and shows nothing of the reader's other files.
func TestHandedOnDirectories(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("name: hunter2\nhunter2,hunter2\n{\"hunter2\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sparse := func(size int64) func(string) error {
		return func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)) }
	}
	dir := runDir(t, 300, 100, allClaims, true)
	for _, file := range []string{ExperimentFile, evidence.TimelineFile, evidence.SamplesFile, evidence.ExchangesFile("bank"), routeLog, result.File} {
		path := filepath.Join(dir, file)
		whole, err := os.ReadFile(path)
		if err != nil && file != routeLog && file != result.File {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name  string
			place func(path string) error
		}{
			{"a FIFO", func(path string) error { return syscall.Mkfifo(path, 0o600) }},
			{"a link to /dev/zero", func(path string) error { return os.Symlink("/dev/zero", path) }},
			{"a link to another file of the reader's", func(path string) error { return os.Symlink(secret, path) }},
			{"a folder", func(path string) error { return os.Mkdir(path, 0o700) }},
			{"1 TiB of nothing", sparse(1 << 40)},
			{"a line of 500 MiB", sparse(500 << 20)},
		} {
			if err := errors.Join(os.RemoveAll(path), c.place(path)); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				if file == result.File {
					done <- Verify(dir)
					return
				}
				_, err := Judge(dir)
				done <- err
			}()
			select {
			case err = <-done:
			case <-time.After(20 * time.Second):
				t.Fatalf("%s is %s: no end", file, c.name)
			}
			if err == nil || !strings.Contains(err.Error(), filepath.Base(file)) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s is %s: %v", file, c.name, err)
			}
		}
		if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, whole, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Judge(dir); err != nil {
		t.Errorf("as it was: %v", err)
	}
	for _, look := range []func(string) error{
		func(dir string) error { _, err := Judge(dir); return err }, Verify, func(dir string) error { _, err := Measure(dir); return err },
	} {
		pipe := filepath.Join(t.TempDir(), "pipe") // in the place of the whole
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- look(pipe) }()
		select {
		case err := <-done:
			if err == nil {
				t.Error("a FIFO is a run directory")
			}
		case <-time.After(20 * time.Second):
			t.Fatal("a FIFO that is named as a run directory: no end")
		}
	}
	fifo := filepath.Join(dir, notStartedFile)
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Judge(dir); err != nil {
		t.Errorf("beside a FIFO that nobody asked for: %v", err)
	}
}
