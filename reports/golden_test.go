package reports

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files from what the code does now")

// golden compares got with testdata/NAME, or writes it there with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test ./reports -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestGolden(t *testing.T) {
	all := fixtures()
	all["markup"] = markupRun()
	for name, r := range all {
		for _, format := range Formats() {
			if format == "text" && name == "markup" {
				continue // a terminal makes nothing of it
			}
			if format == "comment" {
				continue // it is markdown, but for its length: see TestMarkdownFits
			}
			if format == "html" {
				continue // of which most is the same in all: TestHTMLOfEachResult reads what is not
			}
			if format == "json" && name == "hostile" {
				continue // JSON has no bytes that are not UTF-8; TestReadWritten covers what it has
			}
			t.Run(name+"/"+format, func(t *testing.T) {
				var out bytes.Buffer
				if err := Render(&out, format, r); err != nil {
					t.Fatal(err)
				}
				golden(t, name+"."+format, out.Bytes())
			})
		}
	}
}
