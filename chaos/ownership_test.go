package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/chapters"
	"github.com/stormctl/stormctl/chaos/evidence"
)

// A soak is gone on with only in a directory that nobody else could have changed: its
// experiment says what is started, and a link in it where is written.
func TestResumeTrustsNoDirectory(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "profile")
	for name, c := range map[string]struct {
		plant func(dir string) error
		says  string
	}{
		"a link in the place of the segments": {func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, evidence.SegmentsFolder)), os.Symlink(filepath.Dir(victim), filepath.Join(dir, evidence.SegmentsFolder)))
		}, "segments in run directory"},
		"a link where a file is written anew": {func(dir string) error {
			return os.Symlink(victim, filepath.Join(dir, evidence.SegmentName(0, evidence.TicksSuffix)+".new"))
		}, "no regular file"},
		"a link in a chapter": {func(dir string) error {
			return os.Symlink(victim, filepath.Join(dir, chapters.Folder, "000001", "evidence", "front.csv.gz.new"))
		}, "no regular file"},
		"open to others": {func(dir string) error { return os.Chmod(dir, 0o777) }, "can be changed by other users"},
		"as it was":      {func(string) error { return nil }, ""},
		"a link of a target's": {func(dir string) error {
			return os.Symlink("/dev/null", filepath.Join(dir, "targets", "x"))
		}, ""},
	} {
		dir := t.TempDir()
		if err := errors.Join(os.Chmod(dir, 0o700), subdirs(dir), os.WriteFile(victim, []byte("mine\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		a, _ := newAtSpeed(t, dir)
		a.until(*soakChapter / 10) // and nothing is closed: it was killed
		if err := c.plant(dir); err != nil {
			t.Fatal(err)
		}
		err := refuseForeign(dir)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if c.says != "" {
			if _, err := Resume(t.Context(), dir, nil, Options{}); err == nil { // what it reads before may refuse it first
				t.Errorf("%s: resumed: %v", name, err)
			}
		}
		if text, err := os.ReadFile(victim); err != nil || string(text) != "mine\n" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}
