package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/discover"
)

// compare compares what was discovered with what is documented. What is not found or not
// said is left open where discover tells itself that the harness was not well.
func (i implementation) compare(f found, err error) trial {
	if err != nil {
		return trial{outcome: broken, detail: fmt.Sprintf("\n    %v", err)}
	}
	got := trial{outcome: right}
	got.differs(i.misses(f))
	return got
}

// A difference is where what was discovered is not what is known.
type difference struct {
	contradicts string // figures without the known one in them, and what was invented
	missing     string // what was not found
	doubtful    bool   // discover says itself that the harness was not well
}

func (t *trial) differs(by difference) {
	t.detail += by.contradicts + by.missing
	switch {
	case by.contradicts != "", by.missing != "" && !by.doubtful:
		t.outcome = wrong
	case by.missing != "":
		t.outcome = max(t.outcome, leftOpen)
	}
}

// misses is where what was discovered is not what is documented. A figure holds the
// documented number, or its middle is within a tenth of it.
func (i implementation) misses(f found) difference {
	var contradicts, missing strings.Builder
	for _, name := range slices.Sorted(maps.Keys(i.figures)) {
		want := i.figures[name]
		row, ok := f.row(name)
		switch {
		case !ok || row.Figure == nil:
			fmt.Fprintf(&missing, "\n      %s: %q, and %g is documented", name, row.Text, want)
		case row.Figure.Low > want || row.Figure.High < want:
			if middle := (row.Figure.Low + row.Figure.High) / 2; middle < 0.9*want || middle > 1.1*want {
				fmt.Fprintf(&contradicts, "\n      %s: %g to %g, and %g is documented", name, row.Figure.Low, row.Figure.High, want)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(i.says)) {
		if row, _ := f.row(name); !strings.Contains(row.Text, i.says[name]) {
			to := &missing
			if row.Figure != nil {
				to = &contradicts
			}
			fmt.Fprintf(to, "\n      %s: %q, want %q in it", name, row.Text, i.says[name])
		}
	}
	for _, name := range i.lacks {
		if row, ok := f.row(name); ok {
			fmt.Fprintf(&contradicts, "\n      %s: %q is invented", name, row.Text)
		}
	}
	return difference{contradicts.String(), missing.String(), len(f.Doubts) > 0}
}

// leavesOut is what the review ought to say and does not.
func (f found) leavesOut(want string) (d difference) {
	if !strings.Contains(strings.Join(f.Review, "\n"), want) {
		d = difference{missing: fmt.Sprintf("\n      the review is %q, want %q in it", f.Review, want), doubtful: len(f.Doubts) > 0}
	}
	return d
}

// disagrees is where two measurements of one thing contradict each other: nothing lies
// within a tenth of what both may be, which is what is asked of a documented figure.
func disagrees(a, b found) difference {
	var contradicts, missing strings.Builder
	for _, row := range a.Found {
		other, ok := b.row(row.Name)
		if !ok || (row.Figure == nil) != (other.Figure == nil) {
			fmt.Fprintf(&missing, "\n    %s: %q by one seed and %q by another", row.Name, row.Text, other.Text)
			continue
		}
		if settings[row.Name] && row.Figure != nil && (row.Figure.Low > 1.1*other.Figure.High || other.Figure.Low > 1.1*row.Figure.High) {
			fmt.Fprintf(&contradicts, "\n    %s: %s by one seed and %s by another", row.Name, row.Text, other.Text)
		}
	}
	return difference{contradicts.String(), missing.String(), len(a.Doubts)+len(b.Doubts) > 0}
}

// settings are the rows that are a setting of the service, and so the same each time.
// The others are how it fared.
var settings = map[string]bool{
	"attempts": true, "breaker opens": true, "share that opens it": true, "window": true, "open time": true, "probes": true,
	"timeout of a call": true, "calls in progress": true,
}

// A figure that is documented otherwise, a row that is missing and one that is invented
// are told; a figure that has the documented number, or is near it, is right.
func TestMissesAreTold(t *testing.T) {
	figure := func(name string, low, high float64) discover.Row {
		f := &discover.Figure{}
		f.Low, f.High = low, high
		return discover.Row{Name: name, Text: "so", Figure: f}
	}
	law := discover.Row{Name: "law", Text: "base: 1s", Parts: []discover.Row{figure("base", 990, 1010)}}
	f := found{Found: []discover.Row{figure("attempts", 4, 4), figure("open time", 1900, 1990), law}, Review: []string{"no jitter: calls"}}
	for _, c := range []struct {
		of      implementation
		want    string
		outcome outcome // where the harness was not well
	}{
		{implementation{
			figures: map[string]float64{"attempts": 4, "open time": 2000, "law base": 1000}, says: map[string]string{"law": "1s"},
			lacks: []string{"probes"},
		}, "", right},
		{implementation{figures: attempts(5)}, "4 to 4, and 5 is documented", wrong},
		{implementation{figures: map[string]float64{"open time": 3000}}, "3000 is documented", wrong},
		{implementation{figures: map[string]float64{"law base": 1200}}, "1200 is documented", wrong},
		{implementation{figures: map[string]float64{"probes": 1}}, `probes: "", and 1`, leftOpen},
		{implementation{says: map[string]string{"law": "2s"}}, `want "2s"`, leftOpen},
		{implementation{says: map[string]string{"attempts": "none"}}, `want "none"`, wrong},
		{implementation{lacks: []string{"law"}}, `"base: 1s" is invented`, wrong},
	} {
		got := c.of.compare(f, nil)
		if (c.want == "") != (got.detail == "") || !strings.Contains(got.detail, c.want) || (got.outcome == right) != (c.want == "") {
			t.Errorf("got %s: %q, want %q", got.outcome, got.detail, c.want)
		}
		doubtful := f
		doubtful.Doubts = []string{"the host stalled"}
		if got := c.of.compare(doubtful, nil); got.outcome != c.outcome {
			t.Errorf("%s: got %s, want %s", c.want, got.outcome, c.outcome)
		}
	}
	if got := f.leavesOut("no jitter").missing + f.leavesOut("").missing; got != "" {
		t.Errorf("of what it says it leaves out %q", got)
	}
	if got := f.leavesOut("waits do not grow"); !strings.Contains(got.missing, "no jitter: calls") {
		t.Errorf("it leaves out %+v, want that waits do not grow", got)
	}
	if got := (implementation{}).compare(f, errors.New("no port")); got.outcome != broken {
		t.Errorf("what did not run is %s", got.outcome)
	}
	other := found{Found: []discover.Row{figure("attempts", 5, 5), figure("open time", 1950, 2050), {Name: "law", Text: "base: 1s"}}}
	if got := disagrees(f, other); !strings.Contains(got.contradicts, "attempts") || strings.Contains(got.contradicts, "open time") {
		t.Errorf("it differs by %+v, want attempts alone", got)
	}
}
