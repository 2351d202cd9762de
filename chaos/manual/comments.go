package manual

import (
	"embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
)

// Comments is what source says of types ("PACKAGE.NAME.") and of their fields
// ("PACKAGE.NAME.FIELD").
type Comments map[string]string

// Read reads the comments of Go files.
func Read(sources ...embed.FS) (Comments, error) {
	c := Comments{}
	for _, source := range sources {
		if err := c.read(source); err != nil {
			return nil, fmt.Errorf("read the comments of the source: %w", err)
		}
	}
	return c, nil
}

// Of is the first paragraph of what is said of a field, or of the type if field is "".
func (c Comments) Of(t reflect.Type, field string) string { return c[t.String()+"."+field] }

// read takes the comments of the files in a folder.
func (c Comments) read(source embed.FS) error {
	files, err := source.ReadDir(".")
	if err != nil {
		return err
	}
	for _, f := range files {
		text, err := source.ReadFile(f.Name())
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range parsed.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.TYPE {
				c.add(parsed.Name.Name, d)
			}
		}
	}
	return nil
}

func (c Comments) add(pkg string, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		t := spec.(*ast.TypeSpec)
		name := pkg + "." + t.Name.Name + "."
		c[name] = firstParagraph(d.Doc, t.Doc)
		object, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range object.Fields.List {
			for _, field := range f.Names {
				c[name+field.Name] = firstParagraph(f.Doc, f.Comment)
			}
		}
	}
}

// firstParagraph is a comment without what only a reader of the code needs.
func firstParagraph(groups ...*ast.CommentGroup) string {
	for _, g := range groups {
		text, _, _ := strings.Cut(g.Text(), "\n\n")
		if text != "" {
			return strings.Join(strings.Fields(text), " ")
		}
	}
	return ""
}
