package evidence

import (
	"slices"
	"testing"

	"github.com/stormctl/stormctl/load"
)

func TestSelects(t *testing.T) {
	for _, c := range []struct {
		name, route string
		want        bool
	}{
		{"buy", "buy", true}, {"buy", "buy@eu", true}, {"buy@eu", "buy@eu", true}, {"@eu", "buy@eu", true},
		{"buy@us", "buy@eu", false}, {"@us", "buy@eu", false}, {"sell", "buy@eu", false}, {"eu", "buy@eu", false},
		{"@", "buy", false}, {"", "buy", false}, {"", "buy@eu", false}, {"@eu", "eu", false},
	} {
		if got := Selects(c.name, c.route); got != c.want {
			t.Errorf("%q selects %q: %v", c.name, c.route, got)
		}
	}
}

// What several routes have is found in the order of Samples, and found anew once there is
// more of it.
func TestRouteOfSeveralRegions(t *testing.T) {
	run := &Run{Routes: []string{"buy@eu", "buy@us", "sell@eu", "sell@us"}}
	add := func(routes ...int) {
		for _, route := range routes {
			run.Samples = append(run.Samples, load.Sample{ID: uint64(len(run.Samples) + 1), Route: route})
		}
	}
	add(1, 0, 3, 2, 0, 1)
	check := func(name string, want ...int32) {
		t.Helper()
		got, ok := run.Route(name)
		if !ok || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", name, got, ok, want)
		}
	}
	check("buy", 0, 1, 4, 5)
	check("@eu", 1, 3, 4)
	check("buy@us", 0, 5)
	check("sell", 2, 3)
	add(0)
	check("buy", 0, 1, 4, 5, 6)
	check("@eu", 1, 3, 4, 6)
	if _, ok := run.Route("eu"); ok {
		t.Error("there is a route of the name of a region")
	}
	if got := run.Regions(); !slices.Equal(got, []string{"eu", "us"}) {
		t.Errorf("regions %v", got)
	}
	owns := run.Owns("@us")
	for i, want := range []bool{false, true, false, true} {
		if owns(i) != want {
			t.Errorf("@us owns %s: %v", run.Routes[i], !want)
		}
	}
	if owns(-1) || owns(4) {
		t.Error("it owns a route that is not there")
	}
}
