package experiment

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
)

// What cannot stand in a text file of test cases.
func TestBrokenBytes(t *testing.T) {
	for _, row := range []struct {
		name, data, want string
	}{
		{"latin-1", "name: shop\nabout: caf\xe9\n", "x:2:11: byte 0xe9 is not UTF-8: save the file as UTF-8"},
		{"after other letters", "about: é\xff", "x:1:9: byte 0xff is not UTF-8: save the file as UTF-8"},
		{"nul", "name: a\x00b\n", "x:1:8: there is a NUL byte: a text has none: is this the right file?"},
		{"escape", "name: \x1b[1m\n", `x:1:7: control character U+001B is not allowed: in a text write it as an escape in double quotes, like "\x1b"`},
		{"escape behind a byte order mark", "\ufeffname: \x1b\r\n", `x:1:7: control character U+001B is not allowed: in a text write it as an escape in double quotes, like "\x1b"`},
		{"utf-16", "\xff\xfen\x00a\x00", "x:1:1: the file is UTF-16: save it as UTF-8"},
		{"utf-16 the other way", "\xfe\xff\x00n\x00a", "x:1:1: the file is UTF-16: save it as UTF-8"},
		{"only a byte order mark", "\ufeff", "x:1:1: the file is empty: an experiment has at least name, targets, load and claims"},
		{"too large", strings.Repeat("#", strict.MaxSize+1), "x:1:1: the file is larger than 1 MiB: an experiment is a few kilobytes; keep payloads and configuration elsewhere"},
		{"too deep", strings.Repeat("[", 20_000), "x:1:10001: "},
	} {
		_, err := Parse("x", []byte(row.data), Options{})
		if err == nil || !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s: got %v\nwant %s", row.name, err, row.want)
		}
	}
}

// A file of the largest size is read: what is wrong with it is something else.
func TestLargestFile(t *testing.T) {
	comment := "#" + strings.Repeat("x", strict.MaxSize-len(minimal)-2) + "\n"
	mustParse(t, comment+minimal)
}

// Aliases that stand for aliases multiply; a few bytes must not become a few
// gigabytes, nor one mistake thousands of errors.
func TestAliasesOfAliases(t *testing.T) {
	var text strings.Builder
	text.WriteString("name: laughs\nload:\n  routes:\n")
	text.WriteString("    - &r {name: r, to: t, get: /, headers: &h {")
	for i := range 900 {
		text.WriteString(strings.Repeat("h", 1+i%40) + string(rune('a'+i/40)) + ": x, ")
	}
	text.WriteString("}}\n" + strings.Repeat("    - *r\n", 900))
	_, err := Parse("x", []byte(text.String()), Options{})
	// The 12th alias, on line 15 + 1, is the one that stands for the 10,000th value: each is 900 and a few.
	errs, want := err.(strict.Errors), "aliases stand for more than 10000 values"
	found := 0
	for _, e := range errs {
		if e.Problem == want {
			found++
			if e.Line < 5 || e.Line > 20 || e.Column != 7 {
				t.Errorf("told at %d:%d, which is no alias that matters", e.Line, e.Column)
			}
		}
	}
	if found != 1 || len(errs) > 10 {
		t.Errorf("%d errors, %d of them %q:\n%v", len(errs), found, want, err)
	}
}

