package reports

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

func problemsOf(t *testing.T, r *result.Result) (all []codeProblem) {
	t.Helper()
	var out bytes.Buffer
	if err := CodeQuality(&out, r); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCodeQualityIsOfRefutedClaims(t *testing.T) {
	for _, ruling := range []judge.Ruling{judge.Held, judge.Inconclusive} {
		if got := problemsOf(t, breakerRun(ruling)); got == nil || len(got) != 0 {
			t.Errorf("%s: %v, want an empty list", ruling, got)
		}
	}
	r := breakerRun(judge.Refuted)
	r.Verdicts[1].Reason = "37 calls reached it"
	before := problemsOf(t, r)
	want := []codeProblem{{Description: "checkout-breaks: 37 calls reached it", CheckName: "stormctl.breaker", Severity: "major",
		Fingerprint: before[0].Fingerprint, Location: codeLocation{"examples/breaker.yaml", codeLines{24}}}}
	if diff := cmp.Diff(want, before); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	r.Verdicts[1].Reason, r.Verdicts[1].Claim, r.Verdicts[1].Line, r.Seed = "38 calls reached it", "another bound", 31, 8
	if after := problemsOf(t, r); after[0].Fingerprint != before[0].Fingerprint || len(before[0].Fingerprint) != 64 {
		t.Errorf("the same claim is %s, and was %s", after[0].Fingerprint, before[0].Fingerprint)
	}
	prints := map[string]bool{}
	for _, p := range problemsOf(t, markupRun()) { // the same claim twice
		prints[p.Fingerprint] = true
	}
	if len(prints) != 2 {
		t.Errorf("two claims have %d fingerprints", len(prints))
	}
}
