package experiment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/load/wire"
)

const secretive = `name: x
targets:
  web: {url: "http://127.0.0.1:8080"}
  own: {process: {command: [./own, "${env.STORM_ARG}"], env: {K: "${env.STORM_K}"}, files: {f: "a ${env.STORM_FILE} b"}}}
load:
  rate: 1/s
  duration: 3s
  routes:
    - name: pay
      to: web
      get: /
      headers: {Authorization: "Bearer ${env.STORM_TOKEN}", X-Id: "${id}$${env.STORM_TOKEN}"}
      then: [{name: next, get: /2, headers: {X: "${env.STORM_TOKEN}-${env.STORM_SHORT}"}}]
claims: [{steady: {success: 99%}}]
`

func TestHeadersFromTheEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(file, []byte(secretive), 0o600); err != nil {
		t.Fatal(err)
	}
	x, err := ReadFile(file, Options{Here: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.ReadInputs(); err == nil || err.Error() != "route pay: header Authorization: the environment has no STORM_TOKEN" {
		t.Errorf("without it: %v", err)
	}
	for key, value := range map[string]string{"STORM_TOKEN": "s3cr3t ${id}", "STORM_SHORT": "8080", "STORM_ARG": "argument", "STORM_K": "keykey", "STORM_FILE": "s3cr3t ${id} too"} {
		t.Setenv(key, value)
	}
	in, err := x.ReadInputs()
	if err != nil {
		t.Fatal(err)
	}
	route := x.Load.Routes[0]
	want := [][2]string{{"Authorization", "Bearer s3cr3t $${id}"}, {"X-Id", "${id}$${env.STORM_TOKEN}"}}
	if diff := cmp.Diff(want, in.Headers(route.Request)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := wire.Encode("GET", "/", "a", in.Headers(route.Request), nil, "", wire.Fill{}); err != nil {
		t.Errorf("they cannot be sent: %v", err)
	}
	if diff := cmp.Diff([][2]string{{"X", "s3cr3t $${id}-8080"}}, in.Headers(route.Then[0].Request)); diff != "" {
		t.Errorf("of a step, -want +got:\n%s", diff)
	}
	text, err := Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "s3cr3t") || !strings.Contains(string(text), "Bearer ${env.STORM_TOKEN}") {
		t.Errorf("what a run keeps of it:\n%s", text)
	}
	for said, want := range map[string]string{
		"got s3cr3t ${id} on 8080":  "got ${env.STORM_TOKEN} on 8080",
		"s3cr3t ${id} too":          "${env.STORM_FILE}", // the longer one, whole
		"argument keykey and s3cr3": "${env.STORM_ARG} ${env.STORM_K} and s3cr3",
	} {
		if got := in.Mask(said); got != want {
			t.Errorf("%q is masked as %q, want %q", said, got, want)
		}
	}
	err = in.MaskError(&fs.PathError{Op: "open", Path: "argument", Err: fs.ErrNotExist})
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != "open ${env.STORM_ARG}: file does not exist" {
		t.Errorf("an error is masked as %v", err)
	}
	if in.MaskError(nil) != nil {
		t.Error("no error has become one")
	}

	t.Setenv("STORM_TOKEN", "from a file\n")
	_, err = x.ReadInputs()
	if err == nil || !strings.Contains(err.Error(), "STORM_TOKEN of the environment has a control character") || strings.Contains(err.Error(), "from") {
		t.Errorf("of a value with a line's end: %v", err)
	}
}

func TestEnvironmentIsForHeadersAlone(t *testing.T) {
	for _, row := range []struct{ old, new, want string }{
		{"get: /\n", "get: \"/${env.A}\"\n", "11:14: get: unknown variable ${env.A}: ${env.NAME} is replaced in headers of routes"},
		{"get: /\n", "post: /\n      body: \"${env.A}\"\n", "body: unknown variable ${env.A}: ${env.NAME} is replaced in headers of routes"},
		{"${env.STORM_TOKEN}\"", "${env.}\"", "unknown variable ${env.}"},
		{"${env.STORM_TOKEN}\"", "${env.A=B}\"", "unknown variable ${env.A=B}"},
		{"${env.STORM_TOKEN}\"", "${env.A\"", "is not closed"},
	} {
		text := strings.Replace(secretive, row.old, row.new, 1)
		if text == secretive {
			t.Fatalf("nothing is %q", row.old)
		}
		if _, err := Parse("x", []byte(text), Options{}); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %s", row.new, err, row.want)
		}
	}
}
