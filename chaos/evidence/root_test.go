package evidence

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/input/inputtest"
)

// What is written, compressed or gone on with is in the directory that was opened, and
// no link that stands in it is followed: not into another file, nor to a folder of it.
func TestChaptersFollowNoLink(t *testing.T) {
	h := Header{Name: "x", Routes: []string{"pay"}, Links: []Link{{Name: "bank"}}, Chapter: &Chapter{Number: 1, To: Seconds(time.Second)}}
	for name, attack := range map[string]func(dir, theirs string) error{
		"the chapter is a link":           func(dir, theirs string) error { return os.Symlink(theirs, filepath.Join(dir, "000001")) },
		"the chapter is a link inside":    func(dir, _ string) error { return os.Symlink("inside", filepath.Join(dir, "000001")) },
		"the chapter is there":            func(dir, _ string) error { return os.Mkdir(filepath.Join(dir, "000001"), 0o700) },
		"the directory was exchanged for": nil,
	} {
		t.Run(name, func(t *testing.T) {
			dir, theirs := filepath.Join(t.TempDir(), "run"), t.TempDir()
			if err := errors.Join(os.Mkdir(dir, 0o700), os.Mkdir(filepath.Join(dir, "inside"), 0o700)); err != nil {
				t.Fatal(err)
			}
			root := inputtest.Root(t, dir)
			if attack == nil {
				if err := errors.Join(os.Rename(dir, dir+".old"), os.Symlink(theirs, dir)); err != nil {
					t.Fatal(err)
				}
			} else if err := attack(dir, theirs); err != nil {
				t.Fatal(err)
			}
			w, err := CreateChapter(root, "000001", h, 0)
			if err == nil {
				w.Exchanges("bank", []Exchange{{Seq: 1}})
				err = errors.Join(w.Line("evidence/more.csv", "x\n", []byte("1\n")), w.Close(time.Second))
				chapter, openErr := root.OpenRoot("000001")
				err = errors.Join(err, openErr, new(Packer).Pack(chapter), chapter.Close())
			}
			if attack == nil && err != nil || attack != nil && !errors.Is(err, fs.ErrExist) {
				t.Errorf("%v", err)
			}
			for _, folder := range []string{theirs, filepath.Join(dir, "inside")} {
				if written, _ := os.ReadDir(folder); len(written) > 0 {
					t.Errorf("it was written into %s: %v", folder, written)
				}
			}
		})
	}
}

// Files of a closed chapter that were exchanged for links are neither read nor written
// through, and what is beside them is not either.
func TestPackFollowsNoLink(t *testing.T) {
	for name, attack := range map[string]func(dir, theirs string) error{
		"a file": func(dir, theirs string) error {
			return errors.Join(os.Remove(filepath.Join(dir, SamplesFile)), os.Symlink(theirs, filepath.Join(dir, SamplesFile)))
		},
		"a file that is another of it": func(dir, _ string) error {
			return errors.Join(os.Rename(filepath.Join(dir, SamplesFile), filepath.Join(dir, "x")), os.Symlink("../x", filepath.Join(dir, SamplesFile)))
		},
		"the folder": func(dir, _ string) error {
			return errors.Join(os.Rename(filepath.Join(dir, "evidence"), filepath.Join(dir, "x")), os.Symlink("x", filepath.Join(dir, "evidence")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, theirs := summed(t, 1, 3, true), filepath.Join(t.TempDir(), "theirs.csv")
			if err := errors.Join(os.WriteFile(theirs, []byte("secret\n"), 0o600), attack(dir, theirs)); err != nil {
				t.Fatal(err)
			}
			if err := new(Packer).Pack(inputtest.Root(t, dir)); err == nil {
				t.Error("it was compressed")
			}
			if text, err := os.ReadFile(theirs); err != nil || string(text) != "secret\n" {
				t.Errorf("their file is %q, %v", text, err)
			}
		})
	}
	dir, theirs := summed(t, 1, 3, true), filepath.Join(t.TempDir(), "theirs")
	beside := filepath.Join(dir, SamplesFile) + packedSuffix + ".new" // left over, or planted
	if err := errors.Join(os.WriteFile(theirs, []byte("theirs"), 0o600), os.Symlink(theirs, beside), new(Packer).Pack(inputtest.Root(t, dir))); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(theirs); err != nil || string(text) != "theirs" {
		t.Errorf("their file is %q, %v", text, err)
	}
	if _, err := Read(dir); err != nil {
		t.Error(err)
	}
}

// A file that is gone on with is neither made nor changed through a link.
func TestNoLinkIsGoneOnWith(t *testing.T) {
	dir := t.TempDir()
	there, none := filepath.Join(t.TempDir(), "there"), filepath.Join(t.TempDir(), "none")
	inside := filepath.Join(dir, "inside")
	err := errors.Join(os.WriteFile(there, []byte("whole\nhalf a l"), 0o600), os.WriteFile(inside, []byte("whole\nhalf a l"), 0o600),
		os.Symlink(there, filepath.Join(dir, "a")), os.Symlink(none, filepath.Join(dir, "b")), os.Symlink("inside", filepath.Join(dir, "c")),
		os.Symlink("made", filepath.Join(dir, "d")))
	if err != nil {
		t.Fatal(err)
	}
	root := inputtest.Root(t, dir)
	for _, name := range []string{"a", "b", "c", "d"} {
		if f, _, err := OpenWhole(root, name); err == nil {
			f.Close()
			t.Errorf("%s, which is a link, was opened", name)
		}
	}
	for file, want := range map[string]string{
		there: "whole\nhalf a l", inside: "whole\nhalf a l", none: "", filepath.Join(dir, "made"): "",
	} {
		if text, _ := os.ReadFile(file); string(text) != want {
			t.Errorf("%s is %q, want %q", file, text, want)
		}
	}
}

// Whoever follows a run is told nothing of what a link leads out to, its size included.
func TestWatchingFollowsNoLinkOut(t *testing.T) {
	theirs := summed(t, 1, 3, true)
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(theirs, TimelineFile), filepath.Join(dir, TimelineFile)); err != nil {
		t.Fatal(err)
	}
	e := TailEvents(dir)
	if err := e.Read(func(e Event) { t.Errorf("it read %+v", e) }); err == nil || e.Since() > 0 {
		t.Errorf("%v, last written %s ago", err, e.Since())
	}
	samples := tail{name: SamplesFile, header: sampleHeader}
	if err := errors.Join(os.Symlink(filepath.Join(theirs, "evidence"), filepath.Join(dir, "evidence"))); err != nil {
		t.Fatal(err)
	}
	if n := samples.pending(dir); n > 0 {
		t.Errorf("%d bytes of another directory are to be read", n)
	}
}
