package api

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	const want = "one 127.0.0.1:40000 true latency_downstream, two 127.0.0.1:26380 false "
	for name, text := range map[string]string{
		"yaml": `
- name: one
  listen: 127.0.0.1:0
  upstream: 127.0.0.1:6379
  toxics:
    - {type: latency, attributes: {latency: 100}}
- {name: two, listen: "127.0.0.1:26380", upstream: "127.0.0.1:6380", enabled: false}
`,
		"json": "[\n\t{\"name\": \"one\", \"listen\": \"127.0.0.1:0\", \"upstream\": \"127.0.0.1:6379\",\n\t \"toxics\": [{\"type\": \"latency\", \"attributes\": {\"latency\": 100}}]},\n" +
			"\t{\"name\": \"two\", \"listen\": \"127.0.0.1:26380\", \"upstream\": \"127.0.0.1:6380\", \"enabled\": false}\n]\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, Config{})
			defer f.Close()
			file := filepath.Join(t.TempDir(), "proxies")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			n, err := f.Load(t.Context(), file)
			if err != nil || n != 2 {
				t.Fatalf("%d proxies, %v", n, err)
			}
			var got []string
			for _, e := range f.all() {
				v := e.view()
				one := v.Name + " " + v.Listen + map[bool]string{true: " true ", false: " false "}[v.Enabled]
				for _, toxic := range v.Toxics {
					one += toxic.Name
				}
				got = append(got, one)
			}
			if got := strings.Join(got, ", "); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if got := f.last().toxics(); !slices.Equal(got, []string{"0 downstream latency 100ms to 100%"}) {
				t.Errorf("in force %q", got)
			}
		})
	}
	f := newFake(t, Config{})
	defer f.Close()
	if n, err := f.loadList(t.Context(), "f", []byte("[]")); n != 0 || err != nil {
		t.Errorf("an empty list: %d, %v", n, err)
	}
}

// TestLoadRefuses: what is wrong is told with its line, and nothing is made.
func TestLoadRefuses(t *testing.T) {
	const one = "- {name: one, upstream: 127.0.0.1:1}\n"
	for text, want := range map[string]string{
		"":                                "f: it must be a list of proxies, like [",
		"{}":                              "f: it must be a list of proxies, like [",
		"name: one":                       "f: it must be a list of proxies, like [",
		"- one":                           "f:1:3: a proxy must be a map with name, listen and upstream",
		"- [":                             "f:2:1: ",
		one + "- {name: two}":             "f:2: missing required field: upstream",
		one + "- {upstream: 127.0.0.1:1}": "f:2: missing required field: name",
		one + one:                         "f:2: proxy one is given twice",
		one + "- {name: two, upstrem: x}": `f:2:15: unknown key "upstrem": a proxy has name, listen, upstream, enabled, protocol, ttl, toxics`,
		one + "- {name: 2, upstream: x}":  "f:2:3: name must be a string, not a number",
		one + "- {name: two, upstream: x:1, ttl: 5}":                        "f:2:3: ttl: write it as a string with a unit",
		one + "- {name: two, upstream: 192.0.2.1:1}":                        "f:2: upstream 192.0.2.1:1 is not allowed",
		one + "- {name: two, upstream: 127.0.0.1:1, toxics: [{typ: down}]}": `f:2:48: unknown key "typ": a toxic has name, type, stream, toxicity, attributes, ttl`,
		one + "- {name: two, upstream: 127.0.0.1:1, toxics: [{type: no}]}":  "f:2: invalid toxic type",
		one + "- {name: two, upstream: 127.0.0.1:1, toxics: {type: down}}":  "f:2:3: toxics must be a list, not an object",
	} {
		f := newFake(t, Config{})
		n, err := f.loadList(t.Context(), "f", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
		if n != 0 || len(f.all()) != 0 {
			t.Errorf("%q: %d proxies were made", text, len(f.all()))
		}
		f.Close()
	}
	f := newFake(t, Config{})
	defer f.Close()
	if _, err := f.Load(t.Context(), "nowhere"); err == nil || !strings.Contains(err.Error(), "open nowhere") {
		t.Errorf("got %v", err)
	}
}
