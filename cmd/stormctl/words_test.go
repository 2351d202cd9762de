package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// retired are words that no name and no comment uses any more, with what the
// field calls the thing.
var retired = map[string]string{
	"ailment": "problem",
	"deeds":   "counts",
	"dialect": "codec",
	"dialler": "dialer",
	"errand":  "resend",
	"grasp":   "acquire",
	"grip":    "attachment",
	"illness": "unfit",
	"mux":     "h2Conn",
	"ripen":   "activate",
	"scolded": "sentGoAway",
	"smear":   "spread",
	"twist":   "edit",
	"obey":    "apply",

	"tells whether": "reports whether",
	"vacant":        "idle",
	"knock":         "probe",
	"teller":        "progress queue",
	"courier":       "progress queue",
	"calmly":        "withoutHostStalls",
	"carrier":       "remote load",
	"handout":       "remote load",
	"stop watch":    "stop conditions",
	"calm down":     "lower priority",
}

// retiredBelow are those that only some packages, and what is below them, are
// rid of. A word goes to retired once every package is.
var retiredBelow = []struct {
	word, instead string
	below         []string
}{
	{"whoever", "what it is: a process, a peer, a caller", []string{"load", "chaos/proxy", "chaos/host", "chaos/lease"}},
	{"somebody", "what it is: a process, a peer, a caller", []string{"load", "chaos/proxy", "chaos/host", "chaos/lease"}},
	{"struck", "hit", []string{"load", "chaos/proxy", "chaos/toxic"}},
	{"opaque", "unread, upgraded, or a tunnel, which is either", []string{"chaos/proxy", "chaos/toxic", "chaos/evidence"}},
}

// retiredNames are ordinary words, which a comment may use and a name may not.
var retiredNames = []struct {
	word, instead string
	below         []string
}{
	{"held", "leased, stalled or limited: held is the ruling", []string{"load", "chaos/proxy", "chaos/toxic", "chaos/host", "chaos/lease"}},
	{"alarm", "timer", []string{"load", "chaos/proxy"}},
	{"alone", "lockDir", []string{"chaos/lease"}},
	{"board", "promote", []string{"chaos/proxy"}},
	{"calm", "smallInRow", []string{"chaos/proxy"}},
	{"dense", "batch", []string{"load"}},
	{"door", "listener, or probe", straight},
	{"edge", "tlsBridge", []string{"chaos/proxy"}},
	{"foul", "breach", []string{"chaos/proxy"}},
	{"carry", "send", []string{"chaos/agents"}},
	{"behind", "exchanges", []string{"chaos/evidence", "chaos/series", "chaos/result"}},
	{"front", "samples", []string{"chaos/evidence", "chaos/series", "chaos/judge", "chaos/result"}},
	{"gather", "coalesce", []string{"load"}},
	{"grows", "growth", []string{"chaos/judge", "chaos/chapters"}},
	{"land", "demote", []string{"chaos/proxy"}},
	{"lane", "state", []string{"chaos/proxy"}},
	{"leg", "side", []string{"chaos/proxy"}},
	{"loan", "lent", []string{"chaos/proxy"}},
	{"making", "injection", []string{"chaos/lease", "chaos/host"}},
	{"mind", "sync", []string{"chaos/proxy"}},
	{"sheet", "file", append([]string{"chaos/evidence"}, straight...)},
	{"slow", "dutyCycle", []string{"chaos/host"}},
	{"spoil", "fail", []string{"chaos/proxy"}},
	{"stamped", "rxTimestamp", []string{"load"}},
	{"swallow", "discard", []string{"chaos/proxy"}},
	{"taken", "conflict", []string{"chaos/lease"}},
	{"tally", "counter", []string{"chaos/proxy"}},
	{"thin", "drained", []string{"chaos/proxy"}},
}

// straight are the packages that most words are gone from.
var straight = []string{"load", "targets", "cmd", "chaos/proxy", "chaos/toxic", "chaos/host", "chaos/lease", "chaos/unit"}

// kept are names that stay although a table has their word, with the reason.
var kept = map[string]string{}

// One thing has one name (docs/architecture.md): no code brings an old one back.
func TestRetiredWords(t *testing.T) {
	unused := maps.Clone(kept)
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, u := range retiredUses(filepath.ToSlash(pkg), file) {
			delete(unused, u.text)
			if kept[u.text] == "" {
				t.Errorf("%s: %q is retired: write %q", files.Position(u.at), u.word, u.instead)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range unused {
		t.Errorf("%s is kept for nothing", name)
	}
}

// Names are taken apart at capitals, comments at spaces, also across lines; what
// a package calls of others is theirs to name.
func TestRetiredWordsAreFound(t *testing.T) {
	const source = `package p

// open tells
// whether the door is open.
func open(doors int) { newGrip := http.NewServeMux(); _ = newGrip }

type sweetLeg struct{ undoored, h2Mux int } // of a twisted pair
`
	for pkg, want := range map[string][]string{
		"chaos/proxy/tcp": {"tells whether", "door", "grip", "leg", "mux"},
		"chaos/proxyless": {"tells whether", "grip", "mux"},
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, u := range retiredUses(pkg, file) {
			got = append(got, u.word)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", pkg, got, want)
		}
	}
}

// retiredUse is a name or comment with a retired word.
type retiredUse struct {
	at                  token.Pos
	text, word, instead string
}

func retiredUses(pkg string, file *ast.File) []retiredUse {
	var uses []retiredUse
	find := func(at token.Pos, text string, name bool) {
		spaced := " " + spacedWords(text) + " "
		check := func(word, instead string) {
			if strings.Contains(spaced, " "+word+" ") || strings.Contains(spaced, " "+word+"s ") {
				uses = append(uses, retiredUse{at, text, word, instead})
			}
		}
		for word, instead := range retired {
			check(word, instead)
		}
		lists := slices.Clip(retiredBelow)
		if name {
			lists = append(lists, retiredNames...)
		}
		for _, r := range lists {
			if slices.ContainsFunc(r.below, func(p string) bool { return pkg == p || strings.HasPrefix(pkg, p+"/") }) {
				check(r.word, r.instead)
			}
		}
	}
	for _, c := range file.Comments {
		find(c.Pos(), c.Text(), false)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		var names []*ast.Ident
		switch n := n.(type) {
		case *ast.FuncDecl:
			names = []*ast.Ident{n.Name}
		case *ast.TypeSpec:
			names = []*ast.Ident{n.Name}
		case *ast.ValueSpec:
			names = n.Names
		case *ast.Field:
			names = n.Names
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				names = identsOf(n.Lhs...)
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				names = identsOf(n.Key, n.Value)
			}
		}
		for _, name := range names {
			find(name.Pos(), name.Name, true)
		}
		return true
	})
	return uses
}

func identsOf(exprs ...ast.Expr) []*ast.Ident {
	var idents []*ast.Ident
	for _, e := range exprs {
		if id, ok := e.(*ast.Ident); ok {
			idents = append(idents, id)
		}
	}
	return idents
}

// spacedWords is a text in lower case with one space between its words, and
// between those of a name: "newGrip" is "new grip", "h2Mux" "h2 mux".
func spacedWords(text string) string {
	var spaced []rune
	var before rune
	for _, r := range text {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			spaced = append(spaced, ' ')
		case unicode.IsUpper(r) && (unicode.IsLower(before) || unicode.IsDigit(before)):
			spaced = append(spaced, ' ', unicode.ToLower(r))
		default:
			spaced = append(spaced, unicode.ToLower(r))
		}
		before = r
	}
	return strings.Join(strings.Fields(string(spaced)), " ")
}
