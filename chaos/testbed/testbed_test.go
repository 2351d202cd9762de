package testbed

import (
	"slices"
	"testing"

	"github.com/stormctl/stormctl/chaos/experiment"
)

func TestTargetsStartBeforeTheirCallers(t *testing.T) {
	link := func(from, to string) *experiment.Link { return &experiment.Link{From: from, To: to} }
	for _, c := range []struct {
		name  string
		links map[string]*experiment.Link
		want  []string
	}{
		{"a chain", map[string]*experiment.Link{"x": link("a", "b"), "y": link("b", "c")}, []string{"c", "b", "a"}},
		{"two callers of one", map[string]*experiment.Link{"x": link("a", "c"), "y": link("b", "c")}, []string{"c", "a", "b"}},
		{"a cycle", map[string]*experiment.Link{"x": link("a", "b"), "y": link("b", "a"), "z": link("b", "c")}, []string{"c", "b", "a"}},
		{"no links", nil, []string{"a", "b", "c"}},
	} {
		x := &experiment.Experiment{Targets: map[string]*experiment.Target{"a": {}, "b": {}, "c": {}}, Links: c.links}
		if got := (&Testbed{x: x}).order(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
