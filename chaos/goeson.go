//go:build unix

package chaos

import (
	"os"
	"path/filepath"

	"github.com/stormctl/stormctl/chaos/lease"
)

// goesOn reports whether the run of dir is alive, by the journal that each run
// keeps locked while it is. One of another user, or with another folder of
// journals, is not found.
func goesOn(dir string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	folders, _ := lease.StateDirs() // without them there is no run to be found
	for _, folder := range folders {
		runs, _ := lease.Runs(folder) // those that can be read
		for _, r := range runs {
			if sameFile(r.Dir, dir) {
				return true
			}
		}
	}
	return false
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}
