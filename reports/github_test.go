package reports

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

func annotations(t *testing.T, r *result.Result) []string {
	t.Helper()
	var out bytes.Buffer
	if err := GitHub(&out, r); err != nil {
		t.Fatal(err)
	}
	if out.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestGitHubAnnotatesTheLines(t *testing.T) {
	r := breakerRun(judge.Refuted)
	r.Verdicts[0].Ruling, r.Verdicts[0].Reason = judge.Inconclusive, "5% is not enough: a, b"
	r.Verdicts[1].Reason = "37 calls reached it"
	want := []string{
		"::error file=examples/breaker.yaml,line=24,title=refuted%3A checkout-breaks::37 calls reached it",
		"::warning file=examples/breaker.yaml,line=23,title=inconclusive%3A steady%3A route pay::5%25 is not enough: a, b",
	}
	if diff := cmp.Diff(want, annotations(t, r)); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	r.Partial, r.Stopped = true, "Ctrl-C"
	want = append(want[:1:1], "::error file=examples/breaker.yaml,title=stopped early::The run ended after 30.0s, before its time: Ctrl-C.", want[1])
	if diff := cmp.Diff(want, annotations(t, r)); diff != "" {
		t.Errorf("cut short (-want +got):\n%s", diff)
	}
	if got := annotations(t, breakerRun(judge.Held)); got != nil {
		t.Errorf("all held, and there is %q", got)
	}
	r = breakerRun(judge.Refuted)
	r.File = "" // of a run by an earlier version
	if got := annotations(t, r); len(got) != 1 || !strings.HasPrefix(got[0], "::error title=refuted%3A checkout-breaks::") {
		t.Errorf("without a file: %q", got)
	}
}

// Whatever others wrote, a line is one command of ours, with the properties that it
// has.
func TestGitHubCommandsAreOurs(t *testing.T) {
	for name, r := range map[string]*result.Result{"hostile": hostileRun(), "markup": markupRun()} {
		got := annotations(t, r)
		if len(got) != 3 {
			t.Errorf("%s: %d lines, want 2 refuted claims and that it was stopped", name, len(got))
		}
		for _, line := range got {
			head, data, ok := strings.Cut(strings.TrimPrefix(line, "::error "), "::")
			if !ok || !strings.HasPrefix(line, "::error ") || strings.Contains(data, "\r") {
				t.Errorf("%s: %q is no command", name, line)
			}
			for _, property := range strings.Split(head, ",") {
				key, value, _ := strings.Cut(property, "=")
				if key != "file" && key != "line" && key != "title" || strings.ContainsAny(value, ":\r\n") {
					t.Errorf("%s: %q has the property %q", name, line, property)
				}
			}
		}
	}
}

func TestGitHubSaysHowManyMoreThereAre(t *testing.T) {
	r := breakerRun(judge.Held)
	for i := range 25 {
		r.Verdicts = append(r.Verdicts, judge.Verdict{Kind: "retry", Name: fmt.Sprint("c", i), Ruling: judge.Ruling(1 + i%2), Reason: "so", Line: i + 1})
	}
	got := annotations(t, r)
	count := func(kind string) (n int) {
		for _, line := range got {
			if strings.HasPrefix(line, "::"+kind+" ") {
				n++
			}
		}
		return n
	}
	if count("error") != 10 || count("warning") != 10 {
		t.Errorf("%d errors and %d warnings, want 10 each", count("error"), count("warning"))
	}
	if len(got) > 9 && !strings.Contains(got[9], "title=3 more::") || !strings.Contains(got[len(got)-1], "title=4 more::") { // of 12 and 13
		t.Errorf("what is left out is not told: %q and %q", got[9], got[len(got)-1])
	}
}