// Where a variable stands is found in bytes and told in characters.
func TestPlaceOfVariables(t *testing.T) {
	text := strings.Replace(minimal, `{reference: dependency}`, `{process: {command: [./bank, "größe ${prot} ${prot}", "ä", "${prot}"]}}`, 1)
	_, err := Parse("x", []byte(text), Options{})
	line := strings.Split(text, "\n")[1]
	first := len([]rune(line[:strings.Index(line, "${")])) + 1
	last := len([]rune(line[:strings.LastIndex(line, "${")])) + 1
	want := fmt.Sprintf("x:2:%d: command[1]: unknown variable ${prot}: did you mean ${port}?\nx:2:%d: command[3]: unknown variable ${prot}: did you mean ${port}?", first, last)
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// The settings of a reference service may name variables as a command may.
func TestVariablesInSettings(t *testing.T) {
	with := func(value string) error {
		_, err := Parse("x", []byte(strings.Replace(minimal, `{reference: dependency}`, `{reference: dependency, with: {at: "`+value+`"}}`, 1)), Options{})
		return err
	}
	if err := with("${targets.shop.addr} ${port}"); err != nil {
		t.Error(err)
	}
	if err := with("${targets.shop.adr}"); err == nil || !strings.Contains(err.Error(), "at: unknown variable ${targets.shop.adr}: did you mean ${targets.shop.addr}?") {
		t.Errorf("a variable that is not there: %v", err)
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.yaml", strings.Replace(minimal, `{url: "http://127.0.0.1:8080"}`, "{process: {command: [./shop], dir: bin}}", 1))
	x, err := ReadFile(good, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := x.Targets["shop"].Process.Dir, filepath.Join(dir, "bin"); got != want {
		t.Errorf("dir is %s, want %s", got, want)
	}
	for _, row := range []struct{ file, want string }{
		{filepath.Join(dir, "none.yaml"), ": cannot be read: no such file or directory"},
		{dir, ": cannot be read: it is a directory, not a file"},
		{write("broken.yaml", "nam: x\n"), `:1:1: unknown key "nam": did you mean "name"?`},
		{write("large.yaml", strings.Repeat("a: b\n", strict.MaxSize/4)), ": cannot be read: it is larger than 1 MiB, the most that an experiment may have"},
	} {
		_, err := ReadFile(row.file, Options{})
		var errs strict.Errors
		if !errors.As(err, &errs) || err.Error() != row.file+row.want {
			t.Errorf("got %v\nwant %s%s", err, row.file, row.want)
		}
	}
}

func TestErrorsAreErrors(t *testing.T) {
	_, err := Parse("x", []byte("nam: shop\nlod: {}\n"), Options{Set: []string{"a"}})
	var one *strict.Error
	if !errors.As(err, &one) || one.Line != 1 {
		t.Errorf("the first error is %+v", one)
	}
	want := "x:1:1: unknown key \"nam\": did you mean \"name\"?\n" +
		"x:2:1: unknown key \"lod\": did you mean \"load\"?\n" +
		"--set a: has no value: write KEY=VALUE, like load.rate=1k/s or chaos[0].for=2s"
	if err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// Whatever the bytes, Parse returns; all that is wrong has a place, in order;
// and what is right is written back as it was read.
func FuzzParse(f *testing.F) {
	for _, file := range goodFiles(f) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "load.rate=1k/s")
	}
	archives, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archives {
		for _, c := range casesOf(f, file) {
			f.Add(c.yaml, strings.Join(c.set, ""))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, set string) {
		opts := references
		if set != "" {
			opts.Set = []string{set}
		}
		x, err := Parse("FILE", data, opts)
		if err == nil {
			again, err := x.marshalled()
			if err != nil {
				text, _ := Marshal(x)
				t.Fatalf("what was read is refused when written: %v\n%s", err, text)
			}
			if diff := cmp.Diff(x, again); diff != "" {
				t.Fatalf("-read +read back:\n%s", diff)
			}
			return
		}
		errs, ok := err.(strict.Errors)
		if !ok || len(errs) == 0 {
			t.Fatalf("%T is not Errors: %v", err, err)
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + strings.Count(string(data), "\u0085") +
			strings.Count(string(data), "\u2028") + strings.Count(string(data), "\u2029") + 2
		last := 0
		for _, e := range errs {
			switch {
			case e.Problem == "":
				t.Fatalf("an error without a problem: %+v", e)
			case e.Line == 0:
				if e.File != "--set "+set {
					t.Fatalf("an error without a place: %v", e)
				}
			case e.File != "FILE" || e.Column < 1 || e.Line < last || e.Line > lines:
				t.Fatalf("an error at no place, or out of order: %v", e)
			}
			last = e.Line
		}
	})
}
