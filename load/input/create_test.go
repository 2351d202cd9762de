package input

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCreateFollowsOwnLinksOnly(t *testing.T) {
	dir := t.TempDir()
	precious, link := filepath.Join(dir, "precious"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(precious, []byte("x"), 0o600), os.Symlink(precious, link)); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // another's takes root to make
		if err := os.Lchown(link, 65533, 65533); err != nil {
			t.Fatal(err)
		}
		if f, err := Create(link); err == nil || !strings.Contains(err.Error(), "link of another user's") {
			f.Close()
			t.Errorf("a link of another user's: %v", err)
		}
		if text, err := os.ReadFile(precious); err != nil || string(text) != "x" {
			t.Errorf("what it leads to is %q, %v", text, err)
		}
		if err := os.Lchown(link, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{link, filepath.Join(dir, "new"), "/dev/stdout"} {
		f, err := Create(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f.Close()
	}
	if text, err := os.ReadFile(precious); err != nil || len(text) > 0 {
		t.Errorf("what our own link leads to is %q, %v", text, err)
	}
}
