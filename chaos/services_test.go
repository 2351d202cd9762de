package chaos

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment"
)

func TestTargetsStartBeforeTheirCallers(t *testing.T) {
	link := func(from, to string) *experiment.Link { return &experiment.Link{From: from, To: to} }
	for _, c := range []struct {
		name  string
		links map[string]*experiment.Link
		want  []string
	}{
		{"a chain", map[string]*experiment.Link{"x": link("a", "b"), "y": link("b", "c")}, []string{"c", "b", "a"}},
		{"two callers of one", map[string]*experiment.Link{"x": link("a", "c"), "y": link("b", "c")}, []string{"c", "a", "b"}},
		{"a cycle", map[string]*experiment.Link{"x": link("a", "b"), "y": link("b", "a"), "z": link("b", "c")}, []string{"c", "b", "a"}},
		{"no links", nil, []string{"a", "b", "c"}},
	} {
		x := &experiment.Experiment{Targets: map[string]*experiment.Target{"a": {}, "b": {}, "c": {}}, Links: c.links}
		if got := (&services{x: x}).order(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestFilesStayUnderTheirFolder(t *testing.T) {
	dir := t.TempDir()
	if err := writeUnder(dir, "conf/nginx.conf", "x"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "conf", "nginx.conf")); err != nil || string(got) != "x" {
		t.Errorf("read %q, %v", got, err)
	}
	for _, name := range []string{"../x", "/etc/x", "a/../../x", ""} {
		if err := writeUnder(dir, name, "x"); err == nil {
			t.Errorf("%q was written", name)
		}
	}
}

func TestRunDirectoriesAreNotShared(t *testing.T) {
	t.Chdir(t.TempDir())
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, want := range []string{"runs/x-20261101-120000", "runs/x-20261101-120000-2"} {
		if got, err := makeRunDir("", "x", now); err != nil || got != filepath.FromSlash(want) {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	if _, err := makeRunDir("runs", "x", now); err == nil {
		t.Error("a directory that holds something was taken")
	}
	if got, err := makeRunDir("new/deep", "x", now); err != nil || got != "new/deep" {
		t.Errorf("got %s, %v", got, err)
	}
	if err := writeNew("new/deep/f", nil); err != nil {
		t.Error(err)
	}
	if err := writeNew("new/deep/f", nil); err == nil {
		t.Error("a file of another run was overwritten")
	}
}
