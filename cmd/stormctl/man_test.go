package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra/doc"
)

var manDir = flag.String("man", "", "write the man pages into this folder")

// TestManPages makes a man page of each verb: make man keeps them.
func TestManPages(t *testing.T) {
	dir := *manDir
	if dir == "" {
		dir = t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	root := newRootCommand()
	root.DisableAutoGenTag = true
	epoch := time.Unix(0, 0) // a page does not say when it was made
	if err := doc.GenManTree(root, &doc.GenManHeader{Title: "STORMCTL", Section: "1", Source: "stormctl", Date: &epoch}, dir); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range root.Commands() {
		if cmd.Hidden || cmd.Name() == "help" {
			continue
		}
		page, err := os.ReadFile(filepath.Join(dir, "stormctl-"+cmd.Name()+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, section := range []string{".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS"} {
			if !strings.Contains(string(page), section) {
				t.Errorf("the page of %s lacks %s", cmd.Name(), section)
			}
		}
		if cmd.HasExample() && !strings.Contains(string(page), ".SH EXAMPLE") {
			t.Errorf("the page of %s lacks its example", cmd.Name())
		}
	}
}
