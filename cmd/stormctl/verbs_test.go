package main

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// What cannot be done on Windows is refused there by its name, and not unknown.
func TestVerbsOfWindows(t *testing.T) {
	text, err := os.ReadFile("verbs_windows.go")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`\[\]string\{(.*?)\}`).FindSubmatch(text)
	if list == nil {
		t.Fatal("verbs_windows.go lists no verbs")
	}
	var refused, done []string
	for _, name := range regexp.MustCompile(`"(\w+)"`).FindAllSubmatch(list[1], -1) {
		refused = append(refused, string(name[1]))
	}
	for _, verb := range doingVerbs() {
		done = append(done, verb.Name())
	}
	slices.Sort(refused)
	slices.Sort(done)
	if !slices.Equal(refused, done) {
		t.Errorf("Windows refuses %v, and what is done elsewhere is %v", refused, done)
	}
}
