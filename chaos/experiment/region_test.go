package experiment

import (
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// regionsPage is the experiment of docs/regions.md, which has no name there.
func regionsPage(t *testing.T) *Experiment {
	t.Helper()
	page, err := os.ReadFile("../../docs/regions.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := blocksOf(string(page))["yaml"]
	if len(blocks) != 1 {
		t.Fatalf("%d blocks, want 1", len(blocks))
	}
	return mustParse(t, "name: docs\n"+blocks[0])
}

// Each route is sent once for each region, to the target of that region, with its share.
func TestRoutesOfRegions(t *testing.T) {
	x := regionsPage(t)
	type sent struct {
		Name, To string
		Weight   float64
	}
	var got []sent
	for _, r := range x.Load.Sent() {
		got = append(got, sent{r.Name, r.To.One(), math.Round(1000 * r.Weight)})
	}
	want := []sent{{"buy@eu", "edge-eu", 600}, {"buy@us", "edge-us", 400}, {"look@eu", "edge-eu", 2400}, {"look@us", "edge-us", 1600}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(load.Regions{60_000, 40_000}, x.Load.Parts()); diff != "" {
		t.Error(diff)
	}
	if got := x.Load.Names(); !slices.Equal(got, []string{"buy@eu", "buy@us", "look@eu", "look@us"}) {
		t.Errorf("names %v", got)
	}
	p, err := x.Plan()
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{"load.routes[0]", "load.routes[0]", "load.routes[1]", "load.routes[1]"}
	for i, share := range []float64{0.12, 0.08, 0.48, 0.32} { // 1/5 and 4/5 of 60% and 40%
		if r := p.Routes[i]; math.Abs(r.Share-share) > 1e-9 || r.Path != paths[i] {
			t.Errorf("%s of %s has a share of %v, want %v", r.Name, r.Path, r.Share, share)
		}
	}
}

// Steps are sent from where their route is, and routes take turns in each region.
func TestStepsAndTurnsOfRegions(t *testing.T) {
	x := mustParse(t, `name: shop
targets: {web: {url: "http://127.0.0.1:8080"}}
load:
  rate: 10/s
  duration: 10s
  from: {us: 25%, eu: 75%}
  in_turn: true
  routes:
    - {name: login, to: web, get: /login, then: [{name: buy, get: /buy}]}
    - {name: look, to: web, get: /look}
claims: [{steady: {success: 99%, route: login@us}}]
`)
	if got := x.Load.Names(); !slices.Equal(got, []string{"login@eu", "buy@eu", "login@us", "buy@us", "look@eu", "look@us"}) {
		t.Errorf("names %v", got)
	}
	if name := x.Load.Routes[0].Then[0].Name; name != "buy" {
		t.Errorf("the file's own step is called %s", name)
	}
	p, err := x.Plan()
	if err != nil {
		t.Fatal(err)
	}
	for i, share := range []float64{0.375, 0.375, 0.125, 0.125, 0.375, 0.125} {
		if math.Abs(p.Routes[i].Share-share) > 1e-9 {
			t.Errorf("%s has a share of %v, want %v", p.Routes[i].Name, p.Routes[i].Share, share)
		}
	}
}

// What is lost with a region is what is labelled with it: targets, and links to them
// unless they say otherwise.
func TestWhatIsLost(t *testing.T) {
	x := regionsPage(t)
	in := x.Injection(0, x.Chaos[0])
	want := evidence.Injection{Name: "loss of region eu", Kind: "region_loss", On: "region eu", Target: true, Share: 1,
		Others: []string{"shop-eu"}, Links: []string{"eu", "us-eu"},
		At: evidence.Seconds(5 * time.Second), For: evidence.Seconds(15 * time.Second), Effects: &evidence.Effects{Holds: true}}
	if diff := cmp.Diff(want, in); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for name, want := range map[string]bool{"eu": true, "us-eu": true, "us": false, "eu-us": false} {
		if l := x.Links[name]; in.OnPath(&evidence.Link{Name: name, From: l.From, To: l.To}) != want {
			t.Errorf("the loss is on the path of link %s: %v", name, !want)
		}
	}
	x.Links["us-eu"].Region = "us"
	if _, links := x.InRegion("eu"); !slices.Equal(links, []string{"eu"}) {
		t.Errorf("links %v", links)
	}
	if _, links := x.InRegion("us"); !slices.Equal(links, []string{"eu-us", "us", "us-eu"}) {
		t.Errorf("links %v", links)
	}
}
