package experiment

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A socket beside the experiment file may be gone to, and one that a link beside it leads
// to only by a word of its own: whoever made the folder made the link.
func TestSocketsBehindLinks(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	err := errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o700), os.WriteFile(filepath.Join(out, "docker.sock"), nil, 0o600),
		os.Symlink(filepath.Join(out, "docker.sock"), filepath.Join(dir, "link.sock")), os.Symlink(out, filepath.Join(dir, "out")),
		os.Symlink(filepath.Join(out, "none.sock"), filepath.Join(dir, "later.sock")))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		socket, limits string
		allowed        bool
	}{
		{"app.sock", "", true}, {"sub/app.sock", "", true}, {"./sub/../app.sock", "", true},
		{"link.sock", "", false}, {"out/docker.sock", "", false}, {"later.sock", "", false}, {"out/../link.sock", "", false},
		{"link.sock", "limits: {sockets: [link.sock]}\n", true},
	} {
		_, err := Parse(filepath.Join(dir, "x.yaml"), fmt.Appendf(nil, "name: x\ntargets: {app: {url: 'unix:%s'}}\n%s"+
			"load: {rate: 1/s, duration: 1s, routes: [{name: r, to: app, get: /}]}\nclaims: [{steady: {success: 99%%}}]\n",
			row.socket, row.limits), Options{})
		if row.allowed && err != nil || !row.allowed && (err == nil || !strings.Contains(err.Error(), "outside limits.sockets")) {
			t.Errorf("%s, %s: %v", row.socket, row.limits, err)
		}
	}
}
