package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The map has each package once, and each imports only what stands below it.
func TestMapIsTheCode(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	var rooms []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		rooms = append(rooms, row[1])
	}
	const module = "github.com/stormctl/stormctl/"
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		name := strings.TrimPrefix(words[0], module)
		at := slices.Index(rooms, name)
		if seen[name] = true; at < 0 {
			t.Errorf("the map lacks %s", name)
		}
		for _, imported := range words[1:] {
			own, ok := strings.CutPrefix(imported, module)
			if ok && slices.Index(rooms, own) < at {
				t.Errorf("%s imports %s, which stands above it on the map", name, own)
			}
		}
	}
	for i, room := range rooms {
		if !seen[room] {
			t.Errorf("the map has %s, which is no package", room)
		}
		if slices.Index(rooms, room) < i {
			t.Errorf("the map has %s twice", room)
		}
	}
}

// impure is what a pure package does not use, by the package that has it; nil is all of
// it. What it uses of our own packages is not looked into, but for load/input, which
// reads files.
var impure = map[string]*regexp.Regexp{
	"context": nil, "crypto/rand": nil, "io/fs": nil, "log": nil, "net": nil, "os": nil, "os/exec": nil, "os/signal": nil,
	"runtime": nil, "syscall": nil, "golang.org/x/sys/unix": nil, "github.com/stormctl/stormctl/load/input": nil,
	"math/rand": nil, "math/rand/v2": regexp.MustCompile("^(Int|Uint|Float|N$|Norm|Exp|Perm|Shuffle)"),
	"net/http":      regexp.MustCompile("^(Get|Head|Post|Default|Listen|Serve|Client|Server|New|Handle)"),
	"path/filepath": regexp.MustCompile("^(Abs|EvalSymlinks|Glob|Walk)"),
	"time":          regexp.MustCompile("^(Now|Since|Until|Sleep|After|Tick$|NewTi)"),
}

// A package that the map calls pure has no clock, no chance of its own, no file and no
// goroutine.
func TestMapSaysWhatIsPure(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|.*; pure \\|$").FindAllStringSubmatch(string(page), -1)
	if len(rows) < 5 {
		t.Fatalf("%d pure packages found; the search is broken", len(rows))
	}
	for _, row := range rows {
		sources, err := filepath.Glob("../../" + row[1] + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range sources {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for at, what := range impureUses(file) {
				t.Errorf("%s: %s, and the map calls %s pure", files.Position(at), what, row[1])
			}
		}
	}
}

func impureUses(file *ast.File) map[token.Pos]string {
	uses, only := map[token.Pos]string{}, map[string]*regexp.Regexp{} // by the name that an import has in the file
	for _, spec := range file.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		switch some, is := impure[name]; {
		case is && some == nil:
			uses[spec.Pos()] = "imports " + name
		case is && spec.Name != nil:
			only[spec.Name.Name] = some
		case is:
			only[filepath.Base(strings.TrimSuffix(name, "/v2"))] = some
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			uses[n.Pos()] = "starts a goroutine"
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && only[x.Name] != nil && only[x.Name].MatchString(n.Sel.Name) {
				uses[n.Pos()] = "uses " + x.Name + "." + n.Sel.Name
			}
		}
		return true
	})
	return uses
}

// The pages for who works on the code name files from the root of the repository,
// and those are there.
func TestMapNamesFilesThatExist(t *testing.T) {
	named := regexp.MustCompile("`([\\w./-]+\\.go)`")
	for _, page := range []string{"docs/architecture.md", "docs/adding-a-fault.md", "CONTRIBUTING.md"} {
		text, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		files := named.FindAllStringSubmatch(string(text), -1)
		for _, file := range files {
			if !strings.Contains(file[1], "/") {
				if page != "docs/adding-a-fault.md" {
					t.Errorf("%s names %s without its folder", page, file[1])
				}
				continue // the folder stands before it in the sentence
			}
			if strings.Contains(file[1], "NAME") || strings.Contains(file[1], "VERB") {
				continue
			}
			if _, err := os.Stat("../../" + file[1]); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
		if len(files) < 5 {
			t.Errorf("%s: %d files found; the search is broken", page, len(files))
		}
	}
}
