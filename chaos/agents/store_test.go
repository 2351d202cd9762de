package agents

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What a run that was killed left of its broker is removed as the next one starts, and
// nothing else is.
func TestStoreOfAKilledRunIsRemoved(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	held, remove, err := NewStore()
	if err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	mustBe := map[string]bool{held: true}
	for name, stays := range map[string]bool{storePrefix + "left": false, storePrefix + "young": true, "other": true} {
		dir := filepath.Join(temp, name)
		if err := os.MkdirAll(filepath.Join(dir, "jetstream", "deep"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, storeLock), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if name != storePrefix+"young" {
			if err := os.Chtimes(dir, long, long); err != nil {
				t.Fatal(err)
			}
		}
		mustBe[dir] = stays
	}
	if err := os.Chtimes(held, long, long); err != nil {
		t.Fatal(err)
	}
	next, removeNext, err := NewStore()
	if err != nil {
		t.Fatal(err)
	}
	mustBe[next] = true
	for dir, stays := range mustBe {
		if _, err := os.Stat(dir); (err == nil) != stays {
			t.Errorf("%s: %v, and it is to stay: %v", filepath.Base(dir), err, stays)
		}
	}
	if err := removeNext(); err != nil {
		t.Error(err)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(held); err == nil {
		t.Error("it is still there")
	}
}
