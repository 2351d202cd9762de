package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/reports"
)

// A step's summary is never made larger than a host takes, whatever else the step
// has written there.
func TestSummaryOfAStepFits(t *testing.T) {
	for _, c := range []struct {
		before   int
		appended bool
	}{
		{0, true}, {1000, true}, {reports.SummaryLimit - 10_000, true}, {reports.SummaryLimit - 1000, false}, {2 * reports.SummaryLimit, false},
	} {
		many := answers()["open"]
		for range 20 { // of a kilobyte each
			many.Verdicts = append(many.Verdicts, judge.Verdict{Kind: "retry", Reason: strings.Repeat("so it was. ", 90)})
		}
		h := newHarness(t, map[string]result.Result{"open": many})
		if err := os.WriteFile("summary.md", bytes.Repeat([]byte("x"), c.before), 0o600); err != nil {
			t.Fatal(err)
		}
		h.getenv = func(name string) string { return map[string]string{"GITHUB_STEP_SUMMARY": "summary.md"}[name] }
		h.options.reports, h.options.quiet = []string{"github"}, true
		if code := h.runAll(t.Context(), []string{file(t, "open")}); code != exitInconclusive {
			t.Errorf("%d bytes before: exit code %d: %s", c.before, code, h.stderr.String())
		}
		text, err := os.ReadFile("summary.md")
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > max(c.before, reports.SummaryLimit) {
			t.Errorf("%d bytes before: %d after", c.before, len(text))
		}
		_, elsewhere := os.Stat("runs/open/" + reports.File("markdown"))
		if c.appended != strings.Contains(string(text), "INCONCLUSIVE: open") || c.appended != (elsewhere != nil) ||
			c.appended == strings.Contains(h.stderr.String(), "has no room") {
			t.Errorf("%d bytes before: %d after; %v; said %q", c.before, len(text), elsewhere, h.stderr.String())
		}
		if strings.Contains(h.stderr.String(), "::") {
			t.Errorf("commands are printed where no runner reads them: %s", h.stderr.String())
		}
	}
}
