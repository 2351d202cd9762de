package api

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNodeClient uses toxiproxy's client for Node.js, as npm has it.
func TestNodeClient(t *testing.T) {
	npm, err := exec.LookPath("npm")
	switch {
	case testing.Short():
		t.Skip("installs a package")
	case err != nil && os.Getenv("CI") == "":
		t.Skipf("%v: see make deps", err)
	case err != nil:
		t.Fatal(err)
	}
	folder := t.TempDir()
	install := exec.Command(npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, "toxiproxy-node-client@4.1.0")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", install, err, out)
	}
	s := New(Config{})
	defer s.Close()
	server := httptest.NewServer(s)
	defer server.Close()
	node := exec.Command("node", "testdata/client.js", server.URL)
	node.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(folder, "node_modules"))
	out, err := node.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "every call answered") {
		t.Errorf("%v\n%s", err, out)
	}
}
