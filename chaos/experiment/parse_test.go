package experiment

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what is told now into testdata/broken; read the difference before it is kept")

// references stands in for package targets/reference, which is not known here.
var references = Options{
	References: []string{"frontend", "dependency"},
	Reference: func(name string, with map[string]string) error {
		var errs []error
		for _, key := range []string{"breaker", "flaw", "service_time", "burst"} {
			if value, ok := with[key]; ok && value == "bad" {
				errs = append(errs, fmt.Errorf("%s: %s is bad", name, key))
			}
		}
		if with["burst"] != "" && with["breaker"] == "" {
			errs = append(errs, fmt.Errorf("%s has nothing to burst", name))
		}
		return errors.Join(errs...)
	},
}

// brokenCase is an entry of testdata/broken: the flags and the file, a line
// ----, and exactly what must be told about them.
//
//	$ --set load.rate=1k/s
//	name: x
//	----
//	1:1: targets: is missing: add targets: {...}
type brokenCase struct {
	group, name string
	set         []string
	yaml        []byte
	want        string
}

func casesOf(t testing.TB, file string) []brokenCase {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return readCases(t, file, archive)
}

func readCases(t testing.TB, group string, archive *txtar.Archive) []brokenCase {
	var cases []brokenCase
	for _, f := range archive.Files {
		c := brokenCase{group: group, name: f.Name}
		text, want, ok := bytes.Cut(f.Data, []byte("----\n"))
		if !ok {
			t.Fatalf("%s: %s has no ---- line", group, f.Name)
		}
		for bytes.HasPrefix(text, []byte("$ --set ")) {
			flag, rest, _ := bytes.Cut(text, []byte("\n"))
			c.set = append(c.set, string(flag[len("$ --set "):]))
			text = rest
		}
		c.yaml, c.want = text, string(want)
		cases = append(cases, c)
	}
	return cases
}

// told is what Parse says of a case, without the name of the file.
func (c brokenCase) told() string {
	opts := references
	opts.Set = c.set
	_, err := Parse("FILE", c.yaml, opts)
	if err == nil {
		return "nothing\n"
	}
	var all strings.Builder
	for line := range strings.Lines(err.Error() + "\n") {
		all.WriteString(strings.TrimPrefix(line, "FILE:"))
	}
	return all.String()
}

func TestBrokenFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata/broken: %v", err)
	}
	cases := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		group := strings.TrimSuffix(filepath.Base(file), ".txtar")
		for i, c := range readCases(t, group, archive) {
			cases++
			got := c.told()
			if *update {
				text, _, _ := bytes.Cut(archive.Files[i].Data, []byte("----\n"))
				archive.Files[i].Data = slices.Concat(text, []byte("----\n"+got))
				continue
			}
			t.Run(group+"/"+c.name, func(t *testing.T) {
				if c.want == "" || got == "nothing\n" {
					t.Fatalf("a broken file must be told as one; got %s", got)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
		if *update {
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if cases < 100 {
		t.Errorf("%d broken files, want at least 100", cases)
	}
}
