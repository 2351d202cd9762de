package chaos

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/compare"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
)

// Two experiments that differ in what a target is made of have the conditions in
// common; each key of the load, the faults and the links is one of its own.
func TestConditions(t *testing.T) {
	const file = `
name: x
targets:
  shop: {reference: dependency, with: {service_time: 2ms}}
load:
  rate: 100/s
  duration: 1s
  routes: [{name: buy, to: shop, get: /}]
claims:
  - steady: {success: 50%}
`
	of := func(set ...string) []compare.Condition {
		x, err := experiment.Parse("x.yaml", []byte(file), experiment.Options{Set: set})
		if err != nil {
			t.Fatal(err)
		}
		all, err := Conditions(x)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for set, want := range map[string]string{
		"targets.shop.with.service_time=3ms": "",
		"claims[0].steady.success=60%":       "",
		"load.rate=200/s":                    "load.rate differs",
		"load.routes[0].get=/x":              "load.routes differs",
		"load.arrivals=poisson":              "load.arrivals differs",
		"load.warmup=1s":                     "load.warmup differs",
	} {
		got := strings.Join(compare.Differences(of(), of(set)), "; ")
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", set, got, want)
		}
	}
	names := map[string]bool{}
	for _, c := range of() {
		names[c.Name] = true
	}
	if !names["load.rate"] || !names["chaos"] || !names["links"] {
		t.Errorf("conditions %v", names)
	}
}

// A second is in the block that it ends in, although it is closed a little late;
// what ends after the load is in the last block.
func TestBlocks(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, routeLog))
	if err != nil {
		t.Fatal(err)
	}
	log := hist.NewLogFile(f, time.Now(), "test")
	run := &evidence.Run{Load: 4 * time.Second, Routes: []string{"buy", "pay"}}
	for i, at := range []time.Duration{1010, 2040, 3090, 3998, 5100} {
		at *= time.Millisecond
		h := hist.New()
		for range i + 1 {
			h.Record(time.Millisecond)
		}
		log.Write(at-time.Second, at, hist.Tagged{Tag: "buy", Histogram: h}, hist.Tagged{Tag: "buy" + serviceSuffix, Histogram: h})
		outcomes := [load.Outcomes]uint64{load.OK: uint64(i), load.TimedOut: 1}
		run.Ticks = append(run.Ticks, evidence.Tick{At: at, Routes: map[string][load.Outcomes]uint64{"buy": outcomes}})
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	torn, err := os.OpenFile(filepath.Join(dir, routeLog), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := torn.WriteString("Tag=buy,5.1"); err != nil {
		t.Fatal(err)
	}
	torn.Close()
	routes, err := blocks(dir, run)
	if err != nil {
		t.Fatal(err)
	}
	var requests, oks []uint64
	var times []int64
	for _, b := range routes[0].Blocks {
		requests, oks, times = append(requests, b.Requests), append(oks, b.OK), append(times, b.Times.Count())
	}
	if want := []uint64{1, 2, 3, 9}; !slices.Equal(requests, want) { // 4 and 5 in the last
		t.Errorf("requests %v, want %v", requests, want)
	}
	if want := []uint64{0, 1, 2, 7}; !slices.Equal(oks, want) {
		t.Errorf("ok %v, want %v", oks, want)
	}
	if want := []int64{1, 2, 3, 9}; !slices.Equal(times, want) {
		t.Errorf("times %v, want %v", times, want)
	}
	if b := routes[1].Blocks[0]; b.Requests != 0 || b.Times != nil {
		t.Errorf("a route that nothing came to has %+v", b)
	}
}
