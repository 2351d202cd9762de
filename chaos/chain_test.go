package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Whatever is changed, exchanged, removed or added among the files that rulings rest on
// is named; what is none of them may change.
func TestChain(t *testing.T) {
	write := func(t *testing.T, path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string)
		want   string // part of the error; "" is none
	}{
		{"nothing", func(*testing.T, string) {}, ""},
		{"another report", func(t *testing.T, dir string) { write(t, dir+"/junit.xml", "x") }, ""},
		{"a target's output", func(t *testing.T, dir string) { write(t, dir+"/targets/a.log", "x") }, ""},
		{"a record", func(t *testing.T, dir string) { write(t, dir+"/evidence/front.csv", "id\n2\n") }, "evidence/front.csv is not what"},
		{"the claims", func(t *testing.T, dir string) { write(t, dir+"/experiment.yaml", "y") }, "experiment.yaml is not what"},
		{"a file less", func(t *testing.T, dir string) { _ = os.Remove(dir + "/evidence/link-a.csv") }, "link-a.csv is gone"},
		{"a file more", func(t *testing.T, dir string) { write(t, dir+"/evidence/link-b.csv", "") }, "link-b.csv has come since"},
		{"a link to a file of it", func(t *testing.T, dir string) {
			write(t, dir+"/targets/front.csv", "id\n1\n")
			_ = errors.Join(os.Remove(dir+"/evidence/front.csv"), os.Symlink("../targets/front.csv", dir+"/evidence/front.csv"))
		}, "front.csv is no regular file"},
		{"a FIFO in its place", func(t *testing.T, dir string) {
			_ = errors.Join(os.Remove(dir+"/evidence/front.csv"), syscall.Mkfifo(dir+"/evidence/front.csv", 0o600))
		}, "front.csv is no regular file"},
		{"a chapter more that is a link", func(t *testing.T, dir string) {
			write(t, dir+"/targets/c/timeline.jsonl", "{}\n")
			_ = errors.Join(os.Mkdir(dir+"/chapters", 0o755), os.Symlink("../targets/c", dir+"/chapters/000001"))
		}, "chapters/000001 is no regular file"},
		{"all chapters are a link", func(t *testing.T, dir string) {
			write(t, dir+"/targets/c/000001/timeline.jsonl", "{}\n")
			_ = os.Symlink("targets/c", dir+"/chapters")
		}, "chapters is no regular file"},
		{"a link beside them", func(t *testing.T, dir string) { _ = os.Symlink("targets", dir+"/targets/more") }, ""},
		{"two exchanged", func(t *testing.T, dir string) {
			write(t, dir+"/evidence/front.csv", "seq\n1\n")
			write(t, dir+"/evidence/link-a.csv", "id\n1\n")
		}, "link-a.csv is not what"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir+"/experiment.yaml", "x")
			write(t, dir+"/timeline.jsonl", "{}\n")
			write(t, dir+"/front.hlog", "#\n")
			write(t, dir+"/evidence/front.csv", "id\n1\n")
			write(t, dir+"/evidence/link-a.csv", "seq\n1\n")
			write(t, dir+"/targets/a.log", "")
			chain, err := seal(dir)
			if err != nil || len(chain) != 5 {
				t.Fatalf("%v, %v", chain, err)
			}
			c.change(t, dir)
			err = verifyChain(dir, chain)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if c.want != "" && strings.Count(err.Error(), "\n") > 1 {
				t.Errorf("more is named than was changed: %v", err)
			}
		})
	}
	if err := verifyChain(t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "no chain") {
		t.Errorf("without one: %v", err)
	}
}
