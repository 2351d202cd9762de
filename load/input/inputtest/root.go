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

// File is a file to write, which must not exist. Who gets it closes it.
func File(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
