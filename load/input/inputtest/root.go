// Package inputtest opens folders for tests of what is read and written in them.
package inputtest

import (
	"os"
	"testing"
)

// Root is a folder that is open until the test is over.
func Root(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}
