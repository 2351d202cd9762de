package testbed

import (
	"errors"
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

// Members of a cluster wait for each other: a caller of one of them must not come between.
func TestMembersStartTogether(t *testing.T) {
	member := func() *experiment.Target { return &experiment.Target{Process: &experiment.Process{Host: "own"}} }
	b := &Testbed{x: &experiment.Experiment{
		Targets: map[string]*experiment.Target{"n1": member(), "n2": member(), "n3": member(), "api": {}, "probe": member()},
		Links:   map[string]*experiment.Link{"x": {From: "api", To: "n1"}, "y": {From: "probe", To: "api"}},
	}}
	var got [][]string
	for left := b.order(); len(left) > 0; {
		next := b.batch(left)
		got = append(got, next)
		left = slices.DeleteFunc(left, func(name string) bool { return slices.Contains(next, name) })
	}
	if want := [][]string{{"n1", "n2", "n3"}, {"api"}, {"probe"}}; !slices.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Errorf("started together: %v, want %v", got, want)
	}
}

func TestProgramsAreMissedBeforeAnythingStarts(t *testing.T) {
	for _, c := range []struct {
		name    string
		process experiment.Process
		want    string // "" if nothing is missing
	}{
		{"there", experiment.Process{Command: []string{"true"}, Ready: experiment.Ready{Command: []string{"true"}}}, ""},
		{"not there", experiment.Process{Command: []string{"no-such-program"}}, `target db: command "no-such-program" not found in PATH`},
		{"not its probe", experiment.Process{Command: []string{"true"}, Ready: experiment.Ready{Command: []string{"no-such-probe"}}},
			`target db: ready: command "no-such-probe" not found in PATH`},
		{"not known yet", experiment.Process{Command: []string{"${env.PROGRAM}"}}, ""},
	} {
		x := &experiment.Experiment{Targets: map[string]*experiment.Target{"db": {Process: &c.process}}}
		got := ""
		if p := Look(t.Context(), x); len(p.Refusals) > 0 {
			got = errors.Join(p.Refusals...).Error()
		}
		if got != c.want {
			t.Errorf("%s: refused by %q, want %q", c.name, got, c.want)
		}
	}
}
