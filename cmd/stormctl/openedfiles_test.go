package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What opens files by itself, not by package input, opens what no user has
// named: what the run made for itself, what the kernel tells, what it writes to.
// Everything else is a way in for /dev/zero and for FIFOs.
var ownFiles = map[string]string{
	"chaos/agents/spool.go":            "writes what an agent hands over",
	"chaos/agents/store.go":            "locks the folder that it made for a broker",
	"chaos/evidence/csv.go":            "writes the run directory",
	"chaos/host/cgroup.go":             "/proc and /sys",
	"chaos/host/command.go":            "writes a target's output",
	"chaos/host/disk.go":               "writes what fills a disk",
	"chaos/host/memory.go":             "/proc",
	"chaos/lease/conflict.go":          "the folder of journals",
	"chaos/lease/heal.go":              "journals, which have their own rules",
	"chaos/lease/lock_portable.go":     "journals, to lock them",
	"chaos/lease/perform.go":           "/sys, and writes a target's output",
	"chaos/machine.go":                 "/proc",
	"cmd/stormctl/discover.go":         "writes the experiment that it makes",
	"cmd/stormctl/github.go":           "appends to the summary of a step",
	"cmd/stormctl/init.go":             "writes the file that it makes",
	"load/input/create.go":             "writes what a user names",
	"load/input/read.go":               "is what opens them",
	"load/input/inputtest/root.go":     "writes the files of tests",
	"targets/reference/journal.go":     "what a service keeps for itself",
	"reports/browsertest/browser.go":   "what a browser wrote",
	"targets/proc/cpu_linux.go":        "/proc",
	"targets/proc/proc_linux.go":       "/proc",
	"targets/proc/resources_linux.go":  "/proc",
	"targets/process.go":               "writes a target's output",
	"targets/supervise.go":             "/dev/null",
	"load/benchmarks/peers.go":         "what its peers wrote",
	"load/benchmarks/bench/process.go": "/proc",
}

func TestOnlyInputOpensUsersFiles(t *testing.T) {
	opens := regexp.MustCompile(`\bos\.(Open|OpenFile|ReadFile|DirFS|OpenInRoot)\(|\bos\.(Open|OpenFile|ReadFile)\b[^(]|\btls\.LoadX509KeyPair\(|\bioutil\.`)
	seen := map[string]bool{}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !opens.Match(text) {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), "../../")
		seen[name] = true
		if ownFiles[name] == "" {
			t.Errorf("%s opens a file by itself: read what a user names by package input, or say here why it need not be", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range ownFiles {
		if !seen[name] {
			t.Errorf("%s opens no file any more", name)
		}
	}
}
