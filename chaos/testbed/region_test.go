package testbed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/host"
	"github.com/stormctl/stormctl/chaos/timeline"
)

// scripted is a fault that says what happens to it, and fails as it is told.
type scripted struct {
	name     string
	said     *[]string
	inject   error
	heals    int // that fail, before one works
	attempts *int
}

func (f scripted) String() string { return f.name }

func (f scripted) Inject(context.Context) (timeline.Heal, error) {
	if f.inject != nil {
		return nil, f.inject
	}
	*f.said = append(*f.said, "inject "+f.name)
	return func(ctx context.Context) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if *f.attempts++; *f.attempts <= f.heals {
			return errors.New("not yet")
		}
		*f.said = append(*f.said, "heal "+f.name)
		return nil
	}, nil
}

// All is injected or nothing is; what could not be healed is tried again, and what was
// healed is not.
func TestInjectAll(t *testing.T) {
	for _, c := range []struct {
		name   string
		inject map[string]error
		heals  map[string]int
		want   []string
	}{
		{"all", nil, nil, []string{"inject a", "inject b", "inject c", "heal c", "heal b", "heal a"}},
		{"the last fails", map[string]error{"c": errors.New("no")}, nil, []string{"inject a", "inject b", "heal b", "heal a"}},
		{"one is hard to heal", nil, map[string]int{"b": 2}, []string{"inject a", "inject b", "inject c", "heal c", "heal a", "heal b"}},
	} {
		var said []string
		var faults []scripted
		for _, name := range []string{"a", "b", "c"} {
			faults = append(faults, scripted{name, &said, c.inject[name], c.heals[name], new(int)})
		}
		ctx, cancel := context.WithCancel(t.Context())
		heal, err := injectAll(ctx, faults)
		cancel()
		if (err != nil) != (c.inject != nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		for try := 0; heal != nil; try++ {
			if err := heal(t.Context()); err == nil {
				break
			} else if try == 5 {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		if !slices.Equal(said, c.want) {
			t.Errorf("%s: %q, want %q", c.name, said, c.want)
		}
	}
}

// A region with processes is a fault that outlives us and needs a lease; one of links
// alone ends with us.
func TestRegionLossOutlivesUsWithProcesses(t *testing.T) {
	x := &experiment.Experiment{
		Targets: map[string]*experiment.Target{"shop": {Region: "eu", Instances: 3, Process: &experiment.Process{}}, "far": {}},
		Links:   map[string]*experiment.Link{"near": {From: "far", To: "shop"}, "wire": {From: "shop", To: "far", Region: "us"}},
		Chaos:   []experiment.Event{{RegionLoss: &experiment.RegionLoss{Region: "eu"}}, {RegionLoss: &experiment.RegionLoss{Region: "us"}}},
	}
	faults := (&Testbed{x: x}).Timeline(0)
	whole, ok := faults[0].Fault.(host.Fault)
	if !ok || !outlives(faults[:1]) {
		t.Fatalf("%v needs no lease", faults[0].Fault)
	}
	if lost := whole.(regionLoss); len(lost.stops) != 3 || len(lost.links) != 1 {
		t.Errorf("%d processes and %d links are lost, want 3 and 1", len(lost.stops), len(lost.links))
	}
	if outlives(faults[1:]) {
		t.Errorf("%v needs a lease", faults[1].Fault)
	}
	for i, want := range []string{"loss of region eu", "loss of region us"} {
		if got := fmt.Sprint(faults[i].Fault); got != want {
			t.Errorf("it is called %q, want %q", got, want)
		}
	}
}
