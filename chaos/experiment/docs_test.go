package experiment

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
)

// TestDocs reads every example of the pages about faults as an experiment or a
// proxy would, and finds one of each kind of fault of links.
func TestDocs(t *testing.T) {
	const file = `name: docs
targets: {shop: {url: "http://127.0.0.1:8080"}, bank: {reference: dependency}}
links: {payments: {from: shop, to: bank}}
load: {rate: 10/s, duration: 60s, routes: [{name: buy, to: shop, get: /buy}]}
claims: [{steady: {success: 99%}}]
`
	found := map[string]int{}
	for _, page := range []string{"../../docs/faults.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for language, blocks := range blocksOf(string(text)) {
			for _, block := range blocks {
				chaos := block
				switch language {
				case "yaml":
				case "json":
					var toxic struct {
						Type       string
						Attributes json.RawMessage
					}
					if err := json.Unmarshal([]byte(block), &toxic); err != nil {
						t.Errorf("%s: %v\n%s", page, err, block)
						continue
					}
					chaos = fmt.Sprintf("chaos: [{at: 5s, for: 5s, on: payments, %s: %s}]\n", toxic.Type, toxic.Attributes)
				default:
					continue
				}
				x, err := Parse("docs", []byte(file+chaos), Options{})
				if err != nil {
					t.Errorf("%s: %v\n%s", page, err, block)
					continue
				}
				for _, e := range x.Chaos {
					found[e.Kind()+" in "+language]++
				}
			}
		}
	}
	for _, kind := range eventKinds {
		if hostKinds()[kind] || slices.Contains(connKinds, kind) {
			continue
		}
		if found[kind+" in yaml"] == 0 {
			t.Errorf("the docs have no example of %s", kind)
		}
	}
	if len(found) < 15 {
		t.Errorf("%d kinds of examples found; the search is broken", len(found))
	}
}

// The same for the page about faults of processes, hosts and networks.
func TestDocsOfHostFaults(t *testing.T) {
	const (
		file = `name: docs
load: {rate: 10/s, duration: 80s, routes: [{name: pay, to: shop, get: /pay}]}
claims: [{steady: {success: 99%}}]
`
		targets = `targets: {shop: {url: "http://127.0.0.1:8080"}, bank: {reference: dependency}}
links: {payments: {from: shop, to: bank}}
`
	)
	text, err := os.ReadFile("../../docs/heal.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	blocks := blocksOf(string(text))["yaml"]
	for _, block := range blocks {
		whole := file + block
		if !strings.Contains(block, "targets:") {
			whole += targets
		}
		x, err := Parse("docs", []byte(whole), Options{})
		if err != nil {
			t.Errorf("%v\n%s", err, block)
			continue
		}
		for _, e := range x.Chaos {
			found[e.Kind()] = true
		}
	}
	for kind := range hostKinds() {
		if !found[kind] {
			t.Errorf("the docs have no example of %s", kind)
		}
	}
	if len(blocks) != 4 {
		t.Errorf("%d blocks found, want 4; the search is broken", len(blocks))
	}
}

// hostKinds are the kinds of faults that do not happen to a link.
func hostKinds() map[string]bool {
	kinds := map[string]bool{}
	for _, kind := range eventKinds {
		var e Event
		f := reflect.ValueOf(&e).Elem()
		for _, field := range strict.Fields(f.Type()) {
			if field.Key == kind {
				f.FieldByIndex(field.Index).Set(reflect.New(field.Type.Elem()))
			}
		}
		if e.Toxic() == nil {
			kinds[kind] = true
		}
	}
	return kinds
}

// The same for the page about faults of connections.
func TestDocsOfConnections(t *testing.T) {
	const file = `name: docs
load: {rate: 10/s, duration: 80s, routes: [{name: pay, to: shop, get: /pay}]}
claims: [{steady: {success: 99%}}]
`
	text, err := os.ReadFile("../../docs/connections.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := blocksOf(string(text))["yaml"]
	if len(blocks) != 2 {
		t.Fatalf("%d blocks found, want 2; the search is broken", len(blocks))
	}
	setting, _, _ := strings.Cut(blocks[0], "chaos:") // the second is about the link of the first
	found := map[string]bool{}
	for _, whole := range []string{file + blocks[0], file + setting + blocks[1]} {
		x, err := Parse("docs", []byte(whole), Options{})
		if err != nil {
			t.Fatalf("%v\n%s", err, whole)
		}
		for _, e := range x.Chaos {
			found[e.Kind()] = true
		}
	}
	for _, kind := range append([]string{"latency", "partition"}, connKinds...) {
		if !found[kind] {
			t.Errorf("the docs have no example of %s", kind)
		}
		if !strings.Contains(string(text), "| `"+kind+"` |") {
			t.Errorf("the docs do not say what callers see of %s", kind)
		}
	}
}

// blocksOf are the fenced blocks of a page by their language.
func blocksOf(page string) map[string][]string {
	blocks := map[string][]string{}
	language, block := "", ""
	for line := range strings.Lines(page) {
		fence, ok := strings.CutPrefix(line, "```")
		switch {
		case ok && language == "":
			language, block = strings.TrimSpace(fence)+" ", ""
		case ok:
			name := strings.TrimSpace(language)
			blocks[name] = append(blocks[name], block)
			language = ""
		default:
			block += line
		}
	}
	return blocks
}

// TestDocsShowCodeThatCompiles: the Go on the page is that of a test.
func TestDocsShowCodeThatCompiles(t *testing.T) {
	page, err := os.ReadFile("../../docs/adding-a-fault.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("../proxy/example_teapot_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := blocksOf(string(page))["go"]
	if len(blocks) != 2 {
		t.Errorf("%d blocks of Go on the page, want 2", len(blocks))
	}
	for _, block := range blocks {
		if !strings.Contains(string(code), block) {
			t.Errorf("example_teapot_test.go has not:\n%s", block)
		}
	}
}
