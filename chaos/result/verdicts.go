package result

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
)

// Verdicts rules on the claims of a run, for which the faults must have done
// their part.
func Verdicts(x *experiment.Experiment, run *evidence.Run) []judge.Verdict {
	var all []judge.Verdict
	var missing []string
	if len(run.Gone) == 0 { // with an agent lost nothing has held, and why is said: a fault may have hit nothing for it
		missing = judge.Missing(run)
	}
	for i, c := range x.Claims {
		v := c.Judge().Judge(run).Lacking(missing)
		switch {
		case run.Blank != "":
			v = blank(v, run.Blank)
		case run.NotSteady == "":
		case c.Steady == nil:
			v = judge.Verdict{Claim: v.Claim, Kind: v.Kind, Ruling: judge.Inconclusive,
				Reason: "nothing was injected, because the steady state was not confirmed"}
		case v.Ruling == judge.Held: // what came to light later does not make it confirmed when it had to be
			v = v.Lacking([]string{"nothing was injected, because it was not confirmed when faults were due: " + run.NotSteady})
		}
		v.Name = c.Title()
		if i < len(run.ClaimLines) {
			v.Line = run.ClaimLines[i]
		}
		all = append(all, v)
	}
	return all
}

// blank is a verdict in a chapter of which nothing can be told, neither for a claim nor
// against it.
func blank(v judge.Verdict, why string) judge.Verdict {
	return judge.Verdict{Claim: v.Claim, Kind: v.Kind, Ruling: judge.Inconclusive, Void: why, Reason: why, Exhibits: v.Exhibits}
}

// Names are what reports call claims, in their order: the same from run to run,
// and no two alike, because pipelines tell test cases apart by name alone. A claim
// of a result that has no names goes by its kind.
func Names(verdicts []judge.Verdict) []string {
	names := make([]string, len(verdicts))
	taken := map[string]int{} // by name, how often it was wanted
	for i, v := range verdicts {
		title := cmp.Or(v.Name, v.Kind, "claim")
		names[i] = title
		for taken[names[i]] > 0 {
			taken[title]++
			names[i] = fmt.Sprintf("%s (%d)", title, taken[title])
		}
		taken[names[i]]++
	}
	return names
}

// worst is the ruling on the whole: without a claim nothing was shown.
func worst(verdicts []judge.Verdict) judge.Ruling {
	if len(verdicts) == 0 {
		return judge.Inconclusive
	}
	w := judge.Held
	for _, v := range verdicts {
		w = max(w, v.Ruling)
	}
	return w
}

// effect says what rulings came of a run whose harness was not well: "of 3 claims
// 1 stands all the same, 1 is inconclusive, 1 is refuted".
func effect(verdicts []judge.Verdict) string {
	var count [judge.Refuted + 1]int
	for _, v := range verdicts {
		count[v.Ruling]++
	}
	var parts []string
	for ruling, words := range [...][2]string{
		{"stands all the same", "stand all the same"}, {"is inconclusive", "are inconclusive"}, {"is refuted", "are refuted"},
	} {
		switch n := count[ruling]; {
		case n == 1:
			parts = append(parts, "1 "+words[0])
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, words[1]))
		}
	}
	switch len(verdicts) {
	case 0:
		return "there is no claim that it could bear on"
	case 1:
		return "the claim " + strings.TrimPrefix(parts[0], "1 ")
	}
	return fmt.Sprintf("of %d claims %s", len(verdicts), strings.Join(parts, ", "))
}
