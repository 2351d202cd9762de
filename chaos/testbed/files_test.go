package testbed

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stormctl/stormctl/targets"
)

func openRoot(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

func TestFilesStayUnderTheirFolder(t *testing.T) {
	dir := t.TempDir()
	root := openRoot(t, dir)
	for _, name := range []string{"conf/nginx.conf", "conf/mime.types", "plain"} {
		if err := writeNew(root, name, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != "x" {
			t.Errorf("read %q, %v", got, err)
		}
	}
	for _, name := range []string{"../x", "/etc/x", "a/../../x", "", "."} {
		if err := writeNew(root, name, []byte("x")); err == nil {
			t.Errorf("%q was written", name)
		}
	}
}

// A target that runs already may have put links and files where another's are to
// be: nothing is written through them, or over them. Nor does it help to put
// another folder in the place of the run directory.
func TestFilesFollowNoLink(t *testing.T) {
	for _, c := range []struct {
		name  string
		place func(dir, precious string) error // what stands there before targets/shop/conf/a is made
	}{
		{"the file is a link", func(dir, precious string) error {
			return errors.Join(os.MkdirAll(dir+"/targets/shop/conf", 0o700), os.Symlink(precious+"/a", dir+"/targets/shop/conf/a"))
		}},
		{"the file is there", func(dir, precious string) error {
			return errors.Join(os.MkdirAll(dir+"/targets/shop/conf", 0o700), os.Link(precious+"/a", dir+"/targets/shop/conf/a"))
		}},
		{"a folder is a link out of the directory", func(dir, precious string) error {
			return errors.Join(os.MkdirAll(dir+"/targets/shop", 0o700), os.Symlink(precious, dir+"/targets/shop/conf"))
		}},
		{"a folder is a link inside of it", func(dir, _ string) error {
			return errors.Join(os.MkdirAll(dir+"/targets/shop/other", 0o700), os.Symlink("other", dir+"/targets/shop/conf"))
		}},
		{"the first folder is a link", func(dir, precious string) error { return os.Symlink(precious, dir+"/targets") }},
		{"the directory is a link by now", func(dir, precious string) error {
			return errors.Join(os.Rename(dir, dir+".moved"), os.MkdirAll(precious+"/targets/shop/conf", 0o700), os.Symlink(precious, dir))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := t.TempDir()
			dir, precious := filepath.Join(parent, "run"), filepath.Join(parent, "precious")
			err := errors.Join(os.Mkdir(dir, 0o700), os.Mkdir(precious, 0o700), os.WriteFile(precious+"/a", []byte("precious"), 0o600))
			if err != nil {
				t.Fatal(err)
			}
			root := openRoot(t, dir)
			if err := c.place(dir, precious); err != nil {
				t.Fatal(err)
			}
			err = writeNew(root, "targets/shop/conf/a", []byte("x"))
			if moved := strings.Contains(c.name, "by now"); (err == nil) != moved {
				t.Errorf("written: %v", err)
			}
			if text, err := os.ReadFile(precious + "/a"); err != nil || string(text) != "precious" {
				t.Errorf("what stood outside is %q now, %v", text, err)
			}
			for _, path := range []string{precious + "/targets/shop/conf/a", dir + "/targets/shop/other/a"} {
				if _, err := os.Lstat(path); err == nil {
					t.Errorf("%s was made", path)
				}
			}
		})
	}
}

// What a target's user linked into its folder, of a soak that goes on, is not given to
// that user; what root made for the target is.
func TestOnlyOwnFilesAreGivenAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root to give files away")
	}
	dir := t.TempDir()
	roots, made := filepath.Join(dir, "roots"), filepath.Join(dir, "web", "made")
	err := errors.Join(os.Mkdir(filepath.Join(dir, "web"), 0o700), os.WriteFile(roots, nil, 0o600), os.WriteFile(made, nil, 0o600),
		os.Symlink(roots, filepath.Join(dir, "web", "symlink")))
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.OpenRoot(filepath.Join(dir, "web"))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	u := &targets.User{Name: "web", UID: 65533, GID: 65533}
	owner := func(file string) uint32 {
		info, err := os.Lstat(file)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Uid
	}
	if err := giveAll(u, folder); err != nil || owner(made) != u.UID || owner(filepath.Join(dir, "web")) != u.UID {
		t.Errorf("what was made is of %d, its folder of %d: %v", owner(made), owner(filepath.Join(dir, "web")), err)
	}
	if err := os.Link(roots, filepath.Join(dir, "web", "linked")); err != nil {
		t.Fatal(err)
	}
	if err := giveAll(u, folder); err == nil || !strings.Contains(err.Error(), "linked is a file with another name") || owner(roots) != 0 {
		t.Errorf("root's file is of %d: %v", owner(roots), err)
	}
}
