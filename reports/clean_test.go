package reports

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load/input"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain, é, 漢字, 🙂":         "plain, é, 漢字, 🙂",
		"a\nb\tc\r\nd\u0085e":     "a b c  d e",
		"\x1b[2J\a\x00\x7f":       `\x1b[2J\x07\x00\x7f`,
		"\u009b2J \u0090":         `\u009b2J \u0090`,
		"\u202egnp.exe\u2066":     `\u202egnp.exe\u2066`,
		"\u200e\u200f\u061c":      `\u200e\u200f\u061c`,
		"\ufeffx\U000e0001":       `\ufeffx\U000e0001`,
		"\xff\xc3 \ufffd":         "\\xff\\xc3 \ufffd",
		"a\u00a0b":                "a\u00a0b",
		"::error::x":              `\x3a:error::x`,
		"  ::error file=a::x":     `  \x3a:error file=a::x`,
		"a\n::stop-commands::x":   `a \x3a:stop-commands::x`,
		"##[error]x":              `\x23#[error]x`,
		"a ##vso[task.x]":         `a \x23#vso[task.x]`,
		"##teamcity[x]":           `\x23#teamcity[x]`,
		"##VSO[x]":                `\x23#VSO[x]`,
		"a \u00a0::error::x":      "a \u00a0\\x3a:error::x",
		"on ::1, ::ffff:10.0.0.1": "on ::1, ::ffff:10.0.0.1",
		"fe80::1 a::b std::move":  "fe80::1 a::b std::move",
		"## a title":              "## a title",
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
		if twice := Clean(Clean(in)); twice != Clean(in) {
			t.Errorf("%q: clean again is %q", in, twice)
		}
	}
	if got, want := CleanLines("a\x1b\n::error::b\n"), "a\\x1b\n\\x3a:error::b\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// hostile is a text that tries everything.
const hostile = "x\x1b[2J\x07\u009b31m\u202e\u2067\x7f\n::error::boom\n##[error]boom ::warning file=a::b \u00a0::error::boom ##VSO[x]\r\xff\u2028y"

// soil puts the text into every string of a value.
func soil(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Pointer:
		if depth > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			soil(v.Elem(), depth-1)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				soil(v.Field(i), depth)
			}
		}
	case reflect.Slice:
		if depth > 0 {
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			for i := range v.Len() {
				soil(v.Index(i), depth-1)
			}
		}
	case reflect.Map:
		if depth > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			soil(key, depth-1)
			soil(value, depth-1)
			if value.CanUint() {
				value.SetUint(1)
			}
			v.SetMapIndex(key, value)
		}
	}
}

// ownCommand is what our annotations begin with.
var ownCommand = regexp.MustCompile(`(?m)^::(error|warning) [^:\n]*::`)

// harmful is what must not be in any output: what it is, "" if nothing is.
func harmful(out string) string {
	for _, r := range out {
		if r != '\n' && !input.Shown(r) {
			return fmt.Sprintf("%q", r)
		}
	}
	for line := range strings.Lines(out) {
		// GitHub's runner takes what begins with :: and has them again; Azure's knows any case.
		line = strings.TrimSpace(line)
		rest, begins := strings.CutPrefix(line, "::")
		azure := strings.Contains(strings.ToLower(line), "##vso[") || strings.Contains(line, "##[")
		if begins && strings.Contains(rest, "::") || azure {
			return "a command: " + line
		}
	}
	return ""
}

func TestNoOutputDoesAnything(t *testing.T) {
	var r result.Result
	soil(reflect.ValueOf(&r).Elem(), 5)
	r.Verdicts[0].Ruling = judge.Refuted // or there is nothing to annotate
	var l Load
	soil(reflect.ValueOf(&l).Elem(), 5)
	l.Spectrum = nil
	outputs := map[string]func(io.Writer) error{
		"load text":     func(w io.Writer) error { return LoadText(w, &l, TextOptions{Width: 60}) },
		"load markdown": func(w io.Writer) error { return LoadMarkdown(w, &l, SummaryLimit) },
		"load JSON":     func(w io.Writer) error { return LoadJSON(w, &l) },
	}
	for _, partial := range []bool{false, true} {
		for _, width := range []int{60, 61, 80, 120, 1000} {
			outputs[fmt.Sprint("text ", width, partial)] = func(w io.Writer) error {
				r.Partial = partial
				return Text(w, &r, TextOptions{Width: width})
			}
		}
		for _, format := range Formats() {
			outputs[fmt.Sprint(format, partial)] = func(w io.Writer) error { r.Partial = partial; return Render(w, format, &r) }
		}
	}
	for name, write := range outputs {
		var out bytes.Buffer
		if err := write(&out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		text := out.String()
		if strings.HasPrefix(name, "junit") { // what is read from it counts, not how it is written
			text = xmlText(t, text)
		}
		if strings.HasPrefix(name, "github") { // commands are what it is made of: those that others wrote must be none
			text = ownCommand.ReplaceAllString(text, "")
		}
		if what := harmful(text); what != "" {
			t.Errorf("%s has %s", name, what)
		}
		if !strings.Contains(text, "boom") {
			t.Errorf("%s has nothing of the text: the test shows nothing", name)
		}
	}
	var back result.Result
	var out bytes.Buffer
	if err := JSON(&out, &r); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(hostile, "\ufffd"); back.Name != want {
		t.Errorf("JSON gives back %q, want %q", back.Name, want)
	}
}

// xmlText is all that a reader of XML finds, attributes and text, a line each.
func xmlText(t *testing.T, document string) string {
	t.Helper()
	var b strings.Builder
	in := xml.NewDecoder(strings.NewReader(document))
	for {
		token, err := in.Token()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			for _, a := range token.Attr {
				b.WriteString(a.Value + "\n")
			}
		case xml.CharData:
			b.WriteString(string(token) + "\n")
		}
	}
}
