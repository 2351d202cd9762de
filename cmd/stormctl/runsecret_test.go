package main

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// A token reaches the target by a header, and nothing that a run leaves behind
// has it: not even where a target prints what it was given.
func TestTokensStayOutOfWhatARunKeeps(t *testing.T) {
	const token = "s3cr3t-t0ken"
	t.Setenv("STORM_TEST_TOKEN", token)
	var right, wrong atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer "+token {
			right.Add(1)
		} else {
			wrong.Add(1)
		}
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "x.yaml")
	text := `name: secret
targets:
  web: {url: "` + server.URL + `"}
  loud:
    process:
      command: [sh, -c, 'stormctl target dependency --listen ${addr} & sleep 1.5; echo "no use for ${env.STORM_TEST_TOKEN}"; exit 7']
      files: {conf: "token=${env.STORM_TEST_TOKEN}"}
load: {rate: 50/s, duration: 3s, routes: [{name: pay, to: web, get: /, headers: {Authorization: "Bearer ${env.STORM_TEST_TOKEN}"}}]}
claims: [{steady: {success: 99%}}]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	var stdout, stderr bytes.Buffer
	code := execute([]string{"run", file, "--out", out, "--report", "junit,text"}, &stdout, &stderr)
	if right.Load() == 0 || wrong.Load() != 0 {
		t.Errorf("exit %d: %d requests bore the token, %d did not; %s", code, right.Load(), wrong.Load(), stderr.String())
	}
	if printed := stdout.String() + stderr.String(); strings.Contains(printed, token) {
		t.Errorf("it is printed:\n%s", printed)
	}
	told := false
	err := filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[d.IsDir()]; info.Mode().Perm() != want {
			t.Errorf("%s is %v, want %v", path, info.Mode().Perm(), want)
		}
		name, _ := filepath.Rel(out, path)
		if d.IsDir() || name == "targets/loud.log" || name == "targets/loud/conf" { // the target's own
			return nil
		}
		kept, err := os.ReadFile(path)
		if bytes.Contains(kept, []byte(token)) {
			t.Errorf("%s has it", name)
		}
		told = told || bytes.Contains(kept, []byte("no use for ${env.STORM_TEST_TOKEN}"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !told {
		t.Error("what the target printed at its end is nowhere: the test shows nothing of it")
	}
}
