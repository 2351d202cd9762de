package input

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFolderFollowsNoLink(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	err := errors.Join(os.MkdirAll(dir+"/a/b", 0o700), os.Symlink("a", dir+"/inside"), os.Symlink(out, dir+"/out"),
		os.WriteFile(dir+"/file", nil, 0o600), os.Symlink("b", dir+"/a/c"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, want := range map[string]string{
		".": "", "a": "", "a/b": "", "./a": "",
		"inside": "no folder", "inside/b": "no folder", "a/c": "no folder", "out": "no folder", "file": "no folder", "none": "no such file",
		"..": "escapes",
	} {
		for _, open := range []func(*os.Root, string) (*os.Root, error){Folder, MakeFolder} {
			folder, err := open(root, name)
			if err == nil {
				if got := folder.Name(); name != "." && got != filepath.Join(dir, name) {
					t.Errorf("%s is called %s", name, got)
				}
				folder.Close()
			}
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
			if name == "none" {
				want = "" // it is made by the second
			}
		}
	}
	folder, err := MakeFolder(root, "x/y/z")
	if err != nil {
		t.Fatal(err)
	}
	folder.Close()
	if info, err := os.Stat(dir + "/x/y/z"); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestOpenInFollowsNoLink(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	err := errors.Join(os.WriteFile(dir+"/file", []byte("x"), 0o600), os.Symlink("file", dir+"/inside"), os.Symlink(out+"/none", dir+"/dangling"),
		syscall.Mkfifo(dir+"/fifo", 0o600), os.Mkdir(dir+"/folder", 0o700))
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, row := range []struct {
		name string
		flag int
		want string
	}{
		{"file", os.O_RDONLY, ""}, {"file", os.O_RDWR | os.O_CREATE, ""}, {"new", os.O_RDWR | os.O_CREATE, ""}, {"none", os.O_RDWR, "no such file"},
		{"file", os.O_WRONLY | os.O_CREATE | os.O_EXCL, "file exists"},
		{"inside", os.O_RDONLY, "a link"}, {"dangling", os.O_RDWR | os.O_CREATE, "a link"},
		{"fifo", os.O_RDONLY, "a FIFO"}, {"folder", os.O_RDONLY, "a directory"},
	} {
		f, err := OpenIn(root, row.name, row.flag)
		if err == nil {
			f.Close()
		}
		told := err != nil && strings.Contains(err.Error(), row.want) && strings.Contains(err.Error(), dir)
		if row.want == "" && err != nil || row.want != "" && !told {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
	if _, err := os.Lstat(out + "/none"); err == nil {
		t.Error("a file was made where a link leads")
	}
}
