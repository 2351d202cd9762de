package input

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestGiven(t *testing.T) {
	pipe := func(content string, end bool) string {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close(); w.Close() })
		go func() {
			_, _ = w.WriteString(content)
			if end {
				w.Close()
			}
		}()
		return fmt.Sprintf("/dev/fd/%d", r.Fd())
	}
	plain := write(t, "plain", "x")
	for _, row := range []struct{ name, given, want, wrong string }{
		{"a file", plain, "x", ""},
		{"a pipe", pipe("\xef\xbb\xbfa\r\nb", true), "a\nb", ""},
		{"an empty one", pipe("", true), "", ""},
		{"a large one", pipe(strings.Repeat("x", 1<<20), true), "", "it is larger than 1 KiB, the most that a text may have"},
		{"one that does not end", pipe("x", false), "", "what writes to it has not ended within 30 s"},
		{"one of another encoding", pipe("\xff\xfea\x00", true), "", "the file is UTF-16"},
		{"a descriptor that is not open", "/dev/fd/999999", "", "no such file or directory"},
		{"a device", "/dev/zero", "", "it is a device"},
	} {
		got, called, err := given(row.given, text, 200*time.Millisecond)
		switch {
		case row.wrong == "" && (err != nil || string(got) != row.want):
			t.Errorf("%s: %q, %v", row.name, got, err)
		case row.wrong != "" && (err == nil || !strings.Contains(err.Error(), row.wrong)):
			t.Errorf("%s: %v, want %s", row.name, err, row.wrong)
		}
		if strings.HasPrefix(row.given, "/dev/fd/") && !strings.Contains(row.given, "999999") && strings.Contains(called, "/") {
			t.Errorf("%s is called %s, as if its folder were /dev/fd", row.name, called)
		}
	}
	// What the machine has under a name is no pipe of ours, wherever it stands.
	fifo := t.TempDir() + "/fifo"
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Given(fifo, text); err == nil || !strings.Contains(err.Error(), "it is a FIFO") {
		t.Errorf("a FIFO: %v", err)
	}
	if _, err := ParseGiven(pipe("abc", true), text, func(r io.Reader) (int, error) { return 0, io.ErrNoProgress }); err == nil ||
		!strings.HasPrefix(err.Error(), "fd") {
		t.Errorf("an error of what reads it: %v", err)
	}
}
