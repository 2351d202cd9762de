package requests

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/load/wire"
)

func TestReadTable(t *testing.T) {
	two := &wire.Table{Names: []string{"user", "n"}, Columns: [][]string{{"ada", "grace, \"h\""}, {"1", "2.50"}}}
	for _, tt := range []struct {
		name, text string
		want       *wire.Table
	}{
		{"CSV", "user,n\nada,1\n\"grace, \"\"h\"\"\",2.50\n", two},
		{"CSV as some write it", "user,n\r\nada,1\r\n\r\n\"grace, \"\"h\"\"\",2.50", two},
		{"JSON lines", `{"user":"ada","n":1}` + "\n\n" + ` {"n":2.50, "user":"grace, \"h\"", "more":[]}`, two},
		{"JSON values", `{"a":null,"b":true,"c":{"d": [1]},"e":1e400,"f":""}`, &wire.Table{
			Names: []string{"a", "b", "c", "e", "f"}, Columns: [][]string{{""}, {"true"}, {`{"d": [1]}`}, {"1e400"}, {""}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ReadTable(strings.NewReader(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestReadTableRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "EOF"},
		{"only a header", "a,b\n", "the data has no rows"},
		{"a field too many", "a,b\n1,2\n1,2,3\n", "record on line 3: wrong number of fields"},
		{"a quote that stays open", "a\n\"x\n", "line 2"},
		{"a name twice", "a,b,a\n1,2,3\n", `line 1: column 3 is called "a"`},
		{"no name", "a,,b\n1,2,3\n", `line 1: column 2 is called ""`},
		{"no object", "{\"a\":1}\n\n[1]\n", "line 3: not a JSON object"},
		{"cut off", "{\"a\":1}\n{\"a\":\n", "line 2: "},
		{"not closed", "{\"a\":1\n", "line 1: "},
		{"two in a line", "{\"a\":1} {\"a\":2}\n", "line 1: something follows"},
		{"a name is missing", "{\"a\":1,\"b\":2}\n{\"b\":1}\n", `line 2: there is no "a"`},
		{"a name twice in JSON", "{\"a\":1,\"a\":2}\n", `line 1: "a" is there twice`},
		{"empty objects", "{}\n{}\n", "the data has no rows"},
		{"an endless line", "{" + strings.Repeat(" ", maxLine+1), "line 1: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ReadTable(strings.NewReader(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v and error %v, want %q in it", got, err, tt.want)
			}
		})
	}
}
