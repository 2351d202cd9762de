package main

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The map has each package once, and each imports only what stands below it.
func TestMapIsTheCode(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	var rooms []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		rooms = append(rooms, row[1])
	}
	const module = "github.com/stormctl/stormctl/"
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		name := strings.TrimPrefix(words[0], module)
		at := slices.Index(rooms, name)
		if seen[name] = true; at < 0 {
			t.Errorf("the map lacks %s", name)
		}
		for _, imported := range words[1:] {
			own, ok := strings.CutPrefix(imported, module)
			if ok && slices.Index(rooms, own) < at {
				t.Errorf("%s imports %s, which stands above it on the map", name, own)
			}
		}
	}
	for i, room := range rooms {
		if !seen[room] {
			t.Errorf("the map has %s, which is no package", room)
		}
		if slices.Index(rooms, room) < i {
			t.Errorf("the map has %s twice", room)
		}
	}
}

// The pages for who works on the code name files from the root of the repository,
// and those are there.
func TestMapNamesFilesThatExist(t *testing.T) {
	named := regexp.MustCompile("`([\\w./-]+\\.go)`")
	for _, page := range []string{"docs/architecture.md", "docs/adding-a-fault.md", "CONTRIBUTING.md"} {
		text, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		files := named.FindAllStringSubmatch(string(text), -1)
		for _, file := range files {
			if !strings.Contains(file[1], "/") {
				if page != "docs/adding-a-fault.md" {
					t.Errorf("%s names %s without its folder", page, file[1])
				}
				continue // the folder stands before it in the sentence
			}
			if strings.Contains(file[1], "NAME") || strings.Contains(file[1], "VERB") {
				continue
			}
			if _, err := os.Stat("../../" + file[1]); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
		if len(files) < 5 {
			t.Errorf("%s: %d files found; the search is broken", page, len(files))
		}
	}
}
