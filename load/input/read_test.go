package input

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var text, binary = Kind{Name: "a text", MaxSize: 1 << 10}, Kind{Name: "a blob", MaxSize: 1 << 10, Binary: true}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadTakesFilesAlone(t *testing.T) {
	dir := t.TempDir()
	fifo, socket := filepath.Join(dir, "fifo"), filepath.Join(dir, "socket")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(fifo, link); err != nil {
		t.Fatal(err)
	}
	const instead = ", not a regular file: write what it gives into a file, and name that"
	for _, row := range []struct{ name, want string }{
		{fifo, "read " + fifo + ": it is a FIFO" + instead},
		{link, "read " + link + ": it is a FIFO" + instead},
		{socket, "read " + socket + ": it is a socket" + instead},
		{"/dev/zero", "read /dev/zero: it is a device" + instead},
		{"/dev/null", "read /dev/null: it is a device" + instead},
		{dir, "read " + dir + ": it is a directory, not a file"},
		{dir + "/none", "open " + dir + "/none: no such file or directory"},
		{dir + "/none/none", "open " + dir + "/none/none: no such file or directory"},
	} {
		for _, k := range []Kind{text, binary} {
			_, err := Read(row.name, k)
			if _, ok := errors.AsType[*fs.PathError](err); !ok || err.Error() != row.want {
				t.Errorf("%s: got %v, want %s", row.name, err, row.want)
			}
		}
	}
}

func TestReadStopsAtTheMost(t *testing.T) {
	sparse := write(t, "sparse", "")
	if err := os.Truncate(sparse, 3<<30); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, want string }{
		{write(t, "full", strings.Repeat("x", 1<<10)), ""},
		{write(t, "more", strings.Repeat("x", 1<<10+1)), "it is larger than 1 KiB, the most that a text may have"},
		{sparse, "it is larger than 1 KiB, the most that a text may have"},
		{"/proc/self/smaps", "it is larger than 1 KiB, the most that a text may have"}, // says that it is empty
	} {
		got, err := Read(row.name, text)
		switch {
		case row.want == "" && (err != nil || len(got) != 1<<10):
			t.Errorf("%s: %d bytes, %v", row.name, len(got), err)
		case row.want != "" && (err == nil || err.Error() != "read "+row.name+": "+row.want):
			t.Errorf("%s: got %v, want %s", row.name, err, row.want)
		}
	}
	for n, want := range map[int64]string{1: "1 bytes", 4 << 10: "4 KiB", 1536: "1536 bytes", 64 << 20: "64 MiB", 1<<20 + 1<<10: "1025 KiB"} {
		if got := size(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

// wide is an ASCII text in an encoding of units of so many bytes.
func wide(text string, unit int, big bool) string {
	var b bytes.Buffer
	for _, c := range []byte(text) {
		zeros := make([]byte, unit-1)
		if big {
			b.Write(append(zeros, c))
		} else {
			b.Write(append([]byte{c}, zeros...))
		}
	}
	return b.String()
}

func TestTexts(t *testing.T) {
	const mark = "\xef\xbb\xbf"
	for _, row := range []struct{ name, in, want, wrong string }{
		{"plain", "a\nb\n", "a\nb\n", ""},
		{"empty", "", "", ""},
		{"one byte", "a", "a", ""},
		{"a mark", mark + "a: é\n", "a: é\n", ""},
		{"a mark alone", mark, "", ""},
		{"a mark that is none", "a" + mark, "a" + mark, ""},
		{"CRLF", mark + "a\r\n\r\nb", "a\n\nb", ""},
		{"CR", "a\rb\r\r\nc", "a\rb\r\nc", ""},
		{"not UTF-8", "\xe9t\xe9", "\xe9t\xe9", ""}, // the parser's to say
		{"UTF-16", "\xff\xfe" + wide("a: b", 2, false), "", "line 1: the file is UTF-16: save it as UTF-8"},
		{"UTF-16 the other way", "\xfe\xff" + wide("a: b", 2, true), "", "line 1: the file is UTF-16: save it as UTF-8"},
		{"UTF-16 without a mark", wide("a: b", 2, false), "", "line 1: the file is UTF-16: save it as UTF-8"},
		{"UTF-16 the other way without", wide("a: b", 2, true), "", "line 1: the file is UTF-16: save it as UTF-8"},
		{"UTF-16 of two letters", wide("ab", 2, true), "", "line 1: the file is UTF-16: save it as UTF-8"},
		{"UTF-32", "\xff\xfe\x00\x00" + wide("a: b", 4, false), "", "line 1: the file is UTF-32: save it as UTF-8"},
		{"UTF-32 the other way", "\x00\x00\xfe\xff" + wide("a: b", 4, true), "", "line 1: the file is UTF-32: save it as UTF-8"},
		{"UTF-32 without a mark", wide("a", 4, false), "", "line 1: the file is UTF-32: save it as UTF-8"},
		{"UTF-32 the other way without", wide("a", 4, true), "", "line 1: the file is UTF-32: save it as UTF-8"},
		{"NUL", "abc\r\né\x00\n", "", "line 2: there is a NUL byte: a text has none: is this the right file?"},
		{"NUL first", "\x00", "", "line 1: there is a NUL byte: a text has none: is this the right file?"},
	} {
		path := write(t, "x", row.in)
		got, err := Read(path, text)
		switch {
		case row.wrong == "" && (err != nil || string(got) != row.want):
			t.Errorf("%s: got %q, %v, want %q", row.name, got, err, row.want)
		case row.wrong != "" && (err == nil || err.Error() != "read "+path+": "+row.wrong):
			t.Errorf("%s: got %q, %v, want %s", row.name, got, err, row.wrong)
		}
		if got, err := Read(path, binary); err != nil || string(got) != row.in {
			t.Errorf("%s, as it is: got %q, %v", row.name, got, err)
		}
	}
}

func TestNotTextHasItsPlace(t *testing.T) {
	_, err := Plain([]byte("a\r\n\r\né: \x00"))
	bad, ok := errors.AsType[*NotText](err)
	if !ok || bad.Line != 3 || bad.Column != 4 {
		t.Errorf("got %+v, want line 3, column 4", bad)
	}
}

func TestParseNamesTheFile(t *testing.T) {
	path := write(t, "x", "abc")
	_, err := Parse(path, text, func(r io.Reader) (int, error) { return 0, errors.New("line 1: odd") })
	if want := path + ": line 1: odd"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	got, err := Parse(path, text, func(r io.Reader) (string, error) { b, err := io.ReadAll(r); return string(b), err })
	if got != "abc" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
