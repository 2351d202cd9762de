package result

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

const milli = time.Millisecond

// shop is a run of 10 s with 100 requests a second, of pay, list and about in turn, each of
// which takes 3 ms. Pay makes two calls over reviews, list one over catalog, and admin calls
// stock as catalog does. A fault is in force on reviews from 4 s to 6 s; became says what becomes
// of a request that is due then, and how long that takes.
func shop(became func(route int, left time.Duration) (load.Outcome, time.Duration)) *evidence.Run {
	links := map[string]*evidence.Link{
		"reviews": {Name: "reviews", From: "shop", To: "opinions"},
		"catalog": {Name: "catalog", From: "shop", To: "stock"},
		"back":    {Name: "back", From: "admin", To: "stock"},
	}
	run := &evidence.Run{Routes: []string{"pay", "list", "about"}, Links: links, End: 10 * time.Second,
		Faults: []evidence.Injection{{Name: "errors on reviews", Kind: "errors", On: "reviews", Injected: 4 * time.Second, Healed: 6 * time.Second}}}
	call := func(link string, id uint64, at time.Duration) {
		links[link].Exchanges = append(links[link].Exchanges, evidence.Exchange{ID: id, Begin: at, End: at + milli, Status: 200})
	}
	for n := range 1000 {
		at := time.Duration(n) * 10 * milli
		s := load.Sample{ID: uint64(n + 1), Route: n % 3, Intended: at, Sent: at, Done: at + 3*milli}
		if at >= 4*time.Second && at < 6*time.Second {
			var took time.Duration
			s.Outcome, took = became(s.Route, 6*time.Second-at)
			s.Done = at + took
		}
		switch s.Route {
		case 0:
			call("reviews", s.ID, at)
			call("reviews", s.ID, at+milli)
		case 1:
			call("catalog", s.ID, at)
		}
		run.Samples = append(run.Samples, s)
	}
	call("back", 0, time.Second)
	return run
}

func well(int, time.Duration) (load.Outcome, time.Duration) { return load.OK, 3 * milli }

func fails(routes ...int) func(int, time.Duration) (load.Outcome, time.Duration) {
	return func(route int, _ time.Duration) (load.Outcome, time.Duration) {
		for _, r := range routes {
			if r == route {
				return load.ServerError, 3 * milli
			}
		}
		return load.OK, 3 * milli
	}
}

func TestMatrix(t *testing.T) {
	// Of the 200 requests due from 4 s on, which are those from the 401st, 67 are of list and of about, and 66 of pay.
	got := matrix(shop(fails(0)))
	want := &Matrix{
		Links: []MatrixLink{
			{Link: "back", Nameless: 1, Routes: []MatrixCell{}},
			{Link: "catalog", Routes: []MatrixCell{{Route: "list", Calls: 333, PerRequest: 1}}},
			{Link: "reviews", Routes: []MatrixCell{
				{Route: "pay", Calls: 668, PerRequest: 2, AtRisk: 66, Served: 0},
				{Route: "list", AtRisk: 67, Served: 67},
				{Route: "about", AtRisk: 67, Served: 67},
			}},
		},
		Shared: []Shared{{Target: "stock", From: []string{"admin", "shop"}, Links: []string{"back", "catalog"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMatrixShowsLockStep(t *testing.T) {
	half := func(route int, left time.Duration) (load.Outcome, time.Duration) {
		if left/(10*milli)%4 == 0 { // of four one, or two, are served
			return load.OK, 3 * milli
		}
		return load.TimedOut, 3 * milli
	}
	late := func(_ int, left time.Duration) (load.Outcome, time.Duration) { return load.OK, left + milli }
	all := []string{"pay", "list", "about"}
	idle := []string{"list", "about"}
	for _, c := range []struct {
		name   string
		run    *evidence.Run
		change func(*evidence.Run)
		want   []LockStep
	}{
		{"all fail", shop(fails(0, 1, 2)), nil, []LockStep{{"reviews", all, idle}}},
		{"a quarter is served", shop(half), nil, []LockStep{{"reviews", all, idle}}},
		{"they wait until it is back", shop(late), nil, []LockStep{{"reviews", all, idle}}},
		{"one route stands", shop(fails(0, 1)), nil, nil},
		{"none fails", shop(well), nil, nil},
		{"another fault was in force", shop(fails(0, 1, 2)), func(run *evidence.Run) {
			run.Faults = append(run.Faults, evidence.Injection{Kind: "hang", On: "catalog", Injected: 5 * time.Second, Healed: 5500 * milli})
		}, nil},
		{"they had failed before", shop(fails(0, 1, 2)), func(run *evidence.Run) {
			for i := range run.Samples {
				run.Samples[i].Outcome = load.ServerError
			}
		}, nil},
	} {
		if c.change != nil {
			c.change(c.run)
		}
		if diff := cmp.Diff(c.want, matrix(c.run).LockStep); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// A request that is under way at the healing, and no longer than any, tells nothing.
func TestMatrixLeavesOutWhatIsUnderWay(t *testing.T) {
	run := shop(well)
	run.Samples[599].Intended, run.Samples[599].Done = 5999*milli, 6001*milli // the 600th, of about
	if about := matrix(run).Links[2].Routes[2]; about.AtRisk != 66 || about.Served != 66 {
		t.Errorf("%+v: the one under way counts", about)
	}
}

func TestMatrixIsBounded(t *testing.T) {
	run := &evidence.Run{Links: map[string]*evidence.Link{}, End: time.Second}
	for i := range 600 {
		run.Routes = append(run.Routes, fmt.Sprintf("r%03d", i))
		run.Samples = append(run.Samples, load.Sample{ID: uint64(i + 1), Route: i})
	}
	for i := range 60 {
		l := &evidence.Link{Name: fmt.Sprintf("l%02d", i), From: "a", To: "b"}
		for id := range 600 - i {
			l.Exchanges = append(l.Exchanges, evidence.Exchange{ID: uint64(id + 1)})
		}
		run.Links[l.Name] = l
	}
	m := matrix(run)
	if len(m.Links) != MaxMatrixLinks || m.More != 10 || m.Links[0].Link != "l00" || m.Links[49].Link != "l49" {
		t.Fatalf("%d links from %s to %s, and %d more", len(m.Links), m.Links[0].Link, m.Links[len(m.Links)-1].Link, m.More)
	}
	if row := m.Links[49]; len(row.Routes) != MaxMatrixRoutes || row.More != 51 { // of 551
		t.Errorf("%d routes, and %d more", len(row.Routes), row.More)
	}
	if matrix(&evidence.Run{Routes: []string{"pay"}}) != nil {
		t.Error("a run without links has a matrix")
	}
}
