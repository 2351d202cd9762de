package input

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestReadBelow(t *testing.T) {
	outside := write(t, "outside", "secret")
	dir := t.TempDir()
	err := errors.Join(
		os.MkdirAll(dir+"/a/b", 0o700), os.WriteFile(dir+"/a/b/file", []byte("x\r\n"), 0o600), os.Symlink("a/b/file", dir+"/inside"),
		os.Symlink(outside, dir+"/outside"), os.Symlink(filepath.Dir(outside), dir+"/folder"), os.Symlink("/dev/zero", dir+"/zero"),
		syscall.Mkfifo(dir+"/fifo", 0o600), os.WriteFile(dir+"/large", make([]byte, 1<<10+1), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, want string }{
		{"a/b/file", ""},
		{"inside", ""},
		{"outside", "open DIR/outside: path escapes from parent"},
		{"folder/outside", "open DIR/folder/outside: path escapes from parent"},
		{"../x", "open " + filepath.Join(dir, "../x") + ": path escapes from parent"},
		{"zero", "open DIR/zero: path escapes from parent"},
		{"fifo", "open DIR/fifo: it is a FIFO, not a regular file: write what it gives into a file, and name that"},
		{"a", "open DIR/a: it is a directory, not a file"},
		{"none", "open DIR/none: no such file or directory"},
		{"large", "read DIR/large: it is larger than 1 KiB, the most that a text may have"},
	} {
		got, err := ReadBelow(dir, row.name, text)
		switch {
		case row.want == "" && (err != nil || string(got) != "x\n"):
			t.Errorf("%s: %q, %v", row.name, got, err)
		case row.want != "" && (err == nil || err.Error() != strings.ReplaceAll(row.want, "DIR", dir)):
			t.Errorf("%s: got %v, want %s", row.name, err, row.want)
		}
	}
	if _, err := OpenBelow(dir+"/none", "file"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func TestLine(t *testing.T) {
	r := bufio.NewReaderSize(strings.NewReader("short\n"+strings.Repeat("x", 99)+"\n\nrest"), 16)
	for _, want := range []struct {
		text string
		err  error
	}{{"short\n", nil}, {strings.Repeat("x", 99) + "\n", nil}, {"\n", nil}, {"rest", io.EOF}, {"", io.EOF}} {
		if got, err := Line(r, 100); string(got) != want.text || err != want.err {
			t.Errorf("got %q, %v, want %q, %v", got, err, want.text, want.err)
		}
	}
	if _, err := Line(bufio.NewReaderSize(strings.NewReader(strings.Repeat("x", 100)+"\n"), 16), 100); err == nil || err.Error() != "it is longer than 100 bytes" {
		t.Errorf("a line of 101 bytes: %v", err)
	}
}
