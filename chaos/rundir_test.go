package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/result"
)

// What could not start makes room for the next attempt; a run does not, and
// neither does what somebody put beside it.
func TestFailedStartMakesRoom(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files []string // beside what makeRunDir makes
		taken bool
	}{
		{"it could not start", []string{ExperimentFile, "targets/web.log", "tls/ca.pem", notStartedFile}, true},
		{"its recorder could not", []string{ExperimentFile, "timeline.jsonl", "evidence/front.csv", routeLog, linkLog("a"), notStartedFile}, true},
		{"it was killed while it started", []string{ExperimentFile, "targets/web.log"}, false},
		{"it ran", []string{ExperimentFile, "timeline.jsonl", result.File}, false},
		{"there is something else", []string{ExperimentFile, notStartedFile, "thesis.doc"}, false},
		{"there are the histograms of something else", []string{ExperimentFile, notStartedFile, "load.hlog"}, false},
	} {
		dir := t.TempDir()
		if err := subdirs(dir); err != nil {
			t.Fatal(err)
		}
		for _, name := range tt.files {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		_, err := makeRunDir(dir, "x", time.Now())
		if (err == nil) != tt.taken {
			t.Errorf("%s: %v, want it taken: %v", tt.name, err, tt.taken)
		}
		for _, name := range tt.files {
			if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) == tt.taken {
				t.Errorf("%s: %s: %v", tt.name, name, err)
			}
		}
	}
}

// Who asks for a ruling on a run that has none is told what happened.
func TestJudgeTellsWhatHasNotBegun(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"killed", map[string]string{ExperimentFile: "name: x"}, "it was killed before its targets were ready"},
		{"failed", map[string]string{ExperimentFile: "name: x", notStartedFile: "no such program\n"}, "could not start, and there is nothing to rule on: no such program"},
		{"something else", map[string]string{"a": ""}, "is not a run directory"},
	} {
		dir := t.TempDir()
		for name, text := range tt.files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Judge(dir); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
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
	root, err := os.OpenRoot("new/deep")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := writeNew(root, "f", nil); err != nil {
		t.Error(err)
	}
	if err := writeNew(root, "f", nil); err == nil {
		t.Error("a file of another run was overwritten")
	}
}

// What root writes goes nowhere that another user chooses.
func TestRunDirThatOthersMayChange(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root to give a folder away")
	}
	t.Setenv("SUDO_UID", "65533")
	for _, c := range []struct {
		name    string
		uid     int
		mode    os.FileMode
		refused bool
	}{
		{"root's", 0, 0o755, false},
		{"open to all and sticky", 0, 0o777 | os.ModeSticky, false},
		{"of who became root by sudo", 65533, 0o755, false},
		{"open to all", 0, 0o777, true},
		{"open to a group", 0, 0o775, true},
		{"of another user", 65534, 0o700, true},
	} {
		for _, above := range []string{"", "deeper"} {
			folder := filepath.Join(t.TempDir(), "folder")
			if err := errors.Join(os.Mkdir(folder, 0o700), os.Chown(folder, c.uid, -1), os.Chmod(folder, c.mode)); err != nil {
				t.Fatal(err)
			}
			_, err := makeRunDir(filepath.Join(folder, above, "run"), "x", time.Now())
			if (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "--out") {
				t.Errorf("%s, %q below it: %v", c.name, above, err)
			}
		}
	}
}

// A link of another user's leads root nowhere, in a sticky folder either: it may lead
// elsewhere once reports are written.
func TestRunDirBehindOthersLink(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root to give a link away")
	}
	sticky, roots := filepath.Join(t.TempDir(), "sticky"), t.TempDir()
	link := filepath.Join(sticky, "link")
	if err := errors.Join(os.Mkdir(sticky, 0o700), os.Chmod(sticky, 0o777|os.ModeSticky), os.Symlink(roots, link)); err != nil {
		t.Fatal(err)
	}
	if _, err := makeRunDir(filepath.Join(link, "own"), "x", time.Now()); err != nil {
		t.Errorf("behind root's own link: %v", err)
	}
	if err := os.Lchown(link, 65533, 65533); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{link, filepath.Join(link, "run"), filepath.Join(link, "a", "b")} {
		if _, err := makeRunDir(out, "x", time.Now()); err == nil || !strings.Contains(err.Error(), "another user may change") {
			t.Errorf("%s: %v", out, err)
		}
	}
	if there, _ := os.ReadDir(roots); len(there) != 1 {
		t.Errorf("made behind it: %v", there)
	}
}
