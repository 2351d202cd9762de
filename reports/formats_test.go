package reports

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/result"
)

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestWriteMakesAFilePerFormat(t *testing.T) {
	dir, r := t.TempDir(), fixtures()["refuted"]
	if err := Write(dir, append(Formats(), "json"), r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"annotations.txt", "comment.md", "gl-code-quality-report.json", "junit.xml", "metrics.txt", "report.html",
		"result.json", "series.csv", "summary.md", "summary.txt"}, files(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for _, format := range Formats() {
		file := filepath.Join(dir, File(format))
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := Render(&want, format, r); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.String(), string(got)); diff != "" {
			t.Errorf("%s (-rendered +written):\n%s", file, diff)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want a file for its owner alone", file, info.Mode(), err)
		}
	}
}

func TestWriteRefusesAnUnknownFormatBeforeItWrites(t *testing.T) {
	dir := t.TempDir()
	err := Write(dir, []string{"json", "jnuit"}, fixtures()["held"])
	if want := `unknown report format "jnuit": it is one of ` + strings.Join(Formats(), ", "); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if got := files(t, dir); got != nil {
		t.Errorf("left %v", got)
	}
}

// A report that cannot be made leaves the old one, no torn one, and does not
// keep the others from being written.
func TestWriteKeepsTheOldFileWhenItFails(t *testing.T) {
	dir, r := t.TempDir(), fixtures()["held"]
	if err := Write(dir, []string{"json"}, r); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	r.Routes[0].Success = math.NaN() // JSON has no such number
	if err := Write(dir, []string{"json", "junit"}, r); err == nil || !strings.Contains(err.Error(), "result.json") {
		t.Fatalf("got %v, want an error about result.json", err)
	}
	after, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("result.json changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"junit.xml", "result.json"}, files(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// A report is in the folder that was there when it was begun, and a link in its place is
// replaced, not followed.
func TestWriteFollowsNoLink(t *testing.T) {
	dir, theirs := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "theirs")
	err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(theirs, []byte("theirs"), 0o600), os.Symlink(theirs, filepath.Join(dir, File("html"))))
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, []string{"html"}, fixtures()["refuted"]); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(theirs); err != nil || string(text) != "theirs" {
		t.Errorf("what the link led to is %q, %v", text, err)
	}
	if info, err := os.Lstat(filepath.Join(dir, File("html"))); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the report is %v, %v", info, err)
	}
	other := t.TempDir()
	err = replace(filepath.Join(dir, "x"), func(w io.Writer) error {
		_, err := io.WriteString(w, "x")
		return errors.Join(err, os.Rename(dir, dir+".old"), os.Symlink(other, dir))
	})
	if text, readErr := os.ReadFile(filepath.Join(dir+".old", "x")); err != nil || readErr != nil || string(text) != "x" {
		t.Errorf("in the folder that was there is %q: %v, %v", text, err, readErr)
	}
	if there := files(t, other); len(there) > 0 {
		t.Errorf("in the folder that took its place: %v", there)
	}
}

func TestWriteNamesTheFolderThatIsNotThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	err := Write(dir, []string{"json"}, fixtures()["held"])
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want not-exist and the folder's name", err)
	}
}

func TestReadWritten(t *testing.T) {
	for name, want := range fixtures() {
		if name == "hostile" {
			continue // bytes that are not UTF-8 do not survive JSON
		}
		dir := t.TempDir()
		if err := Write(dir, []string{"json"}, want); err != nil {
			t.Fatal(err)
		}
		got, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		// Written again it is the same: nothing got lost on the way.
		want.Dir = dir
		var a, b bytes.Buffer
		if err := errors.Join(JSON(&a, want), JSON(&b, got), Text(&a, want, TextOptions{}), Text(&b, got, TextOptions{})); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a.String(), b.String()); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	write := func(content string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "result.json"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for _, c := range []struct {
		name, dir string
		is        error
		says      string
	}{
		{"a killed run", t.TempDir(), ErrNoResult, "no result.json"},
		{"no folder", filepath.Join(t.TempDir(), "gone"), os.ErrNotExist, "gone"},
		{"half a file", write(`{"schema": 1, "na`), nil, "unexpected end of JSON"},
		{"a later schema", write(`{"schema": 99}`), nil, "its schema is 99, this version reads 1"},
		{"another ruling", write(`{"schema": 1, "ruling": "maybe"}`), nil, `unknown ruling "maybe"`},
	} {
		r, err := Read(c.dir)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, %v, want an error that says %q", c.name, r, err, c.says)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "gone")); errors.Is(err, ErrNoResult) {
		t.Error("a folder that is not there is taken for a killed run")
	}
}

// An experiment may ask for each format.
func TestExperimentsNameEveryFormat(t *testing.T) {
	const text = `name: x
targets: {web: {url: "http://127.0.0.1:8080"}}
load: {rate: 10/s, duration: 10s, routes: [{name: buy, to: web, get: /buy}]}
claims: [{steady: {success: 99%}}]
reports: `
	for _, f := range Formats() {
		if _, err := experiment.Parse("x.yaml", []byte(text+"["+f+"]"), experiment.Options{}); err != nil {
			t.Error(err)
		}
	}
	_, err := experiment.Parse("x.yaml", []byte(text+"[pdf]"), experiment.Options{})
	if want := "reports are " + strings.Join(Formats(), ", "); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want an error that ends in %s", err, want)
	}
}

func TestEveryFormatHasAFile(t *testing.T) {
	for _, f := range LoadFormats() {
		if LoadFile(f) == "" || CheckLoad(f) != nil {
			t.Errorf("%s of a load has no file, or is not known", f)
		}
	}
	if err := ofLoads.render(&bytes.Buffer{}, "pdf", &Load{}, Options{}); err == nil {
		t.Error("rendered a load in a format that is not there")
	}
	for _, f := range Formats() {
		if File(f) == "" {
			t.Errorf("%s has no file", f)
		}
		if err := Check(f); err != nil {
			t.Error(err)
		}
	}
	if err := Render(&bytes.Buffer{}, "pdf", &result.Result{}); err == nil {
		t.Error("rendered a format that is not there")
	}
}
