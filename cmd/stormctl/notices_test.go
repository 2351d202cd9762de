package main

import (
	"os"
	"os/exec"
	"testing"
)

// What is linked in is named with its licence, as most of them ask for.
func TestThirdPartyIsWhatIsLinkedIn(t *testing.T) {
	now, err := exec.Command("../../.ci/notices").Output()
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := os.ReadFile("../../THIRD-PARTY")
	if err != nil {
		t.Fatal(err)
	}
	if string(now) != string(shipped) {
		t.Error("THIRD-PARTY is not what is linked in: run make notices")
	}
}
