package chaos

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// recorded is the directory of a run as a recorder leaves it, its load ended or killed.
func recorded(t *testing.T, n int, killed bool) string {
	t.Helper()
	rec := filled(t, n, false)
	rec.watch.Close()
	if !killed {
		rec.add(evidence.Event{At: evidence.Seconds(10 * time.Second), Kind: evidence.KindEnd})
	}
	if err := rec.closeFiles(); err != nil {
		t.Fatal(err)
	}
	const text = "name: x\ntargets:\n  a: {url: http://127.0.0.1:1}\n  b: {url: http://127.0.0.1:2}\nlinks:\n  bank: {from: a, to: b}\n" +
		"load:\n  rate: 10/s\n  duration: 20s\n  routes:\n    - {name: pay, to: a, get: /}\n    - {name: browse, to: a, get: /}\n" +
		"chaos:\n  - {at: 10s, for: 1s, on: bank, errors: {status: 503}}\nclaims:\n  - steady: {success: 99%, p99: 50ms}\n"
	if err := os.WriteFile(filepath.Join(rec.dir, ExperimentFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return rec.dir
}

// A directory is drawn by whoever judges it, of a run that was killed too, and as many
// times stand in the columns as in the routes and links.
func TestJudgeDraws(t *testing.T) {
	for name, killed := range map[string]bool{"ended": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			dir := recorded(t, 2000, killed)
			r, err := Judge(dir)
			if err != nil {
				t.Fatal(err)
			}
			if killed != (r.Stopped == evidence.Killed) {
				t.Errorf("stopped: %q", r.Stopped)
			}
			if r.Series == nil {
				t.Fatal("there is no series")
			}
			w := r.Series.Whole
			var ended, bad, behind uint64
			for i := range w.Ended {
				ended += w.Ended[i] + w.Unsent[i]
				bad += w.Routes[0].Bad[i] + w.Routes[1].Bad[i]
				behind += w.Links[0].Ended[i]
			}
			if ended != 2000 || bad != 0 || behind != 2000 || w.Routes[1].Name != "browse" || w.To.Duration() < 10*time.Second {
				t.Errorf("%d ended, %d bad, %d behind, to %v", ended, bad, behind, w.To)
			}
			// All of it was recorded at once, in one second of the watch.
			longest := max(r.Routes[0].Response.Max, r.Routes[1].Response.Max)
			if w.Links[0].Took.Max[0] == nil || math.Abs(*w.Response.Max[0]-longest) > .01 {
				t.Errorf("the longest of the column is %v, of the routes %v", *w.Response.Max[0], longest)
			}
			death := result.Event{At: 9, Kind: "death", Target: "b", Text: "b ended"}
			if !slices.Equal(r.Events, []result.Event{death}) || !strings.Contains(r.Notes[len(r.Notes)-1], death.Text) {
				t.Errorf("events %+v, notes %q", r.Events, r.Notes)
			}
			if f := r.Faults[0]; f.Planned != 10 || f.Injected != -1 {
				t.Errorf("fault %+v", f)
			}
		})
	}
}

// Without seconds in its timeline there is nothing to draw, and routes have their
// times all the same.
func TestJudgeWithoutSeconds(t *testing.T) {
	dir := recorded(t, 100, true)
	path := filepath.Join(dir, evidence.TimelineFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kept string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, `"tick"`) {
			kept += line
		}
	}
	if err := os.WriteFile(path, []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Judge(dir)
	if err != nil {
		t.Fatal(err)
	}
	if r.Series != nil || r.Routes[0].Response.Max == 0 {
		t.Errorf("series %v, routes %+v", r.Series, r.Routes)
	}
}

// What a ruling does not rest on does not keep it from being made: what is wrong with
// a link's histograms is a note.
func TestJudgeWithoutALinksLog(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(path string) error
		says   string // "" is a series without those times
	}{
		"gone":    {os.Remove, ""},
		"damaged": {func(path string) error { return os.WriteFile(path, []byte("Tag=bank,0,1,0,HISTFx\n\n"), 0o600) }, "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := recorded(t, 100, false)
			if err := c.damage(filepath.Join(dir, linkLog("bank"))); err != nil {
				t.Fatal(err)
			}
			r, err := Judge(dir)
			if err != nil {
				t.Fatal(err)
			}
			if r.Routes[0].Response.Max == 0 || len(r.Verdicts) != 1 || r.Verdicts[0].Kind != "steady" || r.Ruling == judge.Refuted {
				t.Errorf("routes %+v, verdicts %+v", r.Routes, r.Verdicts)
			}
			notes := strings.Join(r.Notes, "\n")
			if (r.Series == nil) != (c.says != "") || !strings.Contains(notes, c.says) {
				t.Errorf("series %v, notes %q, want %q", r.Series, notes, c.says)
			}
			if r.Series != nil && r.Series.Whole.Links[0].Took.P50[0] != nil {
				t.Error("times of a link without a log")
			}
		})
	}
}
