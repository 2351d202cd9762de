package targets

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A target may put something else in the place of its output: it is neither
// written through, nor waited for when it is looked at.
func TestOutputIsAPlainFile(t *testing.T) {
	for _, c := range []struct {
		name  string
		place func(path string) error
	}{
		{"a link", func(path string) error { return os.Symlink(path+".precious", path) }},
		{"a FIFO", func(path string) error { return syscall.Mkfifo(path, 0o600) }},
		{"a folder", func(path string) error { return os.Mkdir(path, 0o700) }},
	} {
		path := filepath.Join(t.TempDir(), "shop.log")
		if err := os.WriteFile(path+".precious", []byte("precious\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.place(path); err != nil {
			t.Fatal(err)
		}
		if f, _, err := (Process{Output: path}).openOutput(); err == nil {
			t.Errorf("%s was opened to be written to", c.name)
			f.Close()
		}
		if got := withOutput("it ended", path, 0); strings.Contains(got, "precious\n") || !strings.Contains(got, "cannot be read") {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
