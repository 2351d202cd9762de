package lease

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Hosts of targets and a partition between them are undone side by side: what was in a
// network namespace whose name goes away while it is looked for is undone with it, and
// what is in one that stays is not.
func TestWhatGoesWithItsNetworkNamespaceIsUndone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root names network namespaces")
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, goes := range []bool{true, false} {
		name := "sct-p-" + strings.ToLower(rand.Text()[:8])
		path := filepath.Join("/run/netns", name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(path)
		dir := t.TempDir()
		remove := ""
		if goes {
			remove = "rm " + path
		}
		for _, tool := range []string{"ip", "tc"} { // what they say of one that is gone
			script := fmt.Sprintf("#!/bin/sh\nPATH=%s\n%s\necho 'Cannot open network namespace' >&2\nexit 255\n", os.Getenv("PATH"), remove)
			if err := os.WriteFile(filepath.Join(dir, tool), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(fmt.Sprintf("goes %v", goes), func(t *testing.T) {
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			if err := deleteTable(t.Context(), name, "stormctl_x"); (err == nil) != goes {
				t.Errorf("table: %v", err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := deleteQdisc(t.Context(), name, "eth0", "5c01:"); (err == nil) != goes {
				t.Errorf("queueing discipline: %v", err)
			}
		})
	}
}
