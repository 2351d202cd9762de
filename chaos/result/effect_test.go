package result

import (
	"testing"

	"github.com/stormctl/stormctl/chaos/judge"
)

func TestEffect(t *testing.T) {
	held, open, refuted := judge.Verdict{}, judge.Verdict{Ruling: judge.Inconclusive}, judge.Verdict{Ruling: judge.Refuted}
	for _, row := range []struct {
		verdicts []judge.Verdict
		want     string
	}{
		{nil, "there is no claim that it could bear on"},
		{[]judge.Verdict{held}, "the claim stands all the same"},
		{[]judge.Verdict{open}, "the claim is inconclusive"},
		{[]judge.Verdict{held, held, open}, "of 3 claims 2 stand all the same, 1 is inconclusive"},
		{[]judge.Verdict{refuted, held, open, open, refuted}, "of 5 claims 1 stands all the same, 2 are inconclusive, 2 are refuted"},
	} {
		if got := effect(row.verdicts); got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
}
