package main

import (
	"os"
	"path/filepath"
)

// fromRepository is a file as pipelines name it: from the root of the repository
// that it is in, wherever the command runs, with slashes. One that is in none is as
// it was given.
func fromRepository(file string) string {
	path, err := filepath.Abs(file)
	if err != nil {
		return filepath.ToSlash(file)
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil { // a folder, or the file of a work tree
			if inside, err := filepath.Rel(dir, path); err == nil {
				return filepath.ToSlash(inside)
			}
		}
		if dir == filepath.Dir(dir) {
			return filepath.ToSlash(file)
		}
	}
}
